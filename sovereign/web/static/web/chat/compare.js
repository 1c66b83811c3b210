// The page that compares two assistants: one box, two conversations, which are one in the list until somebody goes on
// with one of them.

import { copyText } from "../copy.js";
import { t } from "../words.js";
import { Api } from "./api.js";
import { Keys, copyLast } from "./keys.js";
import { say, watchEngine } from "./notices.js";
import { Once } from "./once.js";
import { Pair } from "./pair.js";
import { showRefusal } from "./problems.js";
import { Sidebar } from "./sidebar.js";
import { SideToggle } from "./side_toggle.js";
import { TalkSide } from "./talk_side.js";
import { Tray } from "./tray.js";

const page = JSON.parse(document.getElementById("page").textContent);
const $ = (id) => document.getElementById(id);
const api = new Api(page.csrf_cookie, page.project);
const once = new Once(api, "compare");
const names = new Map(page.assistants.map((assistant) => [assistant.id, assistant.name]));
const titles = { left: t("Left"), right: t("Right") };

let current = page.current; // the thread that stands for both in the list
let pair = null; // the sides tell of themselves before there is one
const sidebar = new Sidebar(api, page.urls, page.sidebar, {
  current: () => current, title: page.title, say, showRefusal: (refusal) => showRefusal(refusal),
});
const side = new SideToggle(sidebar, $("side-open"), $("side-hide"));
const sides = [...document.querySelectorAll("[data-side]")].map(sideOf);
const draftKey = () => `draft:compare:${current ?? "new"}`;
const tray = new Tray(
  { list: $("tray"), input: $("files"), button: $("attach"), note: $("tray-note"), area: $("main"), box: $("text") },
  { api, limits: page.limits, draftKey, onChange: () => pair?.update(), say },
);
pair = new Pair(sides, { draftKey, tray, look, begin, onUpdate: update });

function sideOf(root) {
  const name = root.dataset.side;
  const made = new TalkSide(root, {
    api, say,
    chatPath: page.urls.chat,
    threadId: page.sides[name],
    nameOf: (id) => names.get(id) ?? t("Assistant"),
    title: titles[name],
    onChange: () => pair?.update(),
    more: () => ({
      onBegun: () => sidebar.refresh(),
      onEnded: () => sidebar.refresh(),
    }),
  });
  made.parts["go-on"].addEventListener("click", () => goOnWith(made));
  made.parts.choice.addEventListener("change", look);
  return made;
}

// What becomes of the files, of those who are asked.
async function look() {
  tray.takes = null;
  const asked = pair.asked.map(({ choice }) => choice);
  const states = asked.map((assistant) => api.get(`${page.urls.chat}state.json?${new URLSearchParams({ assistant })}`));
  const heard = await Promise.all(states).catch(() => null);
  const isOfNow = String(asked) === String(pair.asked.map(({ choice }) => choice));
  if (heard && isOfNow) tray.takes = heard.map(({ takes }) => takes);
}

function update() {
  for (const { talk, parts } of sides) {
    parts["go-on"].hidden = talk.transcript.isEmpty || talk.isBusy;
    parts.choice.disabled = !talk.transcript.isEmpty || talk.isBusy; // who has answered goes on answering
  }
}

// The two threads are made together, when something is asked for the first time.
async function begin() {
  if (current) return true;
  try {
    const { answer: made } = await once.post(page.urls.begin);
    for (const side of sides) side.talk.threadId = made[side.name];
    current = made.left;
    history.replaceState(null, "", `${page.urls.compare}?thread=${encodeURIComponent(current)}`);
    return true;
  } catch (refusal) {
    showRefusal(refusal);
    return false;
  }
}

// Where the focus is, else the left one.
function sideInUse() {
  return sides.find(({ parts }) => parts.messages.closest("section").contains(document.activeElement)) ?? sides[0];
}

async function goOnWith({ talk }) {
  const address = `${page.urls.chat}${encodeURIComponent(talk.threadId)}`;
  try {
    await api.post(`${address}/keep`, { is_chosen: true });
    location.assign(address);
  } catch (refusal) {
    showRefusal(refusal);
  }
}

watchEngine(() => !sides.some((side) => side.talk.isBusy), () => api.get(page.urls.status));
$("ask").addEventListener("change", look);
new Keys($("key-sheet"), {
  actions: {
    n: () => $("new").click(),
    s: () => { side.show(); sidebar.focusSearch(); },
    j: () => sidebar.go(1),
    k: () => sidebar.go(-1),
    b: () => side.toggle(),
    a: () => sideInUse().parts.choice.focus(),
    i: () => pair.composer.focus(),
    u: () => $("attach").click(),
    c: async () => say(await copyLast(sideInUse().parts.messages, (answer) => copyText(answer.innerText, answer))),
  },
  escape: (event) => {
    const hasItsOwn = event.target.matches("input:not([type=radio]), select"); // which clears or closes it
    if (!sidebar.close() && !hasItsOwn) pair.stop();
  },
});
$("keys-open").addEventListener("click", () => $("key-sheet").showModal());
look();
pair.update();
for (const side of sides) side.load();
