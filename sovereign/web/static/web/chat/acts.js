// What can be done with a message: small buttons in one row under it.

import { t } from "../words.js";
import { element, icon } from "./format.js";

// frame: the message's; name: which it is, for there is one of each; path: its icon's; run(button) is what it does
export function actOn(frame, { name, label, path, run }) {
  const row = frame.querySelector(":scope > .acts") ?? rowOf(frame);
  const known = row.querySelector(`[data-act="${name}"]`);
  if (known) return known;
  const button = element("button", { type: "button", className: "act", title: label });
  button.dataset.act = name;
  button.setAttribute("aria-label", label);
  button.append(icon(path));
  button.addEventListener("click", () => run(button));
  row.append(button);
  return button;
}

function rowOf(frame) {
  const row = element("div", { className: "acts" });
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", t("What to do with this message"));
  frame.append(row);
  return row;
}
