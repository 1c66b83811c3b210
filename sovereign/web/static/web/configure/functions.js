// An assistant's own functions as forms in place of JSON; each is checked while it is typed. Without this script the
// list is written by hand, and saving checks the same.

import { element } from "../element.js";

const PAUSE = 400; // milliseconds without a key until it is checked

const box = document.querySelector("textarea[data-functions]");
const rows = document.createElement("div");
rows.className = "sv-functions";
let drawn = ""; // the JSON that the rows were made of

// All tools; null where the JSON is no list of them: then it is edited as it is.
function listed() {
  try {
    const list = JSON.parse(box.value.trim() || "[]");
    return Array.isArray(list) && list.every((one) => one && typeof one === "object") ? list : null;
  } catch {
    return null;
  }
}

const functionsOf = (list) => list.filter((tool) => tool.type === "function" && tool.function && typeof tool.function === "object");

function keep(list) {
  box.value = drawn = JSON.stringify(list, null, 2);
  box.dispatchEvent(new Event("change", { bubbles: true }));
}

// Somebody else may have written to the list meanwhile: it is read anew for every change.
function change(place, made) {
  const list = listed();
  const found = list && functionsOf(list)[place];
  if (!found) return;
  made(found.function, list, found);
  keep(list);
}

function field(label, control) {
  control.setAttribute("aria-label", label);
  return element("label", {}, element("span", { textContent: label }), control);
}

const asked = new WeakMap(); // how often each row was checked: the last answer counts

async function check(row, parts) {
  const number = (asked.get(row) ?? 0) + 1;
  asked.set(row, number);
  const body = new FormData();
  body.append("csrfmiddlewaretoken", box.form.elements.csrfmiddlewaretoken.value);
  body.append("name", parts.name.value);
  body.append("description", parts.description.value);
  body.append("parameters", parts.parameters.value);
  if (parts.strict.checked) body.append("strict", "on");
  try {
    const answer = await fetch(box.dataset.functions, { method: "POST", body });
    if (!answer.ok) throw new Error(String(answer.status));
    const problem = await answer.json();
    if (number === asked.get(row)) tell(row, parts, problem);
  } catch {
    if (number === asked.get(row)) tell(row, parts, {}); // saving will say it
  }
}

function tell(row, parts, problem) {
  const told = row.querySelector("[data-told]");
  told.textContent = problem.message ?? "";
  for (const name of ["name", "description", "parameters"]) {
    const isWrong = problem.field === name;
    parts[name].setAttribute("aria-invalid", String(isWrong));
    if (isWrong) parts[name].closest("label").append(told);
  }
}

function row(given, place, isOpen) {
  const parts = {
    name: element("input", { type: "text", value: given.name ?? "", autocomplete: "off", spellcheck: false, maxLength: 64 }),
    description: element("textarea", { rows: 2, value: given.description ?? "" }),
    parameters: element("textarea", {
      rows: 8, className: "sv-code", spellcheck: false,
      value: JSON.stringify(given.parameters ?? { type: "object", properties: {} }, null, 2),
    }),
    strict: element("input", { type: "checkbox", checked: Boolean(given.strict) }),
  };
  const title = element("span", { className: "sv-name", textContent: given.name || "a new function" });
  const told = element("span", { className: "sv-bad", role: "status" });
  told.dataset.told = "";
  const gone = element("button", { type: "button", className: "sv-link", textContent: "Remove" });
  gone.setAttribute("aria-label", `Remove the function ${given.name ?? ""}`);
  const made = element("details", { className: "sv-function", open: isOpen },
    element("summary", {}, title),
    field("Name", parts.name),
    field("What it does, and when to use it", parts.description),
    field("Arguments, as a JSON schema", parts.parameters),
    element("label", { className: "sv-allow" }, parts.strict, element("span", { textContent: "The model has to keep to the schema (strict)" })),
    told, gone);

  let waiting = null;
  const later = () => { clearTimeout(waiting); waiting = setTimeout(() => check(made, parts), PAUSE); };
  parts.name.addEventListener("input", () => {
    title.textContent = parts.name.value || "a new function";
    change(place, (one) => { one.name = parts.name.value.trim(); });
  });
  parts.description.addEventListener("input", () => change(place, (one) => { one.description = parts.description.value; }));
  parts.strict.addEventListener("input", () => change(place, (one) => { one.strict = parts.strict.checked; }));
  parts.parameters.addEventListener("input", () => change(place, (one) => {
    try {
      one.parameters = JSON.parse(parts.parameters.value || "{}");
    } catch {
      one.parameters = parts.parameters.value; // saving says that it is no schema, and nothing typed is lost
    }
  }));
  made.addEventListener("input", later);
  gone.addEventListener("click", () => {
    change(place, (one, list, tool) => list.splice(list.indexOf(tool), 1));
    draw();
    rows.querySelector("[data-add]")?.focus();
  });
  return made;
}

function add() {
  const list = listed() ?? [];
  list.push({ type: "function", function: { name: "", description: "", parameters: { type: "object", properties: {}, required: [] }, strict: false } });
  keep(list);
  draw(functionsOf(list).length - 1);
  [...rows.querySelectorAll(".sv-function")].at(-1).querySelector("input").focus();
}

function draw(open = -1) {
  const list = listed();
  const opened = [...rows.querySelectorAll(".sv-function")].map((one) => one.open);
  drawn = box.value;
  if (list === null) {
    rows.replaceChildren(element("p", { className: "sv-bad", textContent: "The JSON below is no list of tools." }));
    return;
  }
  const functions = functionsOf(list);
  const more = element("button", { type: "button", className: "sv-button sv-quiet", textContent: "Add a function" });
  more.dataset.add = "";
  more.addEventListener("click", add);
  const none = element("p", { className: "sv-note sv-inline", textContent: "It has none of its own." });
  rows.replaceChildren(...(functions.length ? functions.map((one, place) => row(one.function, place, place === open || (opened[place] ?? false))) : [none]), more);
}

if (box) {
  const raw = element("details", { className: "sv-raw" }, element("summary", { className: "sv-note sv-inline", textContent: "All tools as JSON" }));
  box.before(rows, raw);
  raw.append(box);
  raw.open = listed() === null || document.querySelector(".field-tools .errors, .field-tools .text-red-600") !== null;
  for (const kind of ["input", "change"]) box.addEventListener(kind, () => { if (box.value !== drawn) draw(); });
  draw();
}
