// One of two conversations beside each other: its parts of the page, and what is said of it there.

import { t } from "../words.js";
import { Conversation } from "./conversation.js";
import { messageOf } from "./draft.js";
import { showProblem, showRefusal } from "./problems.js";

const AGAIN = 1500; // milliseconds until the next try that are worth a word

export class TalkSide {
  // root: has the parts; nameOf(assistantId) → the name over an answer; title: what the side is called to those who hear
  // the page, by say(text); onChange(): something is to be shown anew; more(side) → what else a Conversation is told
  constructor(root, { api, chatPath, threadId, nameOf, title, onChange, say, more = () => ({}) }) {
    this.name = root.dataset.side;
    this.parts = Object.fromEntries([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
    this.talk = new Conversation(api, {
      threadId,
      chatPath,
      places: this.parts,
      nameOf,
      name: this.name,
      onChange: () => { this.#update(); onChange(); },
      onConnection: (state, wait) => this.#showConnection(state, wait),
      onEntered: onChange,
      note: (text) => this.#note(text),
      say: (text) => say(`${title}: ${text}`),
      showProblem: (text, options) => showProblem(text, { ...options, place: this.parts.problem }),
      showRefusal: (refusal) => this.refuse(refusal),
      ...more(this),
    });
    this.parts.choice.addEventListener("change", onChange);
    this.#update();
  }

  // The value of what answers; "" where nothing does.
  get choice() {
    return this.parts.choice.value;
  }

  // files: as messageOf takes them; true where the message was taken.
  ask(text, files = [], assistantId = this.choice) {
    this.talk.chips.know(files);
    return this.talk.send(assistantId, messageOf(text, files));
  }

  async load() {
    if (!this.talk.threadId) return;
    try {
      await this.talk.synchronise();
      this.talk.scroller.stick();
    } catch (refusal) {
      this.refuse(refusal);
    }
  }

  refuse(refusal) {
    showRefusal(refusal, { place: this.parts.problem });
  }

  #update() {
    this.parts.empty.hidden = !this.talk.transcript.isEmpty || this.talk.isBusy;
  }

  #note(text) {
    this.parts.note.textContent = text;
    this.parts.note.hidden = !text;
  }

  #showConnection(state, wait) {
    this.parts.connection.dataset.state = state;
    const words = wait > AGAIN ? t("Connection lost, trying again") : t("Connection lost");
    this.parts["connection-text"].textContent = state === "lost" ? words : "";
  }
}
