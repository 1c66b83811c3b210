// The chat page: one conversation, the box for the text, and the list of the others.

import { copyText } from "../copy.js";
import { Api } from "./api.js";
import { Branching } from "./branching.js";
import { Choosing } from "./choosing.js";
import { Circumstances } from "./circumstances.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { excess, showCount } from "./counter.js";
import { messageOf } from "./draft.js";
import { Gauge } from "./gauge.js";
import { note, say, showConnection, speech } from "./notices.js";
import { showProblem, showRefusal } from "./problems.js";
import { keepOfflinePage } from "./offline_page.js";
import { Origins } from "./origins.js";
import { Queue } from "./queue.js";
import { Keys, copyLast } from "./keys.js";
import { Picker } from "./picker.js";
import { Share } from "./share.js";
import { Sidebar } from "./sidebar.js";
import { SideToggle } from "./side_toggle.js";
import { showSuggestions } from "./suggestions.js";
import { Thumbs } from "./thumbs.js";
import { Tray, usedBy } from "./tray.js";
import { t } from "../words.js";

const page = JSON.parse(document.getElementById("page").textContent);
const CHOSEN = "chosen-assistant"; // kept over a reload: [the conversation, who was chosen for its next message]
const outgoing = []; // what was sent and not yet taken, in order: { message, files, assistantId, environment: who was to answer }
const $ = (id) => document.getElementById(id);

const api = new Api(page.csrf_cookie, page.project);
const assistants = new Map(page.assistants.map((assistant) => [assistant.id, assistant]));
const thumbs = new Thumbs(api, $("messages"), { onRefusal: (refusal) => showRefusal(refusal), say });
const origins = new Origins($("messages"));
const talk = new Conversation(api, {
  threadId: page.thread,
  chatPath: page.urls.chat,
  places: { messages: $("messages"), scroll: $("scroll"), latest: $("latest"), earlier: $("earlier") },
  nameOf: (id) => assistants.get(id)?.name ?? t("Assistant"),
  hasQueue: true,
  onAnswered: () => composer.focus(),
  onBegun,
  onChange: update,
  onConnection: showConnection,
  onEnded: (run) => { thumbs.show(run.id); refreshSidebar(); gauge.load(talk.threadId); branching.load(); },
  onEntered: (threadId) => { history.replaceState(null, "", `${page.urls.chat}${threadId}`); share.update(); },
  onThread: (thread) => queue.show(thread.queue),
  onWaiting: (waiting) => queue.take(waiting),
  onHeard: (heard) => { thumbs.showAll(heard.ratings, heard.comments); origins.showAll(heard.origins); },
  waitingWords: (run) => circumstances.wordsFor(run),
  note, say, speech, showProblem,
  showRefusal: (refusal) => showRefusal(refusal),
});
const queue = new Queue(api, $("queue"), {
  pathOf: () => `${page.urls.chat}${encodeURIComponent(talk.threadId)}`,
  isBusy: () => talk.isBusy,
  onLost: (text) => { composer.putBack(text); update(); },
  onRefusal: (refusal) => showRefusal(refusal),
  say,
});
const share = new Share(api, $("share"), $("share-sheet"), {
  pathOf: () => talk.threadId && `${page.urls.chat}${encodeURIComponent(talk.threadId)}`, say,
});
const draftKey = () => `draft:${talk.threadId ?? "new"}`;
const picker = new Picker($("assistant"), $("picker"), page.assistants);
const sidebar = new Sidebar(api, page.urls, page.sidebar, {
  current: () => talk.threadId, title: page.title, onChange: () => update(), say, showRefusal: (refusal) => showRefusal(refusal),
});
const side = new SideToggle(sidebar, $("side-open"), $("side-hide"));
const branching = new Branching($("messages"), {
  api,
  chatPath: page.urls.chat,
  threadId: () => talk.threadId,
  who: () => ({ assistant_id: $("assistant").value, answering: $("environment")?.value }),
  choosing: new Choosing($("choosing"), { api, address: page.urls.answering }),
  earlier,
  showRefusal: (refusal) => showRefusal(refusal),
});
const composer = new Composer($("composer"), $("text"), { draftKey, onSend: send, onInput });
const tray = new Tray(
  { list: $("tray"), input: $("files"), button: $("attach"), note: $("tray-note"), area: $("main"), box: $("text") },
  { api, limits: page.limits, draftKey, onChange: update, say },
);
const gauge = new Gauge($("gauge"), { ask: (threadId) => api.get(`${page.urls.chat}${encodeURIComponent(threadId)}/context.json`) });
const circumstances = new Circumstances({
  ask: () => api.get(`${page.urls.chat}state.json?${new URLSearchParams(whatAnswers())}`),
  isWaiting: () => talk.status === "queued",
  isIdle: () => !talk.isBusy,
  onHeard: (heard) => { tray.takes = [heard.takes]; },
  note,
});

// ------------------------------------------------------------------ what is shown

function update() {
  $("stop").hidden = !talk.isBusy;
  $("send").hidden = talk.isBusy && !(talk.threadId && (composer.text || tray.hasImages)); // what is written now waits
  $("send").title = talk.isBusy ? t("Sent when this answer is finished") : "";
  queue.update();
  $("stop").disabled = !talk.canStop;
  $("stop").lastChild.textContent = talk.isStopping ? t("Stopping") : t("Stop");
  $("send").disabled = !(composer.text || tray.hasImages) || excess(composer.text) > 0 || !assistants.has($("assistant").value);
  showCount($("count"), composer.text);
  $("welcome").hidden = !talk.transcript.isEmpty || talk.isBusy;
  const chosen = assistants.get($("assistant").value);
  $("welcome-name").textContent = chosen ? chosen.name : t("Welcome");
  $("welcome-description").textContent = chosen?.description ?? "";
  showSuggestions($("suggestions"), chosen?.suggestions ?? [], suggest);
  $("demonstration").hidden = !chosen?.is_demonstration;
  showPlaces(chosen?.deployed ?? {});
  $("title").textContent = sidebar.titleOf(talk.threadId) ?? t("New conversation");
  document.title = `${talk.isBusy ? "… " : ""}${sidebar.titleOf(talk.threadId) ?? t("Chat")} · Sovereign`;
}

// deployed: environment → the number of the version that answers there; where nothing is, only the usual place answers
function showPlaces(deployed) {
  for (const option of $("environment")?.options ?? []) {
    if (option.value === "draft") continue;
    const title = (option.dataset.title ??= option.textContent);
    const none = option.index === 0 ? t("draft") : t("nothing deployed");
    const number = deployed[option.value];
    option.textContent = `${title}: ${number ? t("version {number}", { number }) : none}`;
  }
}

// ------------------------------------------------------------------ what the person does

async function send() {
  if (!maySend()) return;
  if (tray.isUnclear) {
    await circumstances.look();
    if (!maySend()) return; // it was sent, or emptied, meanwhile
  }
  if (tray.obstacle) return tray.tell(tray.obstacle);
  const text = composer.take();
  const files = tray.take();
  talk.chips.know(files);
  outgoing.push({ message: messageOf(text, usedBy(files)), files, ...whoIsAsked() });
  if (outgoing.length === 1) await sendAll();
}

function maySend() {
  const isFirstOnItsWay = talk.isBusy && !talk.threadId;
  return (composer.text !== "" || tray.hasImages) && !$("send").disabled && !isFirstOnItsWay;
}

// One after the other, in order: where one is not taken, those behind it are not sent either.
async function sendAll() {
  while (outgoing.length && (await deliver(outgoing[0]))) {
    outgoing.shift();
    composer.forget();
    tray.forget();
  }
  if (!outgoing.length) return;
  const files = outgoing.splice(0).flatMap((unsent) => unsent.files);
  composer.restore();
  tray.putBack(files);
  update();
}

// True where it was taken: begun, or put behind what goes before it.
function deliver({ message, assistantId, environment }) {
  const who = { assistantId, environment };
  const isBehind = (talk.isBusy || queue.isFlowing) && !talk.mayHave(assistantId, message, environment);
  const waits = isBehind || queue.mayHave(message, who); // also where it has been sent since: it is not said twice
  return waits ? queue.add(message, who) : talk.send(assistantId, message, environment);
}

function onInput() {
  for (const { once } of [talk, queue]) once.forget();
  update();
}

// Chosen when it is sent, not when its turn comes. Who may not choose an environment gets what is in production.
function whoIsAsked() {
  return { assistantId: $("assistant").value, environment: $("environment")?.value ?? null };
}

// What stands in the box already is not lost: then the question joins it.
function suggest(text) {
  composer.putBack(text);
  composer.focus();
  update();
  if (composer.text === text) send();
}

function onBegun(run) {
  localStorage.setItem("assistant", run.assistant_id);
  sessionStorage.removeItem(CHOSEN);
  refreshSidebar();
}

// What the address of a new conversation names, or who answered last in an older one; and who was chosen here since.
function whoWasMeant() {
  const [threadId, chosen] = JSON.parse(sessionStorage.getItem(CHOSEN) ?? "[]");
  if (threadId !== talk.threadId) return [page.assistant];
  return talk.threadId ? [chosen, page.assistant] : [page.assistant, chosen];
}

function refreshSidebar() {
  sidebar.refresh();
}

// The assistant, environment and thread that the next answer is of.
function whatAnswers() {
  const asked = { assistant: $("assistant").value, environment: $("environment")?.value, thread: talk.threadId };
  return Object.entries(asked).filter(([, value]) => value);
}

// What was said before; false where that is all.
async function earlier() {
  if ($("earlier").hidden) return false;
  await talk.past.loadEarlier(talk.threadId);
  return true;
}

async function stop() {
  if (!talk.canStop) return;
  await talk.stop();
  composer.focus();
}

// ------------------------------------------------------------------ wiring

$("stop").addEventListener("click", stop);
for (const choice of [$("assistant"), $("environment")]) {
  choice?.addEventListener("change", () => { tray.takes = null; circumstances.look(); });
}
new Keys($("key-sheet"), {
  actions: {
    n: () => $("new").click(),
    s: () => { side.show(); sidebar.focusSearch(); },
    j: () => sidebar.go(1),
    k: () => sidebar.go(-1),
    b: () => side.toggle(),
    a: () => picker.open(),
    i: () => composer.focus(),
    u: () => $("attach").click(),
    c: async () => say(await copyLast($("messages"), (answer) => copyText(answer.innerText, answer))),
  },
  escape: (event) => {
    const hasItsOwn = event.target.matches("input, select"); // which clears or closes it
    if (!sidebar.close() && !hasItsOwn) stop();
  },
});
$("keys-open").addEventListener("click", () => $("key-sheet").showModal());

$("assistant").addEventListener("change", () => sessionStorage.setItem(CHOSEN, JSON.stringify([talk.threadId, $("assistant").value])));
const wanted = [...whoWasMeant(), localStorage.getItem("assistant")].find((id) => assistants.get(id)?.is_at_rest === false);
if (wanted) picker.choose(wanted);
circumstances.look();
update();
if (talk.threadId) {
  $("welcome").hidden = true;
  talk.synchronise().then(async () => {
    talk.scroller.stick();
    await branching.load();
    return branching.reveal(location.hash.slice(1));
  }).catch((refusal) => showRefusal(refusal));
  gauge.load(talk.threadId);
}
keepOfflinePage(page.urls.chat);
