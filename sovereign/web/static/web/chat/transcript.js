// The messages on the page, and between them the tools that were used. A message that is being written is text nodes
// that grow; at its end it is formatted.

import { Sources, annotated, listed } from "./annotations.js";
import { picture } from "./files.js";
import { element, formatted } from "./format.js";
import { Tools } from "./tools.js";

const INCOMPLETE = {
  run_cancelled: "Stopped.",
  run_failed: "The answer broke off.",
  run_expired: "The answer took too long and was ended.",
  max_tokens: "The answer reached its limit of length.",
  max_completion_tokens: "The answer reached its limit of length.",
  content_filter: "The answer was cut by a content filter.",
};

export class Transcript {
  #views = new Map(); // message id → { element, body, plain: the text that grows, sources, isFinal }

  // nameOf(assistantId) → the name shown over an answer
  constructor(root, nameOf) {
    Object.assign(this, { root, nameOf });
    this.tools = new Tools();
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
    this.#views.set(message.id, { element: this.pending, body: this.pending.lastChild, isFinal: true });
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
    else if (event === "thread.run.step.delta") this.#withTools(data.id, () => this.tools.grow(data));
    else if (event.startsWith("thread.run.step.") && data.type === "tool_calls") this.#showTools(event, data);
    return null;
  }

  #begin(message) {
    this.hideWaiting();
    this.tools.close(message.run_id);
    const known = this.#views.get(message.id);
    if (known && !known.isFinal) this.#clear(known); // told again from the beginning
    this.root.append(known ? known.element : this.#create(message).element); // behind what was told before it
  }

  #grow({ id, delta }) {
    const view = this.#views.get(id);
    if (!view || view.isFinal) return;
    for (const part of delta.content) {
      if (part.type === "image_file") view.plain.before(picture(part.image_file.file_id));
      const cited = (part.text?.annotations ?? []).filter((annotation) => annotation.file_citation);
      if (cited.length) view.plain.append(...cited.map((annotation) => view.sources.cited(annotation)));
      else this.#write(view.plain, part.text?.value ?? "");
    }
  }

  #write(plain, text) {
    if (plain.lastChild instanceof Text) plain.lastChild.appendData(text);
    else plain.append(text);
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
    const view = { element: frame, body: frame.lastChild, plain: null, sources: null, isFinal: false };
    frame.dataset.id = message.id;
    if (message.run_id) frame.dataset.run = message.run_id;
    this.#views.set(message.id, view);
    if (message.status === "in_progress") {
      frame.classList.add("writing");
      this.#clear(view);
    } else {
      this.#finish(view, message);
    }
    return view;
  }

  #clear(view) {
    view.sources = new Sources();
    view.plain = element("p", { className: "plain" });
    view.body.replaceChildren(view.plain);
  }

  #finish(view, message) {
    if (view.isFinal) return;
    view.isFinal = true;
    view.element.classList.remove("writing");
    const pictures = new Map([...view.body.querySelectorAll("figure")].map((figure) => [figure.dataset.file, figure]));
    const words = message.role === "user" ? "Image" : undefined;
    view.body.replaceChildren(...message.content.map((part) => partOf(part, pictures, words)));
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

  #showTools(event, step) {
    const isNew = event === "thread.run.step.created";
    this.#withTools(step.id, () => this.tools.show(step, { isNew }));
  }

  #withTools(stepId, change) {
    if (!this.tools.has(stepId)) {
      this.hideWaiting();
      this.root.append(this.tools.elementOf(stepId));
    }
    change();
  }

  // The steps of runs that are over, as the server lists them: each goes before the message that came of it.
  addSteps(steps) {
    for (const [runId, ofRun] of Map.groupBy(steps, (step) => step.run_id)) {
      let next = [...this.root.querySelectorAll(`.message[data-run="${CSS.escape(runId)}"]`)].at(-1)?.nextSibling ?? null;
      for (const step of ofRun.toReversed()) {
        const isTools = step.type === "tool_calls";
        const shown = isTools ? this.tools.elementOf(step.id) : this.#views.get(step.step_details.message_creation.message_id)?.element;
        if (isTools) this.tools.show(step);
        if (shown && !shown.isConnected) this.root.insertBefore(shown, next);
        next = shown ?? next;
      }
    }
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

// pictures: those that are on the page already
function partOf(part, pictures, words) {
  const fileId = part.image_file?.file_id;
  if (part.type === "image_file") return pictures.get(fileId) ?? picture(fileId, words);
  if (part.type !== "text") return element("p", { className: "note" }, "[an image]");
  const { text, places, sources } = annotated(part.text);
  const shown = formatted(text, places);
  if (sources.length) shown.append(listed(sources));
  return shown;
}

function timeOf(instant) {
  const isToday = instant.toDateString() === new Date().toDateString();
  const options = isToday ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(undefined, options).format(instant);
}
