// A conversation gets another name where it stands: Enter and leaving the field keep it, Escape leaves the old one.

import { t } from "../words.js";
import { element } from "./format.js";

const LONGEST = 120; // characters, as the server takes them

export class Renaming {
  #isDone = false;

  // item: of the list, which shows the field in the place of what it shows; done(title): null for none
  constructor(item, title, done) {
    this.done = done;
    const form = element("form", { className: "renaming" });
    const field = element("input", { type: "text", value: title, maxLength: LONGEST, required: true });
    field.setAttribute("aria-label", t("Name of the conversation"));
    form.append(field);
    item.replaceChildren(form);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#end(field.value.trim());
    });
    field.addEventListener("blur", () => this.#end(field.value.trim()));
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.#end(null);
    });
    field.select();
    field.focus();
  }

  #end(title) {
    if (this.#isDone) return;
    this.#isDone = true;
    this.done(title || null);
  }
}
