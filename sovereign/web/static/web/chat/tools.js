// The tools that an answer uses: one card for each call, which fills while its events come. All of it is text that
// models and tools wrote.

import { Card } from "./card.js";
import { element } from "./format.js";

const STATES = { in_progress: "running", completed: "done", cancelled: "stopped", failed: "stopped", expired: "stopped" };

export class Tools {
  #steps = new Map(); // step id → { element, run, cards: [] }

  has(stepId) {
    return this.#steps.has(stepId);
  }

  // The place of a step's cards on the page, made where there is none yet.
  elementOf(stepId) {
    return this.#view(stepId).element;
  }

  // A delta of a step: the calls that it is about become longer.
  grow({ id, delta }) {
    for (const call of delta.step_details?.tool_calls ?? []) this.#card(id, call.index).grow(call);
  }

  // A step of the API, or of the list of a conversation's steps, which also tells what was asked.
  show(step, { isNew = false } = {}) {
    const view = this.#view(step.id);
    view.run = step.run_id;
    const calls = step.step_details.tool_calls ?? [];
    if (isNew) this.#clear(view); // told again from its beginning
    const state = STATES[step.status] ?? "running";
    calls.forEach((call, index) => this.#card(step.id, index).show(call, state, step.asked?.[call.id]));
  }

  // ids: of the calls that wait for somebody's approval
  wait(ids) {
    for (const view of this.#steps.values()) for (const card of view.cards) card?.wait(ids);
  }

  // The answer begins: what it was made with steps back, but for what somebody has opened or closed.
  close(runId) {
    for (const view of this.#steps.values()) {
      if (view.run === runId) for (const card of view.cards) card?.close();
    }
  }

  #view(stepId) {
    if (!this.#steps.has(stepId)) {
      this.#steps.set(stepId, { element: element("div", { className: "tools" }), run: null, cards: [] });
    }
    return this.#steps.get(stepId);
  }

  #card(stepId, index) {
    const view = this.#view(stepId);
    if (!view.cards[index]) {
      view.cards[index] = new Card();
      view.element.append(view.cards[index].element);
    }
    return view.cards[index];
  }

  #clear(view) {
    view.cards = [];
    view.element.replaceChildren();
  }
}
