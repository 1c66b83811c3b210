// The dialog in which somebody chooses who is to answer instead: another assistant, version or model.

import { element } from "./format.js";

export class Choosing {
  #heard = 0; // number of the newest question

  // dialog: has a form with selects named assistant, answering and model
  constructor(dialog, { api, address }) {
    Object.assign(this, { dialog, api, address });
    this.form = dialog.querySelector("form");
    this.parts = this.form.elements;
    this.parts.assistant.addEventListener("change", () => this.#offer());
    dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.dialog.close("chosen");
    });
  }

  // What was chosen, as a branch is asked for; null where nothing was.
  ask(assistantId) {
    this.parts.assistant.value = assistantId;
    this.#offer();
    this.dialog.returnValue = "";
    this.dialog.showModal();
    return new Promise((resolve) => {
      this.dialog.addEventListener("close", () => resolve(this.dialog.returnValue === "chosen" ? this.#chosen() : null), { once: true });
    });
  }

  #chosen() {
    const chosen = { assistant_id: this.parts.assistant.value };
    for (const name of ["answering", "model"]) if (this.parts[name].value) chosen[name] = this.parts[name].value;
    return chosen;
  }

  // What there is to choose beside the assistant is known by the server, which tells it to who may choose.
  async #offer() {
    const number = ++this.#heard;
    this.#fill("answering", []);
    const query = new URLSearchParams({ assistant: this.parts.assistant.value });
    const offered = await this.api.get(`${this.address}?${query}`).catch(() => ({ choices: [], models: [] }));
    if (number !== this.#heard) return;
    this.#fill("answering", offered.choices.map(({ value, title }) => [value, title]));
    this.#fill("model", offered.models.map((name) => [name, name]));
  }

  // The first option, which the page has, means what is usual.
  #fill(name, options) {
    const select = this.parts[name];
    const kept = select.value;
    select.replaceChildren(select.options[0], ...options.map(([value, title]) => element("option", { value }, title)));
    if (options.some(([value]) => value === kept)) select.value = kept;
    select.closest("label").hidden = options.length === 0;
  }
}
