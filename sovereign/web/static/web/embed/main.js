// The chat of a visitor, in a frame on another site: one conversation and the box for the text.

import "./storage.js";
import { Composer } from "../chat/composer.js";
import { Conversation } from "../chat/conversation.js";
import { messageOf } from "../chat/draft.js";
import { note, say, showConnection, speech } from "../chat/notices.js";
import { showProblem, showRefusal } from "../chat/problems.js";
import { t } from "../words.js";
import { VisitorApi } from "./api.js";
import { Host } from "./host.js";

const page = JSON.parse(document.getElementById("page").textContent);
const $ = (id) => document.getElementById(id);
const isTouch = matchMedia("(pointer: coarse)").matches; // a box with the focus brings the keyboard over the answer there
const KEPT = `sovereign:embed:${page.key}`; // { token, thread } of the visit

let onShown = () => {};

const host = new Host(page.origins, {
  onKnown: () => { $("close").hidden = false; },
  onOpen: () => {
    onShown();
    ($("text") ?? $("main")).focus();
  },
});
$("close").addEventListener("click", () => host.close());
if (page.is_open) talkToVisitor();
else addEventListener("keydown", ({ key }) => { if (key === "Escape") host.close(); });

function talkToVisitor() {
  const visit = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
  const api = new VisitorApi(page.base, visit, () => localStorage.removeItem(KEPT));
  const talk = new Conversation(api, {
    threadId: visit.thread ?? null,
    chatPath: `${page.base}/`,
    places: { messages: $("messages"), scroll: $("scroll"), latest: $("latest"), earlier: $("earlier") },
    nameOf: () => page.name || t("Assistant"),
    onChange: update,
    onBegun: () => { if (document.activeElement === document.body) $(isTouch ? "scroll" : "text").focus(); }, // its button is gone
    onConnection: showConnection,
    onEntered: (thread) => localStorage.setItem(KEPT, JSON.stringify(Object.assign(visit, { thread }))),
    note, say, speech,
    showProblem: (text, { signedOut = false } = {}) => showProblem(signedOut ? t("This visit is over. Begin a new conversation.") : text),
    showRefusal: (refusal) => showRefusal(refusal),
  });
  const composer = new Composer($("composer"), $("text"), { draftKey: () => `draft:${page.key}`, onSend: send, onInput: update });
  onShown = () => { composer.text = $("text").value; talk.scroller.stick(); }; // nothing has a height while the frame is hidden

  function update() {
    $("stop").hidden = !talk.isBusy;
    $("stop").disabled = !talk.canStop;
    $("send").hidden = talk.isBusy;
    $("send").disabled = !composer.text;
    $("welcome").hidden = !talk.transcript.isEmpty || talk.isBusy;
    $("new").hidden = !talk.threadId;
  }

  async function send() {
    const text = composer.text;
    if (!text || talk.isBusy) return;
    composer.text = "";
    if (await talk.send(page.key, messageOf(text))) return composer.forget();
    composer.putBack(text);
    update();
  }

  // The visit stays: what it has used up of its limits, too.
  function beginAnew() {
    delete visit.thread;
    if (visit.token && localStorage.getItem(KEPT)) localStorage.setItem(KEPT, JSON.stringify(visit));
    location.reload();
  }

  $("stop").addEventListener("click", () => talk.stop().then(() => composer.focus()));
  $("new").addEventListener("click", beginAnew);
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    talk.canStop ? talk.stop() : host.close();
  });
  update();
  if (talk.threadId) talk.synchronise().then(() => talk.scroller.stick()).catch((refusal) => showRefusal(refusal));
}
