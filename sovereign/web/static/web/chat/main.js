// The chat page: what the person does, and what the run does meanwhile.

import { Api, Refused } from "./api.js";
import { formattedEnding, isOver } from "./endings.js";
import { Scroller } from "./scroller.js";
import { Sidebar } from "./sidebar.js";
import { ThreadStream } from "./stream.js";
import { Transcript, textOf } from "./transcript.js";

const PAGE_OF_MESSAGES = 50;
const WATCH = 2000; // milliseconds between two looks at a run that waits, or whose socket is away
const isTouch = matchMedia("(pointer: coarse)"); // a keyboard on glass has no Shift Enter: there the button sends
const page = JSON.parse(document.getElementById("page").textContent);
const $ = (id) => document.getElementById(id);

const api = new Api(page.csrf_cookie);
const assistants = new Map(page.assistants.map((assistant) => [assistant.id, assistant]));
const sidebar = new Sidebar(api, page.urls);
const scroller = new Scroller($("scroll"), $("latest"));
const transcript = new Transcript($("messages"), (id) => assistants.get(id)?.name ?? "Assistant");

let threadId = page.thread;
let stream = null;
let run = null; // { id, status }: the answer that is being made
let isSending = false;
let isStopping = false;
let watching = null;

// ------------------------------------------------------------------ what is shown

function showProblem(text, { signedOut = false } = {}) {
  const problem = $("problem");
  problem.replaceChildren(text ?? "");
  if (signedOut) {
    const link = document.createElement("a");
    link.href = `/login?next=${encodeURIComponent(location.pathname)}`;
    link.textContent = "Log in";
    problem.append(" ", link);
  }
  problem.hidden = !text;
}

function showRefusal(refusal) {
  showProblem(wordsFor(refusal), { signedOut: refusal.isSignedOut });
}

function wordsFor(refusal) {
  if (refusal.code === "model_not_found") return "This assistant's model is not known here any more. Choose another model for it in the admin.";
  if (refusal.status === 404 && /thread/.test(refusal.message)) return "This conversation is not there any more: it was deleted.";
  if (refusal.status === 404 && /assistant/.test(refusal.message)) return "This assistant was deleted. Choose another one above.";
  if (/already has an active run|while a run/.test(refusal.message)) return "An answer is still being written in this conversation. Your text is kept.";
  return refusal.message;
}

// Seconds count up in some notes: read aloud is only that there is one.
function note(text) {
  if (text && $("engine-note").hidden) $("spoken").textContent = text;
  $("engine-note").textContent = text;
  $("engine-note").hidden = !text;
}

function update() {
  const isBusy = run !== null || isSending;
  $("stop").hidden = !isBusy;
  $("send").hidden = isBusy;
  $("stop").disabled = isStopping || run === null;
  $("stop").lastChild.textContent = isStopping ? "Stopping" : "Stop";
  $("send").disabled = !$("text").value.trim() || assistants.size === 0;
  $("welcome").hidden = !transcript.isEmpty || isBusy;
  const chosen = assistants.get($("assistant").value);
  $("welcome-name").textContent = chosen ? chosen.name : "Welcome";
  $("welcome-description").textContent = chosen?.description ?? "";
  $("demonstration").hidden = !chosen?.is_demonstration;
  $("title").textContent = sidebar.titleOf(threadId) ?? "New conversation";
  document.title = `${isBusy ? "… " : ""}${sidebar.titleOf(threadId) ?? "Chat"} · Sovereign`;
}

function showConnection(state, wait) {
  const words = { connecting: "Connecting", open: "Connected", lost: "Connection lost" };
  $("connection").dataset.state = state;
  $("connection-text").textContent = wait > 1500 ? "Connection lost, trying again" : words[state];
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
  stream ??= new ThreadStream(threadId, { onEvent, onState: showConnection, onRefusal });
  stream.follow(newRun.id, 0);
  transcript.showWaiting(newRun.assistant_id);
  onRun(newRun);
  scroller.stick();
  update();
}

function onEvent(runId, event, data) {
  scroller.keep(() => {
    const completed = transcript.apply(event, data);
    if (completed !== null) $("spoken").textContent = completed;
    if (event.startsWith("thread.run.") && !event.startsWith("thread.run.step.")) onRun(data);
  });
}

function onRefusal(error) {
  if (error === null) showProblem("Your session has ended or your rights have changed.", { signedOut: true });
  else showProblem(error.message);
}

function onRun(state) {
  if (run === null || state.id !== run.id) return;
  run.status = state.status;
  note(state.status === "queued" && state.status_details ? `Waiting. ${state.status_details}` : waitsForTools(state));
  clearTimeout(watching);
  if (isOver(state.status)) finish(state);
  else watching = setTimeout(watch, WATCH);
}

function waitsForTools(state) {
  if (state.status !== "requires_action") return "";
  const calls = state.required_action?.submit_tool_outputs?.tool_calls ?? [];
  const names = calls.map((call) => call.function.name).join(", ");
  return `The assistant waits for the result of ${names || "a function"}, which only an application can give. You can stop it.`;
}

// Before a question is asked, say what stands in its way.
async function lookAtEngine() {
  let summary = null;
  if (run === null && document.visibilityState === "visible") {
    summary = await api.get(page.urls.status).catch(() => null);
    if (summary && run === null) note(summary.state === "ready" ? "" : `Engine: ${summary.sentence}`);
  }
  setTimeout(lookAtEngine, summary?.state === "ready" ? 8 * WATCH : WATCH);
}

// Events tell everything but why a run still waits; and where no socket gets through, this is what goes on.
async function watch() {
  if (run === null) return;
  const isNeeded = run.status === "queued" || !stream?.isOpen;
  if (isNeeded && document.visibilityState === "visible") {
    try {
      const state = await api.get(`/v1/threads/${threadId}/runs/${run.id}`);
      if (run === null || state.id !== run.id) return;
      if (!isOver(state.status)) return onRun(state);
      if (!stream?.isOpen) {
        await loadMessages();
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
  sidebar.refresh(threadId).then(update);
  update();
}

function showEnding(state, assistantId) {
  const ending = formattedEnding(state);
  if (!ending) return;
  const action = ending.mayRetry ? { label: "Try again", run: () => start(assistantId, {}) } : null;
  transcript.showEnding(state.id, ending.text, { isBad: ending.isBad, action });
  if (ending.isBad) $("spoken").textContent = ending.text;
}

// ------------------------------------------------------------------ what the person does

async function send() {
  const text = $("text").value.trim();
  if (!text || run !== null || isSending || assistants.size === 0) return;
  transcript.addPending(text);
  $("text").value = "";
  resize();
  scroller.stick();
  const message = { role: "user", content: text };
  const fields = threadId ? { additional_messages: [message] } : { thread: { messages: [message] } };
  if (await start($("assistant").value, fields, text)) {
    sessionStorage.removeItem(draftKey());
    sessionStorage.removeItem("draft:new");
    return;
  }
  transcript.dropPending();
  $("text").value = [text, $("text").value].filter(Boolean).join("\n"); // what was typed meanwhile stays too
  resize();
  update();
}

// One request, one transaction: the message and the run that answers it are both there, or neither is.
async function start(assistantId, fields, text = null) {
  showProblem(null);
  isSending = true;
  update();
  try {
    const path = threadId ? `/v1/threads/${threadId}/runs` : "/v1/threads/runs";
    const begun = await api.post(path, { assistant_id: assistantId, ...fields });
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
  $("text").focus();
}

// ------------------------------------------------------------------ coming back

// Read the thread as it is now: the newest run first, so that no answer can slip between the two questions.
async function synchronise() {
  const runs = await api.get(`/v1/threads/${threadId}/runs?limit=1&order=desc`);
  await loadMessages();
  const newest = runs.data[0];
  stream ??= new ThreadStream(threadId, { onEvent, onState: showConnection, onRefusal });
  if (newest && !isOver(newest.status)) {
    if (run?.id !== newest.id) follow(newest);
  } else if (newest && run === null) {
    showEnding(newest, newest.assistant_id);
  }
  return newest;
}

async function loadMessages() {
  const listed = await api.get(`/v1/threads/${threadId}/messages?limit=${PAGE_OF_MESSAGES}&order=desc`);
  scroller.keep(() => transcript.add(listed.data.toReversed()));
  if (listed.has_more && $("earlier").dataset.after === undefined) offerEarlier(listed);
  update();
}

function offerEarlier(listed) {
  $("earlier").hidden = !listed.has_more;
  $("earlier").dataset.after = listed.last_id ?? "";
}

async function showEarlier() {
  const path = `/v1/threads/${threadId}/messages?limit=${PAGE_OF_MESSAGES}&order=desc&after=${$("earlier").dataset.after}`;
  try {
    const listed = await api.get(path);
    scroller.hold(() => transcript.addEarlier(listed.data.toReversed(), $("earlier")));
    offerEarlier(listed);
  } catch (refusal) {
    showRefusal(refusal);
  }
}

// ------------------------------------------------------------------ wiring

function draftKey() {
  return `draft:${threadId ?? "new"}`;
}

function resize() {
  $("text").style.height = "auto";
  $("text").style.height = `${$("text").scrollHeight}px`;
}

function chooseAssistant() {
  const wanted = [page.assistant, localStorage.getItem("assistant")].find((id) => assistants.has(id));
  if (wanted) $("assistant").value = wanted;
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !isTouch.matches) {
    event.preventDefault();
    send();
  }
});
$("text").addEventListener("input", () => {
  sessionStorage.setItem(draftKey(), $("text").value);
  resize();
  update();
});
$("stop").addEventListener("click", stop);
$("earlier").addEventListener("click", showEarlier);
$("assistant").addEventListener("change", update);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !sidebar.close()) stop();
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && threadId && !isSending) synchronise().catch(() => {});
});

chooseAssistant();
lookAtEngine();
$("text").value = sessionStorage.getItem(draftKey()) ?? "";
resize();
update();
addEventListener("online", () => { if (threadId && !isSending) synchronise().catch(() => {}); });
if (threadId) {
  $("welcome").hidden = true;
  synchronise().then(() => scroller.stick(), showRefusal);
}
