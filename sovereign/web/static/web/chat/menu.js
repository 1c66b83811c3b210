// A menu that a button opens: arrows go through it, Escape and a click elsewhere close it, and the focus goes back.

import { element } from "./format.js";

const GAP = 4; // pixels between the button and the menu
const EDGE = 8; // pixels that stay free at the window's edge

let open = null; // { menu, button, closed: the promise that onClosed() keeps }

// choices: { label, run(), isDangerous } in their order; label: what the menu is called to those who hear it
export function showMenu(button, label, choices) {
  if (open?.button === button) return closeMenu();
  closeMenu();
  const menu = element("div", { className: "menu", popover: "manual" });
  menu.setAttribute("role", "menu");
  menu.setAttribute("aria-label", label);
  menu.append(...choices.map(item));
  menu.addEventListener("keydown", onKey);
  (button.closest("dialog") ?? document.body).append(menu);
  menu.showPopover();
  place(menu, button.getBoundingClientRect());
  button.setAttribute("aria-expanded", "true");
  open = { menu, button };
  open.closed = new Promise((resolve) => { open.onClosed = resolve; });
  menu.firstElementChild.focus();
  return undefined;
}

// Resolves when no menu is open: what is drawn anew under one would take it away from who is at it.
export function menuClosed() {
  return open === null ? Promise.resolve() : open.closed;
}

export function closeMenu({ isFocusKept = false } = {}) {
  if (!open) return;
  const { menu, button, onClosed } = open;
  open = null;
  onClosed();
  menu.remove();
  button.setAttribute("aria-expanded", "false");
  if (!isFocusKept) button.focus();
}

function item({ label, run, isDangerous = false }) {
  const button = element("button", { type: "button", className: isDangerous ? "dangerous" : "", tabIndex: -1 }, label);
  button.setAttribute("role", "menuitem");
  button.addEventListener("click", () => { closeMenu(); run(); });
  return button;
}

// Under the button, or over it where there is no room.
function place(menu, at) {
  const fits = at.bottom + GAP + menu.offsetHeight + EDGE <= innerHeight;
  const top = fits ? at.bottom + GAP : Math.max(EDGE, at.top - GAP - menu.offsetHeight);
  const left = Math.max(EDGE, Math.min(at.right - menu.offsetWidth, innerWidth - menu.offsetWidth - EDGE));
  menu.style.top = `${top}px`;
  menu.style.left = `${left}px`;
}

function onKey(event) {
  const items = [...open.menu.children];
  const at = items.indexOf(document.activeElement);
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
  if (next !== undefined) items.at(next % items.length).focus();
  else if (event.key === "Escape" || event.key === "Tab") closeMenu();
  else return;
  event.preventDefault();
  event.stopPropagation(); // Escape means nothing else then
}

document.addEventListener("pointerdown", (event) => {
  if (open && !open.menu.contains(event.target) && !open.button.contains(event.target)) closeMenu({ isFocusKept: true });
});
addEventListener("resize", () => closeMenu());
