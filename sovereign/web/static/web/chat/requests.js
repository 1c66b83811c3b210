// What a run waits for, as it is now: a person's approval, or an application. Which of its calls are to be approved the
// server says; where that is not heard, whoever watches the run shows it once more.

import { Approvals, pendingCalls, waitsForApplication } from "./approvals.js";
import { isOver } from "./endings.js";
import { note, say } from "./notices.js";

const callsOf = (run) => pendingCalls(run).map((call) => call.id).join();

export class Requests {
  #state = null; // the newest of the run
  #awaited = ""; // ids of the calls that it waited for when it was followed, as long as its log tells of before
  isUnclear = false; // it was not heard what the run waits for

  // ask(run id) → ids of the calls to be approved; submit: as Approvals takes it; tools: the cards of the calls
  constructor(root, { ask, submit, tools, scroller }) {
    Object.assign(this, { ask, tools, scroller });
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
    note(waitsForApplication(state, asked));
    this.scroller.keep(() => this.#put(state, asked));
  }

  #put(state, asked) {
    const question = this.approvals.show(state, asked);
    this.tools.wait(this.approvals.waiting);
    if (question) say(question);
  }
}
