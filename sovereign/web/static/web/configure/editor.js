// A place for long texts: <textarea data-editor>. It grows with its text, says how much that is for the model, names
// places to fill in that nothing fills in (data-unfilled says why), and takes the whole screen where one wants it.

import { element } from "../element.js";

const ASCII_IN_TOKEN = 4; // characters; an estimate, for every model cuts texts in its own way
const OTHERS_IN_TOKEN = 1.5;
const CROWDED = 0.5; // of what a model reads at once: beyond it there is little room for a conversation
const PLACE = /\{\{\s*(?:[#^/]\s*)?([A-Za-z_][\w-]*|\.)\s*\}\}/g; // no two \s* beside each other: they would take minutes
const SHOWN = 8; // names

export function tokensIn(text) {
  const others = (text.match(/[^\x00-\x7f]/g) ?? []).length;
  return Math.ceil((text.length - others) / ASCII_IN_TOKEN + others / OTHERS_IN_TOKEN);
}

const number = (value) => value.toLocaleString("en");

// What the chosen model reads at once; nothing where it is not known.
function chosenModel() {
  const radio = document.querySelector('input[name="model"]:checked');
  const context = Number(radio?.dataset.context);
  return context ? { name: radio.value, context } : null;
}

function counted(text, maximum) {
  const tokens = tokensIn(text);
  const model = chosenModel();
  const words = `${number(text.length)} characters, about ${number(tokens)} tokens`;
  if (maximum && text.length > maximum) return [`${words}: at most ${number(maximum)} characters are allowed.`, true];
  if (!model || !tokens) return [words, false];
  const share = `${words} of the ${number(model.context)} that ${model.name} reads at once`;
  if (tokens > model.context) return [`${share}: it is too long for this model.`, true];
  return [tokens > model.context * CROWDED ? `${share}: little room is left for a conversation.` : share, false];
}

function enhance(area) {
  const maximum = Number(area.dataset.maximum) || 0;
  const counts = element("span", { className: "sv-counts" });
  const whole = element("button", { type: "button", className: "sv-link", textContent: "Full screen" });
  const unfilled = element("p", { className: "sv-unfilled", id: `${area.id}_unfilled` });
  const bar = element("div", { className: "sv-editor-bar" }, counts, whole);
  const box = element("div", { className: "sv-editor" });
  area.before(box);
  box.append(area, bar, unfilled);
  area.setAttribute("aria-describedby", [area.getAttribute("aria-describedby"), unfilled.id].filter(Boolean).join(" "));
  whole.setAttribute("aria-pressed", "false");

  function grow() {
    if (box.classList.contains("sv-full")) return;
    const before = document.scrollingElement.scrollTop; // making it small moves the page
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight + 4, innerHeight * 0.6)}px`;
    document.scrollingElement.scrollTop = before;
  }

  function find(place) {
    const found = [...area.value.matchAll(PLACE)].find((match) => match[1] === place);
    if (!found) return;
    area.focus();
    area.setSelectionRange(found.index, found.index + found[0].length);
  }

  function nameUnfilled() {
    if (area.dataset.unfilled === undefined) return;
    const names = [...new Set([...area.value.matchAll(PLACE)].map((match) => match[1]))];
    const buttons = names.slice(0, SHOWN).map((name) => {
      const made = element("button", { type: "button", className: "sv-link", textContent: `{{ ${name} }}` });
      made.setAttribute("aria-label", `Show where ${name} stands`);
      made.addEventListener("click", () => find(name));
      return made;
    });
    unfilled.replaceChildren(...(names.length ? [element("span", { textContent: area.dataset.unfilled }), ...buttons] : []));
  }

  function show() {
    const [words, isBad] = counted(area.value, maximum);
    counts.textContent = words;
    counts.classList.toggle("sv-bad", isBad);
    nameUnfilled();
    grow();
  }

  function toggle(isWhole) {
    box.classList.toggle("sv-full", isWhole);
    document.documentElement.classList.toggle("sv-covered", isWhole);
    whole.setAttribute("aria-pressed", String(isWhole));
    whole.textContent = isWhole ? "Back to the page (Esc)" : "Full screen";
    if (isWhole) area.style.height = "";
    else grow();
    area.focus();
  }

  whole.addEventListener("click", () => toggle(!box.classList.contains("sv-full")));
  box.addEventListener("keydown", (event) => {
    if (!box.classList.contains("sv-full")) return;
    if (event.key === "Escape") {
      event.stopPropagation();
      toggle(false);
    }
    if (event.key !== "Tab") return; // what is behind it is not to be reached
    const stops = [area, ...box.querySelectorAll("button")];
    const next = stops.indexOf(document.activeElement) + (event.shiftKey ? -1 : 1);
    if (next < 0 || next >= stops.length) {
      event.preventDefault();
      stops[(next + stops.length) % stops.length].focus();
    }
  });
  area.addEventListener("input", show);
  document.addEventListener("change", (event) => { if (event.target.name === "model") show(); });
  show();
}

for (const area of document.querySelectorAll("textarea[data-editor]")) enhance(area);
