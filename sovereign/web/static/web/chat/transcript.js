// The messages on the page, and between them the tools that were used. A message that is being written is text nodes
// that grow; at its end the server's HTML takes its place.

import { confirmMark, copyText } from "../copy.js";
import { language, t } from "../words.js";
import { actOn } from "./acts.js";
import { Sources, annotated, withoutMarks } from "./annotations.js";
import { picture } from "./files.js";
import { element } from "./format.js";
import { Parts } from "./parts.js";
import { Tools } from "./tools.js";
import { Tries } from "./tries.js";

const INCOMPLETE = {
  run_cancelled: t("Stopped."),
  run_failed: t("The answer broke off."),
  run_expired: t("The answer took too long and was ended."),
  max_tokens: t("The answer reached its limit of length."),
  max_completion_tokens: t("The answer reached its limit of length."),
  content_filter: t("The answer was cut by a content filter."),
};

const COPY = "M9 9h11v11H9zM5 15H4V4h11v1";

export class Transcript {
  #views = new Map(); // message id → { element, body, plain: the text that grows, sources, isFinal }

  // nameOf(assistantId) → the name shown over an answer; chips: shows the files of a message; rendered: its texts, as
  // the server's HTML; earlier() loads what was said before
  constructor(root, nameOf, chips = { of: () => null }, rendered = { show() {} }, earlier = () => {}) {
    Object.assign(this, { root, nameOf, chips, rendered });
    this.parts = new Parts(this.#views, earlier);
    this.tools = new Tools();
    this.tries = new Tries(root);
    this.pending = []; // what was sent and is not yet read back from the server: { element, text }
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
    const at = message.role === "user" ? this.pending.findIndex(({ text }) => text === textOf(message)) : -1;
    if (at === -1) return false;
    const [{ element: frame }] = this.pending.splice(at, 1);
    frame.dataset.id = message.id;
    this.#views.set(message.id, { element: frame, body: frame.lastChild, isFinal: true });
    this.#offerCopy(frame, message);
    return true;
  }

  addEarlier(messages, before) {
    const frames = messages.filter((m) => !this.#views.has(m.id)).map((m) => this.#create(m).element);
    for (const frame of frames) frame.classList.add("past"); // drawn when it is seen: there may be thousands
    before.after(...frames);
  }

  // message: as the API will list it
  addPending(message) {
    const frame = this.#frame("user", null);
    this.pending.push({ element: frame, text: textOf(message) });
    this.#put(frame.lastChild, message, message.content.map((part) => partOf(part, new Map(), t("Image"))));
    this.root.append(frame);
  }

  dropPending() {
    this.pending.pop()?.element.remove();
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
    this.tries.mark(frame);
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
    const words = message.role === "user" ? t("Image") : undefined;
    const parts = message.content.map((part) => partOf(part, pictures, words));
    this.#put(view.body, message, parts);
    if (message.role === "assistant") {
      const texts = parts.filter((part) => part.matches(".said"));
      this.rendered.show(message, texts, (before) => this.parts.join(message.id, before));
      this.parts.take(message.id);
    }
    this.#offerCopy(view.element, message);
    if (message.status === "incomplete" && message.role === "assistant") {
      const words = INCOMPLETE[message.incomplete_details?.reason] ?? t("The answer is incomplete.");
      view.element.append(element("p", { className: "ending" }, words));
    }
  }

  // Of an answer in parts all of them are copied.
  #offerCopy(frame, message) {
    const text = message.content.filter((part) => part.type === "text").map((part) => withoutMarks(part.text)).join("\n\n");
    if (!text) return;
    texts.set(frame, text);
    const copy = async (button) => {
      const whole = this.parts.of(message.id).map((id) => texts.get(this.#views.get(id)?.element) ?? "").join("");
      confirmMark(button, await copyText(whole, frame.querySelector(".body")));
    };
    actOn(frame, { name: "copy", label: t("Copy this message"), path: COPY, run: copy });
  }

  #put(body, message, parts) {
    body.replaceChildren(...parts, ...[this.chips.of(message.attachments)].filter(Boolean));
    if (message.role === "user") this.chips.name(body.querySelectorAll(":scope > .picture"));
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
      frame.append(element("h2", { className: "visually-hidden" }, t("You")));
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

  // Whether a run has left a text on the page.
  hasTextOf(runId) {
    const messages = this.root.querySelectorAll(`.message.assistant[data-run="${CSS.escape(runId)}"] .body`);
    return Boolean([...messages].at(-1)?.textContent.trim());
  }

  // The conversation goes on: what could be done about its last ending is past.
  forgetActions() {
    for (const button of this.root.querySelectorAll(":scope > .ending button")) button.remove();
  }

  // How a run ended that did not simply complete; actions: { label, run } for buttons, where run resolves when it is done.
  showEnding(runId, text, { isBad = false, actions = [] } = {}) {
    const ofRun = `[data-run="${CSS.escape(runId)}"]`;
    if (this.root.querySelector(`.ending${ofRun}`)) return;
    for (const said of this.root.querySelectorAll(`.message${ofRun} .ending`)) said.remove(); // once is enough
    const ending = element("div", { className: isBad ? "ending bad" : "ending" });
    ending.dataset.run = runId;
    ending.append(element("span", {}, text));
    const buttons = actions.map(({ label, run }) => {
      const button = element("button", { type: "button" }, label);
      button.addEventListener("click", async () => {
        for (const each of buttons) each.disabled = true;
        await run();
        for (const each of buttons) each.disabled = false;
      });
      return button;
    });
    ending.append(...buttons);
    this.root.append(ending);
  }
}

export function textOf(message) {
  return message.content.map((part) => (part.type === "text" ? part.text.value : t("[an image]"))).join("\n\n");
}

// pictures: those that are on the page already
function partOf(part, pictures, words) {
  const fileId = part.image_file?.file_id;
  if (part.type === "image_file") return pictures.get(fileId) ?? picture(fileId, words);
  if (part.type !== "text") return element("p", { className: "note" }, t("[an image]"));
  const shown = element("div", { className: "said plain" });
  shown.append(...annotated(part.text));
  return shown;
}

const texts = new WeakMap(); // frame of a message → what it says

function timeOf(instant) {
  const isToday = instant.toDateString() === new Date().toDateString();
  const options = isToday ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(language, options).format(instant);
}
