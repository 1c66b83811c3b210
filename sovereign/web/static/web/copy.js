// Copy buttons: the clipboard where the browser allows it, a selection where it does not (plain http, old browsers).

import { t } from "./words.js";

export async function copyText(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    if (element) getSelection().selectAllChildren(element);
    return false;
  }
}

export function confirmCopy(button, copied) {
  const before = button.textContent;
  button.textContent = copied ? t("Copied") : t("Press Ctrl C");
  setTimeout(() => { button.textContent = before; }, 1600);
}

// The same at a button that is an icon: what it is called says it for a moment.
export function confirmMark(button, copied) {
  const before = button.getAttribute("aria-label");
  const words = copied ? t("Copied") : t("Press Ctrl C");
  button.dataset.done = copied;
  button.setAttribute("aria-label", words);
  button.title = words;
  setTimeout(() => {
    delete button.dataset.done;
    button.setAttribute("aria-label", before);
    button.title = before;
  }, 1600);
}
