// A prompt's page: its variables as rows in place of JSON, and what it says with sample values, while it is typed.
// Without this script the JSON is written by hand, and saving checks the same.

import { element } from "./element.js";

const PAUSE = 300; // milliseconds without a key until it is filled in

const panel = document.getElementById("preview");
const form = document.getElementById("prompt_form");
const box = form?.elements.variables;
const types = JSON.parse(document.getElementById("prompt-types").textContent);
const builtIn = JSON.parse(document.getElementById("prompt-built-in").textContent);
const samples = new Map(); // what was typed for a variable, by its name

function part(name) {
  return panel.querySelector(`[data-${name}]`);
}

// ---------------------------------------------------------------- variables

// Null where the JSON is not a list of objects: then it is edited as it is.
function declared() {
  try {
    const list = JSON.parse(box.value.trim() || "[]");
    const isList = Array.isArray(list) && list.every((one) => one && typeof one === "object" && !Array.isArray(one));
    return isList ? list : null;
  } catch {
    return null;
  }
}

const rows = element("div", { className: "sv-variables" });
let drawn = ""; // the JSON that the rows were made of

function keep(list) {
  box.value = drawn = JSON.stringify(list, null, 2);
  later();
}

function input(label, properties, changed) {
  const made = element("input", { type: "text", autocomplete: "off", ...properties });
  made.addEventListener("input", () => changed(made.type === "checkbox" ? made.checked : made.value));
  return element("label", {}, element("span", { textContent: label }), made);
}

function choice(label, options, value, changed) {
  const made = element("select", {}, ...options.map((one) => element("option", { value: one, textContent: one || "–" })));
  made.value = value;
  made.addEventListener("input", () => changed(made.value));
  return element("label", {}, element("span", { textContent: label }), made);
}

// A list's default and the choices are typed with commas between them.
const asText = (value) => (Array.isArray(value) ? value.join(", ") : value === null || value === undefined ? "" : String(value));
const asList = (text) => text.split(",").map((one) => one.trim()).filter(Boolean);

function row(list, one, place) {
  const set = (name, value) => {
    if (value === "" || value === false) delete one[name];
    else one[name] = value;
    keep(list);
  };
  const reset = (name) => (value) => { set(name, value); draw(); };
  const fields = [
    input("Name", { value: asText(one.name), required: true, maxLength: 64 }, (value) => set("name", value.trim())),
    choice("Type", types, types.includes(one.type) ? one.type : "string", reset("type")),
    input("For people", { value: asText(one.description), maxLength: 512 }, (value) => set("description", value)),
  ];
  if (one.type === "choice") fields.push(input("Choices, with commas", { value: asText(one.choices) }, (value) => set("choices", asList(value))));
  if (!one.required) fields.push(input("Default", { value: asText(one.default) }, (value) => set("default", value)));
  fields.push(input("Required", { type: "checkbox", checked: Boolean(one.required) }, (value) => {
    if (value) delete one.default;
    reset("required")(value);
  }));
  const gone = element("button", { type: "button", className: "sv-link", textContent: "Remove" });
  gone.setAttribute("aria-label", `Remove the variable ${asText(one.name)}`);
  gone.addEventListener("click", () => { list.splice(place, 1); keep(list); draw(); adding()?.focus(); });
  return element("div", { className: "sv-variable", role: "group", ariaLabel: `Variable ${asText(one.name) || place + 1}` }, ...fields, gone);
}

const adding = () => rows.querySelector("[data-add]");

function add(name) {
  const list = declared();
  if (list === null) return;
  list.push({ name, type: "string" });
  keep(list);
  draw();
  if (!name) rows.querySelectorAll(".sv-variable:last-of-type input")[0]?.focus();
}

// Rows are made anew only where their number or kind changes: what is being typed in keeps its place.
function draw() {
  const list = declared();
  if (list === null) {
    rows.replaceChildren(element("p", { className: "sv-bad", textContent: "The JSON below is no list of variables." }));
    return;
  }
  drawn = box.value;
  const focused = rows.contains(document.activeElement) ? [...rows.querySelectorAll("input, select, button")].indexOf(document.activeElement) : -1;
  const more = element("button", { type: "button", className: "sv-link", textContent: "Add a variable" });
  more.dataset.add = "";
  more.addEventListener("click", () => add(""));
  rows.replaceChildren(...list.map((one, place) => row(list, one, place)), more);
  if (focused >= 0) rows.querySelectorAll("input, select, button")[focused]?.focus();
}

// ---------------------------------------------------------------- preview

function sampleOf(one) {
  const changed = (value) => { samples.set(one.name, value); later(); };
  const value = samples.get(one.name) ?? "";
  const label = one.required ? `${one.name} (required)` : one.name;
  if (one.type === "boolean") return choice(label, ["", "true", "false"], value, changed);
  if (one.type === "choice" && Array.isArray(one.choices)) return choice(label, ["", ...one.choices.map(String)], value, changed);
  return input(label, { value, placeholder: one.type === "list" ? "one, two" : asText(one.default) }, changed);
}

let asked = ""; // for which variables there are places to type samples in

function askForSamples() {
  const list = (declared() ?? []).filter((one) => one.name);
  const shape = JSON.stringify(list.map((one) => [one.name, one.type, one.required, one.choices, one.default]));
  if (shape === asked) return;
  asked = shape;
  part("samples").replaceChildren(...list.map(sampleOf));
}

function show(told) {
  const text = part("text");
  const unknown = (told.unknown ?? []).filter((name) => !(name in builtIn));
  part("state").textContent = told.message ?? (told.unused?.length ? `Not used: ${told.unused.join(", ")}.` : "");
  part("state").classList.toggle("sv-bad", Boolean(told.message));
  text.hidden = told.text === undefined;
  if (told.text !== undefined) text.textContent = told.text;
  part("unknown").hidden = unknown.length === 0;
  part("unknown").replaceChildren(...unknown.map((name) => {
    const made = element("button", { type: "button", className: "sv-link", textContent: `Declare ${name}` });
    made.addEventListener("click", () => add(name));
    return made;
  }));
}

let waiting = null;
let number = 0;

async function fill() {
  const mine = ++number;
  const names = new Set((declared() ?? []).map((one) => one.name));
  const values = Object.fromEntries([...samples].filter(([name, value]) => names.has(name) && value !== ""));
  const body = new FormData();
  body.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
  body.append("template", form.elements.template.value);
  body.append("variables", box.value);
  body.append("values", JSON.stringify(values));
  try {
    const answer = await fetch(panel.dataset.address, { method: "POST", body });
    if (!answer.ok) throw new Error(String(answer.status));
    const told = await answer.json();
    if (mine === number) show(told);
  } catch {
    if (mine === number) show({ message: "There is no preview at the moment. Saving checks the text, too." });
  }
}

function later() {
  askForSamples();
  clearTimeout(waiting);
  waiting = setTimeout(fill, PAUSE);
}

if (box) {
  const raw = element("details", { className: "sv-raw" }, element("summary", { className: "sv-note sv-inline", textContent: "Variables as JSON" }));
  box.before(rows, raw);
  raw.append(box);
  raw.open = declared() === null;
  box.addEventListener("input", () => { if (box.value !== drawn) draw(); });
  form.addEventListener("input", later);
  draw();
  askForSamples();
  fill();
}
