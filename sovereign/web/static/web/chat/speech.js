// What those hear who hear the page: an answer sentence by sentence while it is written, never in pieces of words, and
// not faster than it can be read out.

const PAUSE = 1500; // milliseconds in which whole sentences are gathered
const LONGEST = 400; // characters without an end of a sentence that are said nevertheless, up to a blank
const KEPT = 4; // sayings that stay, so that none is gone before it was read
const END = /^[^]*(?:[.!?…:;。！？]["'»”’)\]]*(?=\s)|\n)/; // up to the last end of a sentence

export class Speech {
  #buffer = "";
  #hasGrown = false; // what is said now was told in pieces
  #timer = null;

  // place: a live region
  constructor(place) {
    this.place = place;
  }

  // Words of the page itself, at once.
  say(text) {
    if (!text || !this.place) return;
    const saying = document.createElement("p");
    saying.textContent = text;
    this.place.append(saying);
    while (this.place.children.length > KEPT) this.place.firstChild.remove();
  }

  // A piece of an answer.
  grow(text) {
    this.#buffer += text;
    this.#hasGrown = true;
    this.#timer ??= setTimeout(() => this.#saySentences(), PAUSE);
  }

  // The answer is whole: what was not said of it yet.
  end(text) {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (!this.#hasGrown) this.#buffer = text;
    this.#sayUpTo(this.#buffer.length);
    this.#hasGrown = false;
  }

  // What was not said is of an answer that is told anew.
  forget() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#buffer = "";
    this.#hasGrown = false;
  }

  #saySentences() {
    this.#timer = null;
    const whole = END.exec(this.#buffer)?.[0].length ?? 0;
    const long = this.#buffer.length > LONGEST ? this.#buffer.lastIndexOf(" ") + 1 : 0;
    this.#sayUpTo(whole || long);
    if (this.#buffer) this.#timer = setTimeout(() => this.#saySentences(), PAUSE);
  }

  #sayUpTo(end) {
    const said = this.#buffer.slice(0, end).trim();
    this.#buffer = this.#buffer.slice(end);
    this.say(said);
  }
}
