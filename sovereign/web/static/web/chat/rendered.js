// What assistants say, as the server's sanitised HTML: asked for once a message is whole, for many of them together. Until
// it is there, and where it is not heard, the text stays. This is the one place that puts HTML into a page.

import { copyButton } from "./format.js";

const SOON = 40; // milliseconds in which messages that are put on the page one after the other are asked for together
const AT_ONCE = 100; // messages of one request

export class Rendered {
  #waiting = new Map(); // message id → { thread, places }
  #asking = null;

  constructor(api, chatPath, scroller) {
    Object.assign(this, { api, chatPath, scroller });
    addEventListener("online", () => this.#askAgain());
    document.addEventListener("visibilitychange", () => this.#askAgain());
  }

  // places: of each text of the message the element that shows it; join(ids): the messages before it that are one answer
  // with it, whose texts stand there, too
  show(message, places, join) {
    if (!places.length) return;
    this.#waiting.set(message.id, { thread: message.thread_id, places, join });
    this.#asking ??= setTimeout(() => this.#ask(), SOON);
  }

  // What was not heard when it was asked for.
  #askAgain() {
    if (this.#waiting.size && document.visibilityState === "visible") this.#asking ??= setTimeout(() => this.#ask(), SOON);
  }

  async #ask() {
    const [{ thread }] = this.#waiting.values();
    const asked = [...this.#waiting].filter(([, one]) => one.thread === thread).slice(0, AT_ONCE);
    const query = new URLSearchParams(asked.map(([id]) => ["message", id]));
    const path = `${this.chatPath}${encodeURIComponent(thread)}/rendered.json?${query}`;
    const heard = await this.api.get(path).catch(() => null);
    const told = asked.filter(([id]) => heard?.data[id]);
    this.scroller.settle(() => {
      for (const [id, { places, join }] of told) {
        put(heard.data[id].slice(-places.length), places); // those before are the other parts' own
        if (heard.parts?.[id]) join(heard.parts[id]);
      }
    });
    // what is too much for one answer comes with the next; of what is not there, nothing
    for (const [id] of told.length || !heard ? told : asked) this.#waiting.delete(id);
    const goesOn = heard !== null && this.#waiting.size > 0;
    this.#asking = goesOn ? setTimeout(() => this.#ask(), 0) : null; // else when somebody comes back, or with the next message
  }
}

function put(texts, places) {
  places.forEach((place, index) => {
    place.innerHTML = texts[index] ?? "";
    place.classList.remove("plain");
    for (const frame of place.querySelectorAll(".code")) frame.append(copyButton(frame.querySelector("code")));
  });
}
