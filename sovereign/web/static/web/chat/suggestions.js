// First questions that an assistant suggests, as buttons under its welcome.

import { element } from "./format.js";

// onChosen(text): somebody wants to ask it
export function showSuggestions(root, texts, onChosen) {
  const shown = JSON.stringify(texts);
  if (root.dataset.shown === shown) return; // the focus stays on them
  root.dataset.shown = shown;
  root.hidden = texts.length === 0;
  root.replaceChildren(...texts.map((text) => suggestion(text, onChosen)));
}

function suggestion(text, onChosen) {
  const item = element("li");
  const button = element("button", { type: "button", className: "quiet" }, text);
  button.addEventListener("click", () => onChosen(text));
  item.append(button);
  return item;
}
