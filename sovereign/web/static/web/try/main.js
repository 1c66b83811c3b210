// The page on which an assistant is tried: two conversations, and one box that asks both of them.

import { Api } from "../chat/api.js";
import { element } from "../chat/format.js";
import { say, watchEngine } from "../chat/notices.js";
import { Pair } from "../chat/pair.js";
import { Side } from "./side.js";

const page = JSON.parse(document.getElementById("trying").textContent);
const $ = (id) => document.getElementById(id);
const api = new Api(page.csrf_cookie, page.project);
const draftKey = () => `draft:try:${page.assistant.id}`;
const cases = { isOffered: page.may_make_cases, set: () => $("set").value, onMade: chooseSet };

let pair = null; // the sides tell of themselves before there is one
const roots = [...document.querySelectorAll("[data-side]")];
const sides = roots.map((root) => new Side(root, { api, page, cases, onChange: () => pair?.update(), say }));
pair = new Pair(sides, { draftKey, onUpdate: keepAddress });

// A reload finds again what answers, and both conversations.
function keepAddress() {
  const chosen = new URLSearchParams(sides.map((side) => [side.name, side.choice]));
  $("again").href = `?${chosen}`;
  for (const { name, talk } of sides) if (talk.threadId) chosen.set(`${name}_thread`, talk.threadId);
  history.replaceState(null, "", `?${chosen}`);
}

// The set that the next case goes to is the one that the last went to, also where it was just made.
function chooseSet({ id, name }) {
  if (![...$("set").options].some((option) => option.value === id)) $("set").prepend(element("option", { value: id }, name));
  $("set").value = id;
}

document.addEventListener("keydown", (event) => {
  const hasItsOwn = event.target.matches("input:not([type=radio]), select"); // which clears or closes it
  if (event.key === "Escape" && !hasItsOwn) pair.stop();
});
$("try").classList.add("is-scripted");
watchEngine(() => !sides.some((side) => side.talk.isBusy), () => api.get(page.urls.status));
pair.update();
for (const side of sides) side.load();
