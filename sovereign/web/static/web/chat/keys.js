// The keys of the page, each with Alt anywhere, and alone where nobody writes; and the sheet that lists them.

import { t } from "../words.js";

const OFF = "keys-off"; // in the browser's storage, as the admin has it: somebody dictates, and their words are no keys
const TYPED_IN = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]";

export class Keys {
  // actions: letter → what it does; escape(): what is open is closed, or else stopped; sheet: the dialog that lists them
  constructor(sheet, { actions, escape }) {
    Object.assign(this, { sheet, actions: { ...actions, "?": () => this.openSheet() }, escape });
    const off = sheet.querySelector("[data-off]");
    off.checked = isOff();
    off.addEventListener("change", () => localStorage.setItem(OFF, off.checked ? "1" : "0"));
    sheet.addEventListener("click", (event) => { if (event.target === sheet) sheet.close(); });
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  openSheet() {
    if (!this.sheet.open) this.sheet.showModal();
  }

  #press(event) {
    if (event.isComposing || document.querySelector("dialog[open], [popover]:popover-open")) return; // it has its own
    if (event.key === "Escape") return this.escape(event);
    const action = this.actions[letterOf(event)];
    const isMeant = event.altKey || (!isOff() && !event.target.matches(TYPED_IN));
    if (!action || !isMeant || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
    event.preventDefault();
    action();
  }
}

// With Alt some keyboards write another sign: there the key's place counts.
function letterOf(event) {
  if (event.key === "?" || (event.altKey && event.shiftKey && event.code === "Slash")) return "?";
  if (event.shiftKey) return "";
  return event.altKey && event.code.startsWith("Key") ? event.code.at(-1).toLowerCase() : event.key;
}

function isOff() {
  return localStorage.getItem(OFF) === "1";
}

// The text of the newest answer goes to the clipboard; what is to be said of it.
export async function copyLast(messages, copy) {
  const answer = [...messages.querySelectorAll(".message.assistant:not(.writing) .body")].at(-1);
  if (!answer) return t("There is no answer yet.");
  return (await copy(answer)) ? t("The last answer is copied.") : t("It could not be copied.");
}
