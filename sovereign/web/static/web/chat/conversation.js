// A conversation on a page: its messages, the run that answers, and what of both is found again later. What stands
// around it, such as the box for the text, is the page's affair; a page may have several.

import { t } from "../words.js";
import { Refused } from "./api.js";
import { Chips } from "./chips.js";
import { asListed } from "./draft.js";
import { formattedEnding, isOver } from "./endings.js";
import { History } from "./history.js";
import { Once } from "./once.js";
import { Passages } from "./passages.js";
import { Rendered } from "./rendered.js";
import { Requests } from "./requests.js";
import { Scroller } from "./scroller.js";
import { ThreadStream } from "./stream.js";
import { Transcript } from "./transcript.js";

const WATCH = 2000; // milliseconds between two looks at a run that waits, or whose socket is away

export class Conversation {
  isSending = false;
  isStopping = false;
  #run = null; // { id, status, assistantId }: the answer that is being made
  #stream = null;
  #watching = null;
  #thread = null; // as it was last told: { id, active_run, newest_message, revision, … }
  #settled = null; // the state of the thread that the page shows, or is about to
  #isSettling = false;
  #isSignedOut = false; // the problem that is shown is that

  // places: the elements { messages, scroll, latest, earlier }; nameOf(assistantId) → the name over an answer;
  // page: what it is told and asked, see PAGE
  constructor(api, { threadId, chatPath, places, nameOf, ...page }) {
    Object.assign(this, { api, threadId, chatPath, page: { ...PAGE, ...page } });
    this.once = new Once(api, this.page.name);
    this.scroller = new Scroller(places.scroll, places.latest);
    this.chips = new Chips(api, chatPath);
    this.transcript = new Transcript(places.messages, nameOf, this.chips, new Rendered(api, chatPath, this.scroller), () => this.#earlier());
    this.passages = new Passages(api, chatPath, places.messages, () => this.threadId);
    this.past = new History(api, this.transcript, this.scroller, places.earlier, chatPath, {
      onHeard: (heard) => { this.transcript.tries.showAll(heard.tries); this.page.onHeard(heard); },
    });
    const submit = (outputs) => this.#answerRequests(outputs);
    this.requests = new Requests(places.messages, {
      ask: (runId) => this.past.requests(this.threadId, runId),
      submit, tools: this.transcript.tools, scroller: this.scroller, note: this.page.note, say: this.page.say,
      outputs: this.page.outputsIn(places.messages, submit),
    });
    places.earlier.addEventListener("click", () => this.#earlier());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#comeBack();
    });
    addEventListener("online", () => this.#comeBack());
  }

  get isBusy() {
    return this.#run !== null || this.isSending;
  }

  // The state of the run that answers; null where there is none.
  get status() {
    return this.#run?.status ?? null;
  }

  get canStop() {
    return this.#run !== null && !this.isStopping;
  }

  // ------------------------------------------------------------------ what the person does

  // message: as messageOf makes it; environment: where the assistant is looked up, null where nobody has chosen; true
  // where it was taken: else it is to be put back.
  async send(assistantId, message, environment = null) {
    this.transcript.addPending(asListed(message));
    this.scroller.stick();
    return this.#start(this.#request(assistantId, message, environment));
  }

  // Whether this was sent, and nobody has heard what came of it: sent again, it is there once.
  mayHave(assistantId, message, environment = null) {
    return this.once.isLost(...this.#request(assistantId, message, environment));
  }

  // One request, one transaction: the message and the run that answers it are both there, or neither is.
  #request(assistantId, message, environment) {
    const who = { assistant_id: assistantId };
    if (this.threadId && this.page.hasQueue) return [`${this.#path}/ask`, { ...message, ...who, environment }];
    const headers = { ...this.page.headers(), ...(environment && { "X-Sovereign-Environment": environment }) };
    if (this.threadId) return [`/v1/threads/${this.threadId}/runs`, { ...who, additional_messages: [message] }, headers];
    return ["/v1/threads/runs", { ...who, thread: { ...this.page.newThread(), messages: [message] } }, headers];
  }

  // Of the thread's pages.
  get #path() {
    return `${this.chatPath}${encodeURIComponent(this.threadId)}`;
  }

  async stop() {
    if (!this.canStop) return;
    this.isStopping = true;
    this.page.onChange();
    try {
      this.#onRun(await this.api.post(`/v1/threads/${this.threadId}/runs/${this.#run.id}/cancel`));
    } catch (refusal) {
      this.isStopping = false;
      if (refusal.status !== 400) this.page.showRefusal(refusal); // 400: it ended by itself meanwhile
      this.page.onChange();
    }
  }

  async #start(request) {
    this.page.showProblem(null);
    this.isSending = true;
    this.page.onChange();
    try {
      const { answer, isRepeat } = await this.once.post(...request);
      if (answer.queue) return this.#wait(answer.queue);
      const begun = answer.run ?? answer;
      if (!this.threadId) this.#enter(begun.thread_id);
      this.isSending = false;
      if (isRepeat) await this.#showRepeated();
      else this.#follow(begun);
      this.page.onBegun(begun);
      this.#settle(); // what was told meanwhile
      return true;
    } catch (refusal) {
      this.isSending = false;
      if (!(refusal instanceof Refused)) throw refusal;
      this.transcript.dropPending();
      this.page.showRefusal(refusal);
      if (this.threadId && (refusal.status === 0 || refusal.status === 400)) await this.synchronise().catch(nothing);
      this.page.onChange();
      this.#settle();
      return false;
    }
  }

  // Something that this page had not heard of yet goes before what was sent.
  #wait(queue) {
    this.isSending = false;
    this.transcript.dropPending();
    this.page.onWaiting(queue);
    this.page.onChange();
    this.#settle();
    return true;
  }

  // Another run goes on with what this one has left ("continue"), or answers anew ("retry").
  async #again(how, runId) {
    this.page.showProblem(null);
    this.isSending = true;
    this.page.onChange();
    try {
      const { answer: { run } } = await this.once.post(`${this.#path}/again`, { run: runId, how });
      this.transcript.tries.showAll({ [run.id]: { [how === "continue" ? "continues" : "retries"]: runId } });
      this.isSending = false;
      this.#follow(run);
      this.page.onBegun(run);
    } catch (refusal) {
      if (!(refusal instanceof Refused)) throw refusal;
      this.page.showRefusal(refusal);
    } finally {
      this.isSending = false;
      this.page.onChange();
      this.#settle();
    }
  }

  #enter(threadId) {
    this.threadId = threadId;
    this.page.onEntered(threadId);
  }

  // What was sent more than once is there, and what came of it perhaps, too: the thread tells.
  async #showRepeated() {
    this.transcript.dropPending();
    await this.synchronise().catch(() => { this.#settled = null; });
    this.scroller.stick();
  }

  // True where the answers to all that was asked have been taken.
  async #answerRequests(outputs) {
    this.page.showProblem(null);
    try {
      const path = `/v1/threads/${this.threadId}/runs/${this.#run.id}/submit_tool_outputs`;
      this.#onRun(await this.api.post(path, { tool_outputs: outputs }));
      this.page.onAnswered();
      return true;
    } catch (refusal) {
      if (!(refusal instanceof Refused)) throw refusal;
      this.page.showRefusal(refusal);
      return false;
    }
  }

  // ------------------------------------------------------------------ the run

  #follow(run) {
    this.#run = { id: run.id, assistantId: run.assistant_id };
    this.#open();
    this.#stream.follow(run.id, 0);
    this.transcript.forgetActions();
    this.transcript.showWaiting(run.assistant_id);
    this.#onRun(run);
    this.requests.follow(run);
    this.scroller.stick();
    this.page.onChange();
  }

  #open() {
    if (this.#stream) return this.#stream.revive();
    this.#stream = new ThreadStream(this.api, {
      threadId: this.threadId,
      chatPath: this.chatPath,
      onEvent: (runId, event, data) => this.#onEvent(event, data),
      onThread: (thread) => this.#onThread(thread),
      onState: (state, wait) => this.#onConnection(state, wait),
      onRefusal: (error) => this.#onRefusal(error),
    });
  }

  #onEvent(event, data) {
    this.scroller.keep(() => {
      this.#speak(event, data, this.transcript.apply(event, data));
      if (event === "thread.run.step.created") this.requests.keepLast();
      const isRun = event.startsWith("thread.run.") && !event.startsWith("thread.run.step.");
      if (isRun && !this.requests.isPast(data)) this.#onRun(data);
    });
    if (event === "thread.run.step.completed" && data.type === "tool_calls") this.#afterTools(data);
  }

  // An answer is heard while it is written; where a page has no ears for that, when it is whole.
  #speak(event, data, completed) {
    const { speech } = this.page;
    if (event === "thread.message.created") speech?.forget();
    if (event === "thread.message.delta") {
      for (const { text } of data.delta.content) if (text?.value && !text.annotations?.length) speech?.grow(text.value);
    }
    if (completed !== null && completed !== undefined) speech ? speech.end(completed) : this.page.say(completed);
  }

  // What the events do not say of tools: what was searched for, and how long it took.
  #afterTools(step) {
    const run = this.#run;
    if (run?.id === step.run_id && run.status !== "requires_action") {
      this.scroller.keep(() => this.transcript.showWaiting(run.assistantId));
    }
    this.past.loadStepsSoon(this.threadId, step.run_id);
  }

  #onConnection(state, wait) {
    this.page.onConnection(state, wait);
    if (state === "open" && this.#isSignedOut) this.page.showProblem(null);
    if (state === "open") this.#isSignedOut = false;
    if (state === "lost" && this.#run === null) this.#checkAccess();
  }

  async #checkAccess() {
    try {
      await this.api.get(`/v1/threads/${this.threadId}`);
    } catch (refusal) {
      if (refusal.status) this.page.showRefusal(refusal); // unreachable: the connection's own state says it
    }
  }

  #onRefusal(error) {
    this.#isSignedOut = error === null;
    if (error === null) this.page.showProblem(t("Your session has ended or your rights have changed."), { signedOut: true });
    else this.page.showProblem(error.message);
  }

  #onRun(state) {
    if (this.#run === null || state.id !== this.#run.id) return;
    this.#run.status = state.status;
    if (state.status === "requires_action") this.transcript.hideWaiting();
    else this.page.note(state.status === "queued" ? this.page.waitingWords(state) : "");
    this.requests.show(state);
    clearTimeout(this.#watching);
    if (isOver(state.status)) this.#finish(state);
    else this.#watchLater();
  }

  #watchLater() {
    clearTimeout(this.#watching);
    this.#watching = setTimeout(() => this.#watch(), WATCH);
  }

  // Events tell everything but why a run still waits; and where no socket gets through, this is what goes on.
  async #watch() {
    const run = this.#run;
    if (run === null) return;
    const isNeeded = run.status === "queued" || this.requests.isUnclear || !this.#stream?.isOpen;
    if (isNeeded && document.visibilityState === "visible") {
      try {
        const state = await this.api.get(`/v1/threads/${this.threadId}/runs/${run.id}`);
        if (this.#run === null || state.id !== this.#run.id) return;
        if (!isOver(state.status)) return this.#onRun(state);
        if (!this.#stream?.isOpen) {
          await this.past.load(this.threadId, { id: state.id, isOver: true });
          return this.#onRun(state);
        }
      } catch (refusal) {
        if (refusal.status === 401 || refusal.status === 404) return this.#giveUp(refusal);
      }
    }
    this.#watchLater();
  }

  #giveUp(refusal) {
    if (refusal) this.page.showRefusal(refusal);
    this.transcript.hideWaiting();
    this.#run = null;
    this.isStopping = false;
    this.requests.show({});
    this.page.note("");
    this.page.onChange();
  }

  #finish(state) {
    const ended = this.#run;
    this.#run = null;
    this.isStopping = false;
    this.transcript.hideWaiting();
    this.page.note("");
    this.#showEnding(state);
    this.scroller.keep(() => this.page.onEnded(state));
    this.past.loadStepsSoon(this.threadId, state.id); // and what made the answer
    this.page.onChange();
    if (this.#thread?.active_run !== ended.id) this.#settle(); // else its end is about to be told
  }

  #showEnding(state) {
    const ending = formattedEnding(state);
    if (!ending) return;
    const actions = [];
    if (this.transcript.hasTextOf(state.id)) actions.push({ label: t("Continue"), run: () => this.#again("continue", state.id) });
    if (ending.mayRetry) actions.push({ label: t("Retry"), run: () => this.#again("retry", state.id) });
    this.transcript.showEnding(state.id, ending.text, { isBad: ending.isBad, actions });
    if (ending.isBad) this.page.say(ending.text);
  }

  #earlier() {
    this.past.loadEarlier(this.threadId).catch(this.page.showRefusal);
  }

  // ------------------------------------------------------------------ coming back

  // Read the thread as it is now: the newest run first, so that no answer can slip between the two questions.
  async synchronise() {
    this.#settled = stateOf(this.#thread);
    const runs = await this.api.get(`/v1/threads/${this.threadId}/runs?limit=1&order=desc`);
    const newest = runs.data[0];
    await this.past.load(this.threadId, newest && { id: newest.id, isOver: isOver(newest.status) });
    this.page.onChange();
    this.#open();
    if (newest && !isOver(newest.status)) {
      if (this.#run?.id !== newest.id) this.#follow(newest);
    } else if (newest && this.#run === null) {
      this.#showEnding(newest);
    }
  }

  // Another tab or device, or the server by itself, did something on the thread: the page shows it, too.
  #onThread(thread) {
    const wasGone = this.#thread?.is_gone;
    this.#thread = thread;
    this.page.onThread(thread);
    if (thread.is_gone) return wasGone || this.#leave();
    if (wasGone) this.page.showProblem(null);
    const isRead = this.transcript.knows(thread.newest_message) && !this.transcript.pending.length;
    if (this.#settled === null && isRead) this.#settled = stateOf(thread); // just now
    this.#settle();
  }

  #leave() {
    if (this.#run) this.#giveUp(null);
    this.page.showProblem(t("This conversation is not there any more: it was deleted. What you wrote is kept."));
  }

  get #isBehind() {
    const thread = this.#thread;
    if (!thread || thread.is_gone || this.isSending || stateOf(thread) === this.#settled) return false;
    return thread.active_run ? thread.active_run !== this.#run?.id : this.#run === null; // else its events tell the rest
  }

  async #settle() {
    if (this.#isSettling) return;
    this.#isSettling = true;
    try {
      while (this.#isBehind) await this.synchronise();
    } catch {
      this.#settled = null; // what is told next, or coming back, is another occasion
    }
    this.#isSettling = false;
  }

  #comeBack() {
    if (this.threadId && !this.isSending) this.synchronise().catch(() => {});
  }
}

function stateOf(thread) {
  return thread && `${thread.active_run} ${thread.revision}`;
}

const nothing = () => {};
const none = () => ({});
const waiting = (run) => (run.status_details ? t("Waiting. {reason}", { reason: run.status_details }) : "");
// What a page may say of itself, and be told.
const PAGE = {
  name: "chat", // of the conversation, among those of the page
  hasQueue: false, // whether a message waits where something goes before it; else it is refused while an answer is written
  headers: none, // of the request to the API that begins a run: which version answers
  newThread: none, // fields of a thread that is made with its first message, such as metadata
  outputsIn: () => null, // (root, submit) → what answers for the application: see Requests
  onAnswered: nothing, // what the run asked a person is answered
  onBegun: nothing, // (run)
  onChange: nothing, // isBusy, canStop or what is on the page is no longer what it was
  onConnection: nothing, // (state, wait) as a ThreadStream tells it
  onEnded: nothing, // (run)
  onEntered: nothing, // (threadId) of a thread that was just made
  onWaiting: nothing, // (queue) of messages, as the server tells it, into which one was put that was sent
  onThread: nothing, // (thread) it is not what it was, as its socket tells it
  onHeard: nothing, // (listed) what else is known of the runs: see History
  note: nothing, // (text) of the run, while it goes on; "" for none
  waitingWords: waiting, // (run) why it is queued still; "" where nothing is known
  say: nothing, // (text) for those who hear the page
  speech: null, // says an answer while it is written: see Speech
  showProblem: nothing, // (text or null, { signedOut })
  showRefusal: nothing, // (refusal)
};
