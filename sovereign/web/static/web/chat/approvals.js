// Calls that wait for somebody's yes or no: one card each, made from what the run requires, so that they are there
// again after a reload. Which calls these are the server says: a model may call any function by any name. A run takes
// all answers at once: they are sent when the last one is given.

import { language, t } from "../words.js";
import { element } from "./format.js";
import { indented, member, visible } from "./json.js";

const LONGEST_REASON = 500; // characters

export function pendingCalls(run) {
  return run.status === "requires_action" ? run.required_action?.submit_tool_outputs?.tool_calls ?? [] : [];
}

// What nobody can answer here, in a sentence; "" where there is nothing. asked: ids of the calls to be approved.
export function waitsForApplication(run, asked) {
  const names = pendingCalls(run).filter((call) => !asked.has(call.id)).map((call) => visible(call.function.name));
  if (!names.length) return "";
  return t("The assistant waits for the result of {names}, which only an application can give. You can stop it.", { names: names.join(", ") });
}

export class Approvals {
  #cards = new Map(); // call id → Card

  // submit(outputs) sends what submit_tool_outputs takes; it resolves to whether that was accepted
  constructor(root, submit) {
    Object.assign(this, { root, submit });
  }

  get waiting() {
    return new Set(this.#cards.keys());
  }

  // What a run waits for now; asked: ids of the calls to be approved. Returns the question to be read aloud, where it
  // is a new one.
  show(run, asked) {
    const calls = pendingCalls(run);
    const requests = calls.filter((call) => asked.has(call.id));
    const ids = new Set(requests.map((call) => call.id));
    for (const [id, card] of this.#cards) if (!ids.has(id)) this.#drop(id, card);
    const isOurs = requests.length === calls.length; // else an application has to answer, and it answers all of them
    const fresh = requests.filter((call) => !this.#cards.has(call.id));
    for (const call of fresh) this.#cards.set(call.id, new Card(call, run.expires_at, isOurs, () => this.#decided()));
    this.root.append(...fresh.map((call) => this.#cards.get(call.id).element));
    return fresh.map((call) => this.#cards.get(call.id).question).join(" ");
  }

  #drop(id, card) {
    card.element.remove();
    this.#cards.delete(id);
  }

  async #decided() {
    const cards = [...this.#cards.values()];
    const isComplete = cards.every((card) => card.answer);
    for (const card of cards) card.later.hidden = isComplete || !card.answer;
    if (!isComplete) return;
    for (const card of cards) card.lock(true);
    const isTaken = await this.submit(cards.map((card) => ({ tool_call_id: card.id, output: JSON.stringify(card.answer) })));
    if (!isTaken) for (const card of cards) card.lock(false);
  }
}

class Card {
  answer = null; // { approve, reason? }

  // expiresAt: unix seconds of the run's end
  constructor(call, expiresAt, isOurs, onDecision) {
    this.id = call.id;
    this.onDecision = onDecision;
    const asked = JSON.parse(call.function.arguments);
    const [name, server] = [asked.name, asked.server_label].map((word) => visible(String(word)));
    this.question = t("The assistant asks whether it may use {name} of {server}.", { name, server });
    this.element = element("form", { className: "approval", autocomplete: "off" });
    this.element.setAttribute("aria-label", t("Approval"));
    const heading = element("h2", {}, t("May the assistant use {name} of {server}?", { name, server }));
    this.element.append(heading, this.#shownArguments(member(call.function.arguments, "arguments")));
    if (isOurs) this.#offer();
    else this.#note(t("The application that began this answer has to decide."));
    if (expiresAt) this.#note(t("The answer waits until {time}.", { time: timeOf(expiresAt) }));
  }

  #note(words) {
    this.element.append(element("p", { className: "note" }, words));
  }

  #shownArguments(text) {
    const area = element("pre", { tabIndex: 0 }, indented(text || "{}"));
    area.setAttribute("aria-label", t("What it would be given"));
    return area;
  }

  #offer() {
    this.reason = element("input", { type: "text", maxLength: LONGEST_REASON, placeholder: t("Why not? (optional)") });
    this.reason.setAttribute("aria-label", t("Reason for a refusal, which the assistant is told"));
    this.approve = this.#button(t("Approve"), "primary", true);
    this.refuse = this.#button(t("Refuse"), "quiet", false);
    this.element.addEventListener("submit", (event) => { // Enter in the reason
      event.preventDefault();
      this.#decide(false);
    });
    this.reason.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.reason.value = "";
    });
    const choices = element("div", { className: "choices" });
    choices.append(this.approve, this.refuse, this.reason);
    this.later = element("p", { className: "note", hidden: true }, t("Sent as soon as the other questions are answered."));
    this.element.append(choices, this.later);
  }

  #button(label, className, isApproval) {
    const button = element("button", { type: "button", className }, label);
    button.addEventListener("click", () => this.#decide(isApproval));
    return button;
  }

  #decide(isApproval) {
    const reason = this.reason.value.trim();
    this.answer = isApproval ? { approve: true } : { approve: false, ...(reason && { reason }) };
    this.approve.setAttribute("aria-pressed", String(isApproval));
    this.refuse.setAttribute("aria-pressed", String(!isApproval));
    this.onDecision();
  }

  lock(isLocked) {
    for (const control of [this.approve, this.refuse, this.reason]) control.disabled = isLocked;
  }
}

function timeOf(seconds) {
  return new Intl.DateTimeFormat(language, { timeStyle: "short" }).format(new Date(seconds * 1000));
}
