// A message of the person's is written anew where it stands; what it was stays until it is sent.

import { t } from "../words.js";
import { Composer } from "./composer.js";
import { element } from "./format.js";
import { textOf } from "./transcript.js";

const LONGEST = 256_000; // characters of a message, as a thread takes them

export class Editing {
  #isSending = false;

  // frame: the message's; send(content) → whether it was taken
  constructor(frame, message, send) {
    Object.assign(this, { frame, message, send });
    this.key = `draft:edit:${message.id}`;
    this.form = element("form", { className: "editing" });
    const box = element("textarea", { rows: 1, maxLength: LONGEST });
    box.setAttribute("aria-label", t("Your message, otherwise"));
    const send_ = element("button", { className: "primary" }, t("Send on a branch"));
    const cancel = element("button", { type: "button", className: "quiet" }, t("Leave it as it is"));
    const row = element("div", { className: "row" });
    row.append(send_, cancel);
    this.form.append(box, row, element("p", { className: "note" }, t("What was said here stays. A new conversation begins as this one did and goes on with what you write.")));
    cancel.addEventListener("click", () => {
      this.composer.text = ""; // it is not wanted any more
      this.close();
    });
    this.form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.close();
    });
    frame.classList.add("is-edited");
    frame.append(this.form);
    this.composer = new Composer(this.form, box, {
      draftKey: () => this.key, otherwise: textOnly(message), onSend: () => this.#submit(), onInput: () => {},
    });
    box.focus();
  }

  // What was written is there when it is opened again.
  close() {
    this.form.remove();
    this.frame.classList.remove("is-edited");
    this.frame.querySelector("[data-act=edit]")?.focus();
  }

  async #submit() {
    const text = this.composer.text;
    if (!text || this.#isSending) return;
    this.#isSending = true;
    if (await this.send(contentOf(this.message, text))) sessionStorage.removeItem(this.key);
    this.#isSending = false;
  }
}

// What it says, without its pictures.
function textOnly(message) {
  return textOf({ content: message.content.filter((part) => part.type === "text") });
}

// Pictures stay where they were: behind the text.
function contentOf(message, text) {
  const pictures = message.content.filter((part) => part.type !== "text");
  return pictures.length ? [{ type: "text", text }, ...pictures] : text;
}
