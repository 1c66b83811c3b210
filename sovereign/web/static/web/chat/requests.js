// What a run waits for, as it is now: a person's approval, or an application. Which of its calls are to be approved the
// server says; where that is not heard, whoever watches the run shows it once more.

import { Approvals, pendingCalls, waitsForApplication } from "./approvals.js";
import { isOver } from "./endings.js";
import * as notices from "./notices.js";

const callsOf = (run) => pendingCalls(run).map((call) => call.id).join();

export class Requests {
  #state = null; // the newest of the run
  #awaited = ""; // ids of the calls that it waited for when it was followed, as long as its log tells of before
  isUnclear = false; // it was not heard what the run waits for

  // ask(run id) → ids of the calls to be approved; submit: as Approvals takes it; tools: the cards of the calls;
  // note(text), say(text): as those of the page; outputs: where a page lets the person answer for the application,
  // show(calls) returns what is to be read aloud of those that are new
  constructor(root, { ask, submit, tools, scroller, note = notices.note, say = notices.say, outputs = null }) {
    Object.assign(this, { root, ask, tools, scroller, note, say, outputs });
    this.approvals = new Approvals(root, submit);
  }

  // A run's log is told from its beginning: what came before that which it waits for now is over.
  follow(state) {
    this.#awaited = callsOf(state);
  }

  isPast(state) {
    if (this.#awaited && callsOf(state) !== this.#awaited) return !isOver(state.status);
    this.#awaited = "";
    return false;
  }

  async show(state) {
    this.#state = state;
    this.isUnclear = false;
    if (state.status !== "requires_action") return this.#put(state, new Set());
    const asked = await this.ask(state.id).catch(() => null);
    if (this.#state !== state) return;
    this.isUnclear = asked === null;
    if (this.isUnclear) return;
    const isOurs = this.outputs !== null && asked.size === 0; // else all of them wait for two
    this.note(isOurs ? "" : waitsForApplication(state, asked));
    this.scroller.keep(() => this.#put(state, asked));
  }

  // What is asked stands under what was done until then, which is told later after a reload.
  keepLast() {
    this.root.append(...this.root.querySelectorAll(":scope > .approval"));
  }

  #put(state, asked) {
    const question = this.approvals.show(state, asked);
    this.tools.wait(this.approvals.waiting);
    const wanted = this.outputs?.show(asked.size ? [] : pendingCalls(state)) ?? "";
    if (question || wanted) this.say(question || wanted);
  }
}
