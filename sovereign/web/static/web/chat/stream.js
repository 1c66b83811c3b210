// What happens on a thread, as it happens: through its WebSocket, or where none gets through over HTTP. Either may break
// at any moment: every run has a cursor, and what comes next goes on from there, so that each event is delivered exactly
// once and in order.

import { HttpStream } from "./http_stream.js";
import { Socket } from "./socket.js";

const FIRST_RETRY = 400; // milliseconds, doubled …
const LAST_RETRY = 10_000; // … up to this
const NOW_AND_THEN = 30_000; // milliseconds between two tries at a WebSocket while HTTP will do
const PATIENCE = 3; // tries at a WebSocket in a row that never opened: then it is blocked
const SILENCE = 20_000; // without a frame of a followed run, the socket is replaced: sleep and roaming leave dead ones
const REVOKED = 4401;

export const TERMINAL = new Set(["completed", "failed", "cancelled", "incomplete", "expired"]);

export class ThreadStream {
  #cursors = new Map(); // run id → newest event seen
  #socket = null;
  #http = null; // while no WebSocket gets through
  #isOpen = false; // of the socket
  #isHttpUp = false;
  #failures = 0; // since one was open
  #unopened = 0; // tries in a row
  #retry = null;
  #asking = null; // whether a thread that was gone is back
  #closed = false;

  // chatPath: of the pages that tell of a thread over HTTP;
  // onEvent(run id, event, data); onThread(thread): it is not what it was; onState("connecting" | "open" | "http" |
  // "lost", milliseconds until the next try); onRefusal(error | null): the server refuses to go on, null for want of rights
  constructor(api, { threadId, chatPath, onEvent, onThread, onState, onRefusal }) {
    const address = new URL(`/ws/threads/${encodeURIComponent(threadId)}?project=${encodeURIComponent(api.project)}`, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.address = address.href;
    Object.assign(this, { api, threadId, chatPath, onEvent, onThread, onState, onRefusal });
    addEventListener("online", () => this.#reconnectNow());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#reconnectNow();
    });
    setInterval(() => this.#replaceSilent(), SILENCE / 4);
    this.#connect();
  }

  // Whether what happens is told, one way or the other.
  get isOpen() {
    return this.#isOpen || this.#isHttpUp;
  }

  follow(runId, after = 0) {
    if (this.#cursors.has(runId)) return;
    this.#cursors.set(runId, after);
    this.#subscribe(runId);
    this.#http?.follow(runId);
  }

  // Rights that were gone may be there again: somebody has logged in.
  revive() {
    if (!this.#closed) return;
    this.#closed = false;
    this.#failures = this.#unopened = 0;
    this.#connect();
  }

  #connect() {
    if (this.api.hasNoSockets) return this.#goRound(); // what it is asked with cannot be sent along with one
    clearTimeout(this.#retry);
    this.#retry = null;
    this.#socket?.drop();
    if (!this.isOpen) this.onState("connecting");
    this.#socket = new Socket(this.address, {
      onOpen: () => this.#opened(),
      onFrame: (frame) => this.#receive(frame),
      onEnd: (code, wasOpen) => this.#ended(code, wasOpen),
    });
  }

  #opened() {
    this.#failures = this.#unopened = 0;
    this.#isOpen = true;
    this.#stopHttp();
    this.onState("open");
    this.#socket.send({ watch: true });
    for (const runId of this.#cursors.keys()) this.#subscribe(runId);
  }

  #subscribe(runId) {
    this.#socket?.send({ subscribe: runId, after: this.#cursors.get(runId) });
  }

  #receive(frame) {
    if (frame.thread) this.onThread(frame.thread);
    else if (frame.event === "error") this.#refused(frame.data.error);
    else this.#deliver(frame.run, frame.seq, frame.event, frame.data);
  }

  // Whichever way it came: what was seen already is not told again.
  #deliver(runId, seq, event, data) {
    const cursor = this.#cursors.get(runId);
    if (cursor === undefined || seq <= cursor) return;
    this.#cursors.set(runId, seq);
    if (TERMINAL.has(event.replace("thread.run.", ""))) this.#cursors.delete(runId);
    this.onEvent(runId, event, data);
  }

  #refused(error) {
    if (error.type === "server_error" || /interrupted/.test(error.message)) {
      setTimeout(() => { for (const runId of this.#cursors.keys()) this.#subscribe(runId); }, 1000);
    } else if (/^No thread found/.test(error.message)) {
      this.onThread({ id: this.threadId, is_gone: true });
      clearTimeout(this.#asking);
      this.#asking = setTimeout(() => this.#socket.send({ watch: true }), NOW_AND_THEN); // it may be taken back
    } else {
      this.#cursors.clear();
      this.onRefusal(error);
    }
  }

  #ended(code, wasOpen) {
    this.#isOpen = false;
    if (this.#closed) return;
    if (code === REVOKED) return this.#giveUp(null);
    this.#unopened = wasOpen ? 0 : this.#unopened + 1;
    const wait = this.#http && this.#isHttpUp ? NOW_AND_THEN : Math.min(FIRST_RETRY * 2 ** this.#failures, LAST_RETRY);
    this.#failures += 1;
    this.#tryAgainIn(wait * (0.75 + Math.random() / 2));
    if (this.#unopened >= PATIENCE) this.#goRound();
  }

  #tryAgainIn(wait) {
    this.#retry = setTimeout(() => this.#connect(), wait);
    if (!this.isOpen) this.onState("lost", wait);
  }

  #goRound() {
    this.#http ??= new HttpStream(this.api, {
      threadId: this.threadId,
      chatPath: this.chatPath,
      cursors: this.#cursors,
      onEvent: (...told) => this.#deliver(...told),
      onThread: (thread) => this.onThread(thread),
      onState: (isUp) => this.#httpIs(isUp),
      onRefusal: (refusal, isOver) => this.#httpRefused(refusal, isOver),
    });
  }

  #httpRefused(refusal, isOver) {
    if (refusal.isSignedOut) this.#giveUp(null);
    else if (isOver) this.#giveUp(refusal);
    else this.onRefusal(refusal);
  }

  #httpIs(isUp) {
    if (this.#isOpen) return;
    this.#isHttpUp = isUp;
    this.onState(isUp ? "http" : "lost");
    if (isUp) this.#reconnectNow(); // perhaps it was the server that was away, and nothing is blocked
  }

  // Whoever goes round another time makes another.
  #stopHttp() {
    this.#http?.stop();
    this.#http = null;
    this.#isHttpUp = false;
  }

  #giveUp(error) {
    this.#closed = true;
    this.#isOpen = false;
    this.#socket?.drop();
    this.#stopHttp();
    clearTimeout(this.#retry);
    this.#retry = null;
    this.onState("lost", null);
    this.onRefusal(error);
  }

  #reconnectNow() {
    if (this.#retry !== null && !this.#closed) this.#connect();
  }

  #replaceSilent() {
    if (!this.#isOpen || this.#cursors.size === 0 || Date.now() - this.#socket.heard < SILENCE) return;
    this.#socket.drop();
    this.#connect(); // still shown as open: if it is not, the new socket's end will say so
  }
}
