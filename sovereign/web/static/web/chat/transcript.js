// The messages on the page. A message that is being written is one text node that grows; at its end it is formatted.

import { element, formatted } from "./format.js";

const INCOMPLETE = {
  run_cancelled: "Stopped.",
  run_failed: "The answer broke off.",
  run_expired: "The answer took too long and was ended.",
  max_tokens: "The answer reached its limit of length.",
  max_completion_tokens: "The answer reached its limit of length.",
  content_filter: "The answer was cut by a content filter.",
};

export class Transcript {
  #views = new Map(); // message id → { element, body, text: Text, isFinal }
  #tools = new Map(); // step id → { element, calls: [] }

  // nameOf(assistantId) → the name shown over an answer
  constructor(root, nameOf) {
    Object.assign(this, { root, nameOf });
    this.pending = null; // what was sent and is not yet read back from the server
    this.waiting = null; // the place of an answer that has not begun
  }

  get isEmpty() {
    return !this.root.querySelector(".message");
  }

  knows(messageId) {
    return this.#views.has(messageId);
  }

  // Messages as the API lists them, oldest first; those already on the page stay.
  add(messages) {
    for (const message of messages) {
      const known = this.#views.get(message.id);
      if (known && message.status !== "in_progress") this.#finish(known, message);
      if (!known && !this.#adopt(message)) this.root.append(this.#create(message).element);
    }
  }

  // What was sent from here is on the page already, without the id that the server gave it.
  #adopt(message) {
    if (message.role !== "user" || !this.pending || textOf(message) !== this.pendingText) return false;
    this.pending.dataset.id = message.id;
    this.#views.set(message.id, { element: this.pending, body: this.pending.lastChild, text: null, isFinal: true });
    this.pending = null;
    return true;
  }

  addEarlier(messages, before) {
    before.after(...messages.filter((m) => !this.#views.has(m.id)).map((m) => this.#create(m).element));
  }

  addPending(text) {
    this.pendingText = text;
    this.pending = this.#frame("user", null);
    this.pending.lastChild.append(formatted(text));
    this.root.append(this.pending);
  }

  dropPending() {
    this.pending?.remove();
    this.pending = null;
  }

  showWaiting(assistantId) {
    if (this.root.querySelector(".writing")) return;
    this.waiting = this.#frame("assistant", assistantId);
    this.waiting.classList.add("writing");
    this.waiting.lastChild.append(element("p", { className: "plain" }));
    this.root.append(this.waiting);
  }

  hideWaiting() {
    this.waiting?.remove();
    this.waiting = null;
  }

  // One event of a run. Returns the text of a message that this event completed.
  apply(event, data) {
    if (event === "thread.message.created") this.#begin(data);
    else if (event === "thread.message.delta") this.#grow(data);
    else if (event === "thread.message.completed" || event === "thread.message.incomplete") return this.#end(data);
    else if (event === "thread.run.step.delta") this.#growTool(data);
    else if (event.startsWith("thread.run.step.")) this.#showTool(data);
    return null;
  }

  #begin(message) {
    this.hideWaiting();
    const known = this.#views.get(message.id);
    if (known && !known.isFinal) known.text.data = ""; // replayed from the beginning
    if (!known) this.root.append(this.#create(message).element);
  }

  #grow(delta) {
    const view = this.#views.get(delta.id);
    if (!view || view.isFinal) return;
    for (const part of delta.delta.content) view.text.appendData(part.text?.value ?? "");
  }

  #end(message) {
    this.hideWaiting();
    const view = this.#views.get(message.id);
    if (!view) this.root.append(this.#create(message).element);
    else this.#finish(view, message);
    return textOf(message);
  }

  #create(message) {
    const frame = this.#frame(message.role, message.assistant_id, message.created_at);
    const view = { element: frame, body: frame.lastChild, text: document.createTextNode(""), isFinal: false };
    frame.dataset.id = message.id;
    if (message.run_id) frame.dataset.run = message.run_id;
    this.#views.set(message.id, view);
    if (message.status === "in_progress") {
      frame.classList.add("writing");
      const plain = element("p", { className: "plain" });
      plain.append(view.text);
      view.body.append(plain);
    } else {
      this.#finish(view, message);
    }
    return view;
  }

  #finish(view, message) {
    if (view.isFinal) return;
    view.isFinal = true;
    view.element.classList.remove("writing");
    view.body.replaceChildren(formatted(textOf(message)));
    if (message.status === "incomplete" && message.role === "assistant") {
      const words = INCOMPLETE[message.incomplete_details?.reason] ?? "The answer is incomplete.";
      view.element.append(element("p", { className: "ending" }, words));
    }
  }

  #frame(role, assistantId, at = null) {
    const frame = element("article", { className: `message ${role}` });
    if (role === "assistant") {
      const by = element("header", { className: "by" }, this.nameOf(assistantId));
      if (at) {
        const instant = new Date(at * 1000);
        const time = element("time", { dateTime: instant.toISOString() }, timeOf(instant));
        by.append(time);
      }
      frame.append(by);
    } else {
      frame.append(element("h2", { className: "visually-hidden" }, "You"));
    }
    frame.append(element("div", { className: "body" }));
    return frame;
  }

  #growTool(delta) {
    const calls = delta.delta.step_details?.tool_calls ?? [];
    const view = this.#tool(delta.id);
    for (const call of calls) {
      const known = (view.calls[call.index] ??= { function: { name: "", arguments: "", output: null } });
      known.type = call.type;
      known.function.name += call.function?.name ?? "";
      known.function.arguments += call.function?.arguments ?? "";
    }
    this.#renderTool(view);
  }

  #showTool(step) {
    if (step.type !== "tool_calls") return;
    const view = this.#tool(step.id);
    const calls = step.step_details.tool_calls ?? [];
    if (calls.length) view.calls = structuredClone(calls);
    this.#renderTool(view);
  }

  #tool(stepId) {
    if (!this.#tools.has(stepId)) {
      this.hideWaiting();
      const view = { element: element("div", { className: "body" }), calls: [] };
      this.root.append(view.element);
      this.#tools.set(stepId, view);
    }
    return this.#tools.get(stepId);
  }

  #renderTool(view) {
    view.element.replaceChildren(...view.calls.filter(Boolean).map((call) => {
      const details = element("details", { className: "tool" });
      const summary = element("summary", {}, "Calls ");
      summary.append(element("code", {}, call.function?.name || call.type || "a tool"));
      details.append(summary, element("pre", {}, call.file_search ? foundIn(call.file_search) : call.function?.arguments ?? ""));
      if (call.function?.output != null) details.append(element("p", {}, "Answered:"), element("pre", {}, call.function.output));
      return details;
    }));
  }

  // How a run ended that did not simply complete; action: { label, run } for a button.
  showEnding(runId, text, { isBad = false, action = null } = {}) {
    const ofRun = `[data-run="${CSS.escape(runId)}"]`;
    if (this.root.querySelector(`.ending${ofRun}`)) return;
    for (const said of this.root.querySelectorAll(`.message${ofRun} .ending`)) said.remove(); // once is enough
    const ending = element("div", { className: isBad ? "ending bad" : "ending" });
    ending.dataset.run = runId;
    ending.append(element("span", {}, text));
    if (action) {
      const button = element("button", { type: "button" }, action.label);
      button.addEventListener("click", () => { ending.remove(); action.run(); });
      ending.append(button);
    }
    this.root.append(ending);
  }
}

export function textOf(message) {
  return message.content.map((part) => (part.type === "text" ? part.text.value : "[an image]")).join("\n\n");
}

// The files that a search found, best first; its steps say nothing of what it searched for.
function foundIn({ results = [], note = "" }) {
  const lines = results.map((result) => `${result.file_name} (${result.score.toFixed(2)})`);
  return [...(lines.length ? lines : ["Nothing was found."]), note].join("\n").trim();
}

function timeOf(instant) {
  const isToday = instant.toDateString() === new Date().toDateString();
  const options = isToday ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(undefined, options).format(instant);
}
