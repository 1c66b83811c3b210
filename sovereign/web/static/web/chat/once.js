// A request that begins something is carried out once, also where its answer is lost: it has a key, and an equal request
// has the same one until an answer was heard. Then the server answers as it did before, and does nothing twice.

import { Refused } from "./api.js";

const PAUSE = 500; // milliseconds before a request is repeated whose answer was lost
const KEPT = 3_600_000; // milliseconds: later an equal request is another one
const LOST = new Set([0, 502, 504]); // states where nobody knows what was done
const LATER = new Set([401, 408, 429]); // which say nothing of what an earlier attempt did

export class Once {
  // name: of who asks, in this tab. Of two that may ask the same, each has its own
  constructor(api, name) {
    Object.assign(this, { api, place: `once:${name}` });
  }

  // { answer, isRepeat: whether it may be that of an earlier attempt }
  async post(path, body = {}, headers = {}) {
    const what = told(path, body, headers);
    const isRepeat = this.#lost?.what === what;
    const key = isRepeat ? this.#lost.key : newKey();
    try {
      return { answer: await this.#attempt(what, key, () => this.#send(path, body, headers, key)), isRepeat };
    } catch (refusal) {
      if (!LOST.has(refusal.status)) throw refusal;
    }
    await new Promise((done) => setTimeout(done, PAUSE));
    return { answer: await this.#attempt(what, key, () => this.#send(path, body, headers, key)), isRepeat: true };
  }

  // Whether this was asked, and what came of it is not known.
  isLost(path, body = {}, headers = {}) {
    return this.#lost?.what === told(path, body, headers);
  }

  // What is asked next is something else, also where it is equal: its person has changed it meanwhile.
  forget() {
    sessionStorage.removeItem(this.place);
  }

  #send(path, body, headers, key) {
    return this.api.post(path, body, { ...headers, "Idempotency-Key": key });
  }

  async #attempt(what, key, send) {
    this.#note(what, key); // the page may be gone before the answer is there
    try {
      const answer = await send();
      this.forget();
      return answer;
    } catch (refusal) {
      const isKnown = refusal instanceof Refused && refusal.status >= 400 && refusal.status < 500 && !LATER.has(refusal.status);
      if (isKnown) this.forget();
      else this.#note(what, key); // again: something may have been written meanwhile
      throw refusal;
    }
  }

  get #lost() {
    const lost = JSON.parse(sessionStorage.getItem(this.place) ?? "null");
    return lost && Date.now() - lost.at < KEPT ? lost : null;
  }

  #note(what, key) {
    try {
      sessionStorage.setItem(this.place, JSON.stringify({ what, key, at: Date.now() }));
    } catch {
      // no room: then a repeat is not known for one
    }
  }
}

function told(path, body, headers) {
  return JSON.stringify([path, body, headers]);
}

// Not crypto.randomUUID, which a page without TLS does not have.
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
