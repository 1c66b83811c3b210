// The front page: copy buttons, and the engine's state as it is now.

import { t } from "./words.js";
import { confirmCopy, copyText } from "./copy.js";

const WHILE_CHANGING = 2000; // milliseconds between two looks
const WHILE_READY = 5000;

const engine = document.getElementById("engine");
const sentence = document.getElementById("engine-sentence");
const others = document.getElementById("engine-others");

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    const isInput = "value" in source;
    if (isInput) source.select();
    const copied = await copyText(isInput ? source.value : source.textContent, isInput ? null : source);
    confirmCopy(button, copied);
    document.getElementById("spoken").textContent = copied ? t("Copied.") : t("Selected. Press Ctrl C to copy.");
  });
}

// A screen reader hears of a change of state, and not of every second of loading.
function show(summary) {
  if (engine.dataset.state !== summary.state) document.getElementById("spoken").textContent = summary.sentence;
  engine.dataset.state = summary.state;
  if (sentence.textContent !== summary.sentence) sentence.textContent = summary.sentence;
  others.replaceChildren(...summary.engines.slice(1).map((other) => {
    const item = document.createElement("li");
    item.textContent = `${other.name}: ${other.sentence}`;
    return item;
  }));
  others.hidden = summary.engines.length < 2;
  document.getElementById("demonstration").hidden = !summary.is_demonstration;
}

async function look() {
  if (document.visibilityState === "visible") {
    try {
      const answer = await fetch(engine.dataset.url, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      show(await answer.json());
    } catch {
      engine.dataset.state = "down";
      sentence.textContent = t("Sovereign itself does not answer. Is it still running?");
    }
  }
  setTimeout(look, engine.dataset.state === "ready" ? WHILE_READY : WHILE_CHANGING);
}

setTimeout(look, WHILE_CHANGING);
