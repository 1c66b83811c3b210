// The chat page: what the person does, and what the run does meanwhile.

import { Api, Refused } from "./api.js";
import { Composer } from "./composer.js";
import { formattedEnding, isOver } from "./endings.js";
import { History } from "./history.js";
import { note, say, showConnection, watchEngine } from "./notices.js";
import { showProblem, showRefusal } from "./problems.js";
import { Origins } from "./origins.js";
import { Requests } from "./requests.js";
import { Scroller } from "./scroller.js";
import { Sidebar } from "./sidebar.js";
import { ThreadStream } from "./stream.js";
import { Thumbs } from "./thumbs.js";
import { Transcript, textOf } from "./transcript.js";

const WATCH = 2000; // milliseconds between two looks at a run that waits, or whose socket is away
const page = JSON.parse(document.getElementById("page").textContent);
const $ = (id) => document.getElementById(id);

const api = new Api(page.csrf_cookie);
const assistants = new Map(page.assistants.map((assistant) => [assistant.id, assistant]));
const sidebar = new Sidebar(api, page.urls);
const scroller = new Scroller($("scroll"), $("latest"));
const transcript = new Transcript($("messages"), (id) => assistants.get(id)?.name ?? "Assistant");
const thumbs = new Thumbs(api, $("messages"), { onRefusal: showRefusal, say });
const origins = new Origins($("messages"));
const past = new History(api, transcript, scroller, $("earlier"), page.urls.chat, {
  onHeard: (heard) => { thumbs.showAll(heard.ratings, heard.comments); origins.showAll(heard.origins); },
});
const requests = new Requests($("messages"), {
  ask: (runId) => past.requests(threadId, runId), submit: answerRequests, tools: transcript.tools, scroller,
});

let threadId = page.thread;
let stream = null;
let run = null; // { id, status }: the answer that is being made
let isSending = false;
let isStopping = false;
let watching = null;
const composer = new Composer($("composer"), $("text"), {
  draftKey: () => `draft:${threadId ?? "new"}`, onSend: send, onInput: update,
});

// ------------------------------------------------------------------ what is shown

function update() {
  const isBusy = run !== null || isSending;
  $("stop").hidden = !isBusy;
  $("send").hidden = isBusy;
  $("stop").disabled = isStopping || run === null;
  $("stop").lastChild.textContent = isStopping ? "Stopping" : "Stop";
  $("send").disabled = !composer.text || !assistants.has($("assistant").value);
  $("welcome").hidden = !transcript.isEmpty || isBusy;
  const chosen = assistants.get($("assistant").value);
  $("welcome-name").textContent = chosen ? chosen.name : "Welcome";
  $("welcome-description").textContent = chosen?.description ?? "";
  $("demonstration").hidden = !chosen?.is_demonstration;
  showPlaces(chosen?.deployed ?? {});
  $("title").textContent = sidebar.titleOf(threadId) ?? "New conversation";
  document.title = `${isBusy ? "… " : ""}${sidebar.titleOf(threadId) ?? "Chat"} · Sovereign`;
}

// deployed: environment → the number of the version that answers there; where nothing is, only the usual place answers
function showPlaces(deployed) {
  for (const option of $("environment")?.options ?? []) {
    if (option.value === "draft") continue;
    const title = (option.dataset.title ??= option.textContent);
    const none = option.index === 0 ? "draft" : "nothing deployed";
    option.textContent = `${title}: ${deployed[option.value] ? `version ${deployed[option.value]}` : none}`;
  }
}

function onConnection(state, wait) {
  showConnection(state, wait);
  if (state === "lost" && run === null) checkAccess();
}

async function checkAccess() {
  try {
    await api.get(`/v1/threads/${threadId}`);
  } catch (refusal) {
    if (refusal.status) showRefusal(refusal); // unreachable: the connection's own state says it
  }
}

// ------------------------------------------------------------------ the run

function follow(newRun) {
  run = { id: newRun.id, assistantId: newRun.assistant_id };
  stream ??= new ThreadStream(threadId, { onEvent, onState: onConnection, onRefusal });
  stream.follow(newRun.id, 0);
  transcript.showWaiting(newRun.assistant_id);
  onRun(newRun);
  requests.follow(newRun);
  scroller.stick();
  update();
}

function onEvent(runId, event, data) {
  scroller.keep(() => {
    const completed = transcript.apply(event, data);
    if (completed !== null) say(completed);
    const isRun = event.startsWith("thread.run.") && !event.startsWith("thread.run.step.");
    if (isRun && !requests.isPast(data)) onRun(data);
  });
  if (event === "thread.run.step.completed" && data.type === "tool_calls") afterTools(data);
}

// What the events do not say of tools: what was searched for, and how long it took.
function afterTools(step) {
  if (run?.id === step.run_id && run.status !== "requires_action") scroller.keep(() => transcript.showWaiting(run.assistantId));
  past.loadStepsSoon(threadId, step.run_id);
}

function onRefusal(error) {
  if (error === null) showProblem("Your session has ended or your rights have changed.", { signedOut: true });
  else showProblem(error.message);
}

function onRun(state) {
  if (run === null || state.id !== run.id) return;
  run.status = state.status;
  if (state.status === "requires_action") transcript.hideWaiting();
  else note(state.status === "queued" && state.status_details ? `Waiting. ${state.status_details}` : "");
  requests.show(state);
  clearTimeout(watching);
  if (isOver(state.status)) finish(state);
  else watching = setTimeout(watch, WATCH);
}

// True where the answers to all that was asked have been taken.
async function answerRequests(outputs) {
  showProblem(null);
  try {
    onRun(await api.post(`/v1/threads/${threadId}/runs/${run.id}/submit_tool_outputs`, { tool_outputs: outputs }));
    composer.focus();
    return true;
  } catch (refusal) {
    if (!(refusal instanceof Refused)) throw refusal;
    showRefusal(refusal);
    return false;
  }
}

// Events tell everything but why a run still waits; and where no socket gets through, this is what goes on.
async function watch() {
  if (run === null) return;
  const isNeeded = run.status === "queued" || requests.isUnclear || !stream?.isOpen;
  if (isNeeded && document.visibilityState === "visible") {
    try {
      const state = await api.get(`/v1/threads/${threadId}/runs/${run.id}`);
      if (run === null || state.id !== run.id) return;
      if (!isOver(state.status)) return onRun(state);
      if (!stream?.isOpen) {
        await past.load(threadId, { id: state.id, isOver: true });
        return onRun(state);
      }
    } catch (refusal) {
      if (refusal.status === 401 || refusal.status === 404) return giveUp(refusal);
    }
  }
  clearTimeout(watching);
  watching = setTimeout(watch, WATCH);
}

function giveUp(refusal) {
  showRefusal(refusal);
  transcript.hideWaiting();
  run = null;
  requests.show({});
  note("");
  update();
}

function finish(state) {
  const ended = run;
  run = null;
  isStopping = false;
  transcript.hideWaiting();
  note("");
  showEnding(state, ended.assistantId);
  scroller.keep(() => thumbs.show(state.id));
  past.loadStepsSoon(threadId, state.id); // and what made the answer
  sidebar.refresh(threadId).then(update);
  update();
}

function showEnding(state, assistantId) {
  const ending = formattedEnding(state);
  if (!ending) return;
  const action = ending.mayRetry ? { label: "Try again", run: () => start(assistantId, {}) } : null;
  transcript.showEnding(state.id, ending.text, { isBad: ending.isBad, action });
  if (ending.isBad) say(ending.text);
}

// ------------------------------------------------------------------ what the person does

async function send() {
  const text = composer.text;
  if (!text || run !== null || isSending || assistants.size === 0) return;
  transcript.addPending(text);
  composer.text = "";
  scroller.stick();
  const message = { role: "user", content: text };
  const fields = threadId ? { additional_messages: [message] } : { thread: { messages: [message] } };
  if (await start($("assistant").value, fields, text)) {
    composer.forget();
    return;
  }
  transcript.dropPending();
  composer.putBack(text);
  update();
}

// One request, one transaction: the message and the run that answers it are both there, or neither is.
async function start(assistantId, fields, text = null) {
  showProblem(null);
  isSending = true;
  update();
  try {
    const path = threadId ? `/v1/threads/${threadId}/runs` : "/v1/threads/runs";
    const begun = await api.post(path, { assistant_id: assistantId, ...fields }, environment());
    if (!threadId) enter(begun.thread_id);
    localStorage.setItem("assistant", assistantId);
    isSending = false;
    follow(begun);
    sidebar.refresh(threadId).then(update);
    return true;
  } catch (refusal) {
    isSending = false;
    if (!(refusal instanceof Refused)) throw refusal;
    showRefusal(refusal);
    const isThere = threadId !== null && (refusal.status === 0 || refusal.status === 400) && (await catchUp(text));
    update();
    return isThere;
  }
}

// The server was not reached, or is busy: perhaps it had begun after all. True where the message is there.
async function catchUp(text) {
  try {
    const listed = await api.get(`/v1/threads/${threadId}/messages?limit=5&order=desc`);
    const isThere = listed.data.some((m) => m.role === "user" && !transcript.knows(m.id) && textOf(m) === text);
    await synchronise();
    if (isThere) showProblem(null);
    return isThere;
  } catch {
    return false; // what could not be done was said already
  }
}

// Which version answers: who may not choose gets what is in production.
function environment() {
  const chosen = $("environment")?.value;
  return chosen ? { "X-Sovereign-Environment": chosen } : {};
}

function enter(id) {
  threadId = id;
  history.replaceState(null, "", `${page.urls.chat}${id}`);
}

async function stop() {
  if (run === null || isStopping) return;
  isStopping = true;
  update();
  try {
    onRun(await api.post(`/v1/threads/${threadId}/runs/${run.id}/cancel`));
  } catch (refusal) {
    isStopping = false;
    if (refusal.status !== 400) showRefusal(refusal); // 400: it ended by itself meanwhile
    update();
  }
  composer.focus();
}

// ------------------------------------------------------------------ coming back

// Read the thread as it is now: the newest run first, so that no answer can slip between the two questions.
async function synchronise() {
  const runs = await api.get(`/v1/threads/${threadId}/runs?limit=1&order=desc`);
  const newest = runs.data[0];
  await past.load(threadId, newest && { id: newest.id, isOver: isOver(newest.status) });
  update();
  stream ??= new ThreadStream(threadId, { onEvent, onState: onConnection, onRefusal });
  if (newest && !isOver(newest.status)) {
    if (run?.id !== newest.id) follow(newest);
  } else if (newest && run === null) {
    showEnding(newest, newest.assistant_id);
  }
  return newest;
}

async function showEarlier() {
  try {
    await past.loadEarlier(threadId);
  } catch (refusal) {
    showRefusal(refusal);
  }
}

// ------------------------------------------------------------------ wiring

$("stop").addEventListener("click", stop);
$("earlier").addEventListener("click", showEarlier);
$("assistant").addEventListener("change", update);
document.addEventListener("keydown", (event) => {
  const hasItsOwn = event.target.matches("input, select"); // which clears or closes it
  if (event.key === "Escape" && !sidebar.close() && !hasItsOwn) stop();
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && threadId && !isSending) synchronise().catch(() => {});
});

const wanted = [page.assistant, localStorage.getItem("assistant")].find((id) => assistants.get(id)?.is_at_rest === false);
if (wanted) $("assistant").value = wanted;
watchEngine(() => run === null, () => api.get(page.urls.status));
update();
addEventListener("online", () => { if (threadId && !isSending) synchronise().catch(() => {}); });
if (threadId) {
  $("welcome").hidden = true;
  synchronise().then(() => scroller.stick(), showRefusal);
}
