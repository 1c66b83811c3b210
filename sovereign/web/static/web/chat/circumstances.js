// What stands in the way of an answer, in words: the engine of the assistant's model, and the runs that go before. It is
// asked for now and then while somebody looks, and more often while something is not as it should be.

import { language, t } from "../words.js";

const OFTEN = 2000; // milliseconds between two looks while an answer waits, or its engine is not ready …
const RARELY = 16_000; // … and otherwise
const AT_ONCE = 400; // until the first look at a run that has just begun to wait
const SUFFIXES = { one: "st", two: "nd", few: "rd", other: "th" }; // of English; elsewhere a full stop says it

export class Circumstances {
  #heard = null; // the newest answer
  #number = 0; // of the newest question: what is heard of an older one is over
  #next = null;
  #run = null; // the id of the newest that waits: a place that was heard before is another's

  // ask() → the answer of the server; isWaiting(): a run waits for its turn; isIdle(): there is no run;
  // onHeard(heard): it is known anew; note(text)
  constructor({ ask, isWaiting, isIdle, onHeard, note }) {
    Object.assign(this, { ask, isWaiting, isIdle, onHeard, note });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.look();
    });
  }

  // What a run that waits is told of why, in the server's words or in better ones.
  wordsFor(run) {
    if (run.id !== this.#run) {
      this.#run = run.id;
      this.#heard &&= { ...this.#heard, place: null };
      this.#lookIn(AT_ONCE);
    }
    return this.#waiting() || (run.status_details ? t("Waiting. {reason}", { reason: run.status_details }) : "");
  }

  async look() {
    clearTimeout(this.#next);
    const number = ++this.#number;
    const heard = document.visibilityState === "visible" ? await this.ask().catch(() => null) : null;
    if (number !== this.#number) return;
    if (heard) this.#hear(heard);
    const isWell = heard?.engine.state === "ready" && !this.isWaiting();
    this.#lookIn(isWell || document.visibilityState === "hidden" ? RARELY : OFTEN);
  }

  #lookIn(milliseconds) {
    clearTimeout(this.#next);
    this.#next = setTimeout(() => this.look(), milliseconds);
  }

  #hear(heard) {
    this.#heard = heard;
    this.onHeard(heard);
    if (this.isIdle()) this.note(heard.engine.sentence && t("Engine: {sentence}", { sentence: heard.engine.sentence }));
    else if (this.isWaiting() && this.#waiting()) this.note(this.#waiting());
  }

  #waiting() {
    const { engine, place } = this.#heard ?? {};
    if (engine?.sentence) return t("Waiting. {reason}", { reason: engine.sentence });
    return place ? t("{ordinal} in the queue", { ordinal: ordinal(place) }) : "";
  }
}

// 3 → "3rd", or as the page's language has it
export function ordinal(n) {
  const isEnglish = !language || language.startsWith("en");
  return isEnglish ? `${n}${SUFFIXES[new Intl.PluralRules("en", { type: "ordinal" }).select(n)]}` : `${n}.`;
}
