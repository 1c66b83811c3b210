// Buttons that copy what stands in an element: <button data-copy="its id" hidden>. Without this script they stay hidden.

import { t } from "./words.js";
import { confirmCopy, copyText } from "./copy.js";

const spoken = document.querySelector("[data-copied]");

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    const copied = await copyText(source.textContent, source);
    confirmCopy(button, copied);
    if (spoken) spoken.textContent = copied ? t("Copied.") : t("Selected. Press Ctrl C to copy.");
  });
}
