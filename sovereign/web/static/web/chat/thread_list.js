// The conversations of the sidebar as elements, under the day that they are of. What an entry is: sovereign/web/chat/sidebar.py.

import { t } from "../words.js";
import { element, icon } from "./format.js";

const MARKS = { // what kind of conversation it is, where it is no usual one
  is_branch: { path: "M7 4v9a4 4 0 0 0 4 4h6m-3-3 3 3-3 3M7 4v16", label: () => t("A branch of another conversation") },
  is_comparison: { path: "M5 5h5v14H5zm9 0h5v14h-5z", label: () => t("Two assistants compared") },
};

// entries, in their order → a heading and a list for each group of them
export function grouped(entries, currentId, onMenu) {
  const parts = [];
  for (const [group, members] of Map.groupBy(entries, (entry) => entry.group)) {
    const heading = element("h2", { className: "group" }, group);
    const list = element("ul");
    list.append(...members.map((entry) => item(entry, entry.id === currentId, onMenu)));
    parts.push(heading, list);
  }
  return parts;
}

function item(entry, isCurrent, onMenu) {
  const link = element("a", { href: entry.address, title: entry.title });
  if (isCurrent) link.setAttribute("aria-current", "page");
  if (entry.is_active) link.append(element("span", { className: "pulse", title: t("An answer is being written") }));
  for (const [kind, meant] of Object.entries(MARKS)) if (entry[kind]) link.append(mark(meant));
  link.append(entry.title);
  const made = element("li");
  made.dataset.thread = entry.id;
  made.append(link, menuButton(entry, onMenu));
  return made;
}

function menuButton(entry, onMenu) {
  const button = element("button", { type: "button", className: "thread-more" });
  button.setAttribute("aria-haspopup", "menu");
  button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-label", t("What to do with “{title}”", { title: entry.title }));
  button.append(icon("M5 12h.01M12 12h.01M19 12h.01"));
  button.addEventListener("click", () => onMenu(entry, button));
  return button;
}

function mark({ path, label }) {
  const made = icon(path);
  made.removeAttribute("aria-hidden");
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", label());
  return made;
}
