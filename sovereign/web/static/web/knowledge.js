// Files on pages of the admin: dropped anywhere on the page, sent one by one, and watched while they are read.
// Without this script the same form takes several files, and a link looks again.

import { element } from "./element.js";

const WHILE_BUSY = 1500; // milliseconds between two looks
const AFTER_FAILURE = 5000;

const section = document.getElementById("knowledge");
const form = section.querySelector("[data-drop-form]") ?? document.querySelector("[data-drop-form]");
const zone = section.querySelector("[data-drop]");
const shelf = section.querySelector("[data-contents]");

// ---------------------------------------------------------------- what is in it

let looking = null;

function put(contents) {
  shelf.toggleAttribute("data-busy", contents.is_busy);
  if (shelf.dataset.shown === contents.html) return;
  shelf.dataset.shown = contents.html;
  const focused = shelf.contains(document.activeElement) ? document.activeElement.id : "";
  shelf.innerHTML = contents.html; // made by the server's template, which escapes what others wrote
  if (focused) document.getElementById(focused)?.focus();
}

async function look() {
  clearTimeout(looking);
  let pause = WHILE_BUSY;
  if (document.visibilityState === "visible") {
    try {
      const answer = await fetch(shelf.dataset.contents, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      put(await answer.json());
    } catch {
      pause = AFTER_FAILURE;
    }
  }
  if (shelf.hasAttribute("data-busy")) looking = setTimeout(look, pause);
}

if (shelf?.hasAttribute("data-busy")) looking = setTimeout(look, WHILE_BUSY);

// ---------------------------------------------------------------- sending

const waiting = [];
let isSending = false;

const ENDED = "Your session has ended. Log in again.";
const UNREACHABLE = "Sovereign cannot be reached at the moment.";

function told(text, status) {
  try {
    const answer = JSON.parse(text);
    return answer.message ?? answer.error?.message ?? answer.refused?.[0]?.message ?? "";
  } catch {
    return status === 200 ? ENDED : `Sovereign answered with status ${status}.`; // 200: the page of the login
  }
}

// The bytes go to the storage as they come. Gives the file, or why there is none.
function upload(file, progress) {
  const body = new FormData();
  body.append("purpose", form.elements.purpose?.value ?? "assistants");
  body.append("file", file);
  const project = zone.dataset.project || form.elements.project.value;
  return new Promise((resolve) => {
    const request = new XMLHttpRequest(); // fetch does not tell how much is sent
    request.open("POST", `${zone.dataset.receive}?${new URLSearchParams({ project })}`);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-CSRFToken", form.elements.csrfmiddlewaretoken.value);
    request.upload.addEventListener("progress", ({ loaded, total }) => { progress.value = total ? loaded / total : 0; });
    request.addEventListener("loadend", () => {
      if (request.status === 0) return resolve({ message: UNREACHABLE });
      const message = told(request.responseText, request.status);
      return resolve(message ? { message } : JSON.parse(request.responseText));
    });
    request.send(body);
  });
}

// Put a file that is here already where this page wants it.
async function use(file) {
  const body = new FormData(form);
  body.delete("files");
  body.append("file_ids", file.id);
  try {
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
    const text = await answer.text();
    const message = told(text, answer.status);
    return message ? { message: `${message} The file is under Files.` } : JSON.parse(text);
  } catch {
    return { message: UNREACHABLE };
  }
}

async function send(file, progress) {
  const made = await upload(file, progress);
  return made.message || !shelf ? made : use(made);
}

function line(file) {
  const item = element("li");
  const progress = element("progress", { className: "sv-progress" });
  progress.max = 1;
  progress.value = 0;
  progress.setAttribute("aria-label", file.name);
  item.append(element("span", { className: "sv-file" }, file.name), progress, element("span", { className: "sv-outcome" }, "waiting"));
  zone.querySelector("[data-uploads]").append(item);
  return item;
}

// Whether it was taken.
async function sendNext({ file, item }) {
  const [progress, outcome] = [item.querySelector("progress"), item.querySelector(".sv-outcome")];
  outcome.textContent = "sending";
  const answer = await send(file, progress);
  progress.hidden = true;
  outcome.textContent = answer.message ?? "sent";
  outcome.classList.toggle("sv-bad", Boolean(answer.message));
  if (!answer.message) section.dispatchEvent(new CustomEvent("sent", { detail: answer }));
  if (!answer.message && shelf) {
    item.remove();
    await look();
  }
  return !answer.message;
}

async function sendAll() {
  if (isSending) return;
  isSending = true;
  let [sent, refused] = [0, 0];
  while (waiting.length) {
    if (await sendNext(waiting.shift())) sent += 1;
    else refused += 1;
  }
  isSending = false;
  say(`${sent} sent${refused ? `, ${refused} refused` : ""}.`);
  if (section.dataset.following) {
    if (refused) section.querySelector("[data-done]").hidden = false;
    else window.location.assign(section.dataset.following);
  }
}

function say(text) {
  zone.querySelector("[data-spoken]").textContent = text;
}

function take(files) {
  if (!files.length) return;
  for (const file of files) waiting.push({ file, item: line(file) });
  say(`Sending ${files.length === 1 ? files[0].name : `${files.length} files`}.`);
  sendAll();
}

// ---------------------------------------------------------------- dropping and choosing

function carriesFiles(event) {
  return event.dataTransfer?.types.includes("Files");
}

function watch() {
  const input = zone.querySelector("input[type=file]");
  // before the theme's own listeners: choosing a file is no change of the form around it, nor has its name a place there
  for (const type of ["input", "change"]) {
    document.addEventListener(type, (event) => {
      if (event.target !== input) return;
      event.stopImmediatePropagation();
      if (type === "input") return;
      take([...input.files]);
      input.value = "";
    }, true);
  }
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    zone.classList.add("sv-over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) zone.classList.remove("sv-over");
  });
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    zone.classList.remove("sv-over");
    take([...event.dataTransfer.files]);
  });
}

section.classList.add("sv-scripted"); // shows what needs the script, and hides what stands in for it
if (zone) watch();

// ---------------------------------------------------------------- an assistant's page

// The first files give the assistant the tool file_search: a list of tools that nobody has touched shows it at once.
section.addEventListener("sent", ({ detail }) => {
  const tools = document.getElementById("id_tools");
  if (!detail.tools || !tools || tools.value !== tools.defaultValue) return;
  tools.value = tools.defaultValue = detail.tools;
  const initial = document.getElementById("initial-id_tools");
  if (initial) initial.value = detail.tools;
  const box = document.querySelector('input[name="contract_tools"][value="file_search"]');
  if (!box || box.checked) return;
  box.checked = true;
  const shown = element("input");
  Object.assign(shown, { type: "hidden", name: "initial-contract_tools", value: box.value });
  box.form.append(shown); // as if it had been ticked when the page was shown: taking it back is a change
});
