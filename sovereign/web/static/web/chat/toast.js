// A short word of what was done, with a way back from it. It stands until that is closed to it, on the next pages of this
// tab, too, and does not go while somebody is at it; those who hear the page are told once.

import { t } from "../words.js";
import { element } from "./format.js";

const KEPT_AS = "undoable"; // of the session's storage: what can be undone still, [{ id, until: milliseconds, … }]

// told: { id, until }, as kept() has it, isTold where it was heard before; undo: { label, run() }; place: the region that
// is read aloud
export function showToast(text, told, undo, { place = document.getElementById("toasts") } = {}) {
  const root = element("div", { className: "toast" });
  if (told.isTold) root.ariaLive = "off";
  let timer = null;
  const hide = () => {
    clearTimeout(timer);
    root.remove();
    forget(told.id);
  };
  const rest = () => clearTimeout(timer);
  const goOn = () => {
    rest();
    if (root.isConnected) timer = setTimeout(hide, Math.max(0, told.until - Date.now()));
  };
  const close = button("×", hide);
  close.setAttribute("aria-label", t("Close this message"));
  root.append(element("p", {}, text), button(undo.label, () => { hide(); undo.run(); }), close);
  for (const come of ["pointerenter", "focusin"]) root.addEventListener(come, rest);
  for (const go of ["pointerleave", "focusout"]) root.addEventListener(go, goOn);
  place.prepend(root);
  goOn();
  keep({ ...told, isTold: true });
}

function button(label, run) {
  const made = element("button", { type: "button" }, label);
  made.addEventListener("click", run);
  return made;
}

// What is to be told on the page that is opened next; told of here it is anyway.
export function keep(told) {
  put([...kept().filter(({ id }) => id !== told.id), told]);
}

// What can be undone still, the oldest first.
export function kept() {
  return JSON.parse(sessionStorage.getItem(KEPT_AS) ?? "[]").filter(({ until }) => until > Date.now());
}

function forget(id) {
  put(kept().filter((told) => told.id !== id));
}

function put(all) {
  sessionStorage.setItem(KEPT_AS, JSON.stringify(all));
}
