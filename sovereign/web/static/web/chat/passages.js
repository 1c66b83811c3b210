// What a citation refers to: its number opens the passage of the file.

import { t } from "../words.js";
import { element } from "./format.js";

export class Passages {
  // root: has the messages; threadId() → of the conversation that it shows
  constructor(api, chatPath, root, threadId) {
    Object.assign(this, { api, chatPath, threadId });
    this.title = element("h2");
    this.title.id = `passage-${crypto.randomUUID()}`;
    this.text = element("div", { className: "passage-text", tabIndex: 0 });
    this.text.setAttribute("role", "region");
    this.text.setAttribute("aria-labelledby", this.title.id);
    this.note = element("p", { className: "note" });
    const close = element("button", { type: "button", className: "quiet" }, t("Close"));
    this.dialog = element("dialog", { className: "passage" });
    this.dialog.setAttribute("aria-labelledby", this.title.id);
    this.dialog.setAttribute("closedby", "any"); // by a click beside it, too
    this.dialog.append(this.title, this.text, this.note, close);
    close.addEventListener("click", () => this.dialog.close());
    root.addEventListener("click", (event) => {
      const number = event.target.closest?.(".cited button[data-annotation]");
      if (number) this.#open(number);
    });
  }

  // The browser gives the focus back to the number when the dialog is closed.
  async #open(number) {
    const message = number.closest(".message").dataset.id;
    const query = new URLSearchParams({ message, annotation: number.dataset.annotation });
    const path = `${this.chatPath}${encodeURIComponent(this.threadId())}/passage.json?${query}`;
    const { data, problem } = await this.api.get(path).catch((refusal) => ({ problem: refusal.message }));
    this.title.textContent = data?.name ?? t("This passage cannot be shown");
    this.text.textContent = data?.text ?? "";
    this.text.hidden = !data;
    this.note.textContent = problem ?? (data.is_deleted ? t("The file was deleted since.") : "");
    this.note.hidden = !this.note.textContent;
    if (!this.dialog.isConnected) document.body.append(this.dialog);
    if (!this.dialog.open) this.dialog.showModal();
  }
}
