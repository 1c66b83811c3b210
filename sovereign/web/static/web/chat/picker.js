// Who answers: a button with its name, and a list of all assistants with what they are for, to be searched and walked
// through with the arrow keys. The button has the chosen one's id as its value, and tells of another by "change".

import { t } from "../words.js";
import { element } from "./format.js";

const PAGE = 8; // entries that Page Up and Page Down skip

export class Picker {
  #shown = []; // the entries that the search leaves
  #active = null;

  // assistants: [{ id, name, description, is_at_rest, is_demonstration, status }]
  constructor(button, dialog, assistants) {
    Object.assign(this, { button, dialog, assistants });
    this.name = button.querySelector("[data-name]");
    this.search = dialog.querySelector("[role=combobox]");
    this.list = dialog.querySelector("[role=listbox]");
    this.none = dialog.querySelector("[data-none]");
    this.options = new Map(assistants.map((assistant, index) => [assistant.id, this.#option(assistant, index)]));
    this.list.append(...this.options.values());
    button.addEventListener("click", () => this.open());
    this.search.addEventListener("input", () => this.#find());
    this.search.addEventListener("keydown", (event) => this.#walk(event));
    this.list.addEventListener("click", (event) => this.#take(event.target.closest("[role=option]")));
    this.list.addEventListener("pointermove", (event) => this.#point(event.target.closest("[role=option]")));
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    const first = assistants.find((assistant) => !assistant.is_at_rest);
    if (first) this.choose(first.id);
    else if (assistants.length) this.name.textContent = t("Choose an assistant");
  }

  // Without a word to the page.
  choose(id) {
    this.button.value = id;
    this.name.textContent = this.assistants.find((assistant) => assistant.id === id).name;
    for (const [known, option] of this.options) option.setAttribute("aria-selected", known === id);
  }

  open() {
    if (this.dialog.open || this.button.disabled) return;
    this.search.value = "";
    this.dialog.showModal();
    this.#find();
    this.#point(this.options.get(this.button.value) ?? this.#active);
  }

  #option({ name, description, is_at_rest: isAtRest, is_demonstration: isDemonstration, status }, index) {
    const option = element("li", { id: `assistant-${index}`, className: "option" });
    option.setAttribute("role", "option");
    option.dataset.words = `${name} ${description ?? ""}`.toLowerCase();
    option.append(element("strong", {}, name));
    const aside = isAtRest ? status : isDemonstration ? t("demonstration") : "";
    if (aside) option.append(element("span", { className: "aside" }, aside));
    if (description) option.append(element("span", { className: "what" }, description));
    if (isAtRest) option.setAttribute("aria-disabled", "true");
    return option;
  }

  #find() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const all = [...this.options.values()];
    for (const option of all) option.hidden = !words.every((word) => option.dataset.words.includes(word));
    this.#shown = all.filter((option) => !option.hidden && !option.ariaDisabled);
    this.none.hidden = all.some((option) => !option.hidden);
    this.#point(this.#shown[0]);
  }

  #walk(event) {
    const at = this.#shown.indexOf(this.#active);
    const last = this.#shown.length - 1;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: Math.min(at + PAGE, last), PageUp: Math.max(at - PAGE, 0) }[event.key];
    if (to !== undefined && last >= 0) {
      event.preventDefault();
      this.#point(this.#shown[(to + last + 1) % (last + 1)]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.#take(this.#active);
    }
  }

  #point(option) {
    if (option?.ariaDisabled || (option && option === this.#active && !option.hidden)) return;
    this.#active?.classList.remove("is-active");
    this.#active = option ?? null;
    this.search.setAttribute("aria-activedescendant", option?.id ?? "");
    if (!option) return;
    option.classList.add("is-active");
    option.scrollIntoView({ block: "nearest" });
  }

  #take(option) {
    if (!option || option.ariaDisabled) return;
    const [id] = [...this.options].find(([, one]) => one === option);
    this.dialog.close(); // the focus is on the button again
    if (id === this.button.value) return;
    this.choose(id);
    this.button.dispatchEvent(new Event("change"));
  }
}
