// The small parts of which the chat's scripts make pages.

import { confirmCopy, copyText } from "../copy.js";
import { element } from "../element.js";
import { t } from "../words.js";

export { element };

// Code with its copy button; label: what it is called to those who do not see it.
export function codeFrame(code, label) {
  const pre = element("pre", { tabIndex: 0 });
  pre.setAttribute("aria-label", label);
  pre.append(code);
  const frame = element("div", { className: "code" });
  frame.append(pre, copyButton(code));
  return frame;
}

export function copyButton(code) {
  const copy = element("button", { type: "button" }, t("Copy"));
  copy.dataset.copy = "";
  copy.addEventListener("click", async () => confirmCopy(copy, await copyText(code.textContent, code)));
  return copy;
}

// A drawing of one line, 24 by 24.
export function icon(path) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  made.setAttribute("viewBox", "0 0 24 24");
  made.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  made.append(line);
  return made;
}
