// Answers that took more than one run: what goes on with another stands close below it until it is whole (see Parts), and
// what was made anew is folded away as an earlier try.

import { element } from "./format.js";
import { t } from "../words.js";

export class Tries {
  #continues = new Map(); // run id → the run that it goes on with
  #folded = new Map(); // run id → the button that shows it

  // root: has the messages
  constructor(root) {
    this.root = root;
  }

  // tries: run id → { continues } or { retries }, the id of the run before it
  showAll(tries) {
    for (const [runId, { continues }] of Object.entries(tries ?? {})) if (continues) this.#continues.set(runId, continues);
    for (const [runId, { continues, retries }] of Object.entries(tries ?? {})) {
      if (continues) this.#messagesOf(runId).forEach((message) => this.mark(message));
      if (continues) this.#forgetEnding(continues);
      if (continues) this.#messagesOf(continues).at(-1)?.classList.add("goes-on");
      if (retries) this.#fold(retries);
    }
  }

  // A message that was just made.
  mark(message) {
    message.classList.toggle("continued", this.#continues.has(message.dataset.run));
  }

  #fold(runId) {
    this.#forgetEnding(runId);
    const parts = [];
    for (let id = runId; id; id = this.#continues.get(id)) parts.unshift(...this.#messagesOf(id));
    if (!parts.length || this.#folded.has(runId)) return;
    const button = element("button", { type: "button", className: "quiet try" }, t("An earlier try"));
    this.#folded.set(runId, button);
    const show = (isShown) => {
      button.setAttribute("aria-expanded", String(isShown));
      for (const part of parts) part.hidden = !isShown;
    };
    button.addEventListener("click", () => show(button.getAttribute("aria-expanded") !== "true"));
    parts[0].before(button);
    show(false);
  }

  #forgetEnding(runId) {
    this.root.querySelector(`:scope > .ending[data-run="${CSS.escape(runId)}"]`)?.remove();
  }

  #messagesOf(runId) {
    return [...this.root.querySelectorAll(`.message.assistant[data-run="${CSS.escape(runId)}"]`)];
  }
}
