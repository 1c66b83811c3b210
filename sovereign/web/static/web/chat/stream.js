// A thread's WebSocket. It may break at any moment: every run has a cursor, and a new socket subscribes from there,
// so that each event is delivered exactly once and in order.

const FIRST_RETRY = 400; // milliseconds, doubled …
const LAST_RETRY = 10_000; // … up to this
const SILENCE = 20_000; // without a frame of a followed run, the socket is replaced: sleep and roaming leave dead ones
const REVOKED = 4401;

export const TERMINAL = new Set(["completed", "failed", "cancelled", "incomplete", "expired"]);

export class ThreadStream {
  #cursors = new Map(); // run id → newest event seen
  #socket = null;
  #failures = 0;
  #retry = null;
  #heard = 0;
  #closed = false;

  // onEvent(runId, event, data); onState("connecting" | "open" | "lost", milliseconds until the next try);
  // onRefusal(error | null): the server refuses to go on, null for want of rights
  constructor(threadId, { onEvent, onState, onRefusal }) {
    const address = new URL(`/ws/threads/${encodeURIComponent(threadId)}`, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.address = address.href;
    Object.assign(this, { onEvent, onState, onRefusal });
    this.isOpen = false;
    addEventListener("online", () => this.#reconnectNow());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#reconnectNow();
    });
    setInterval(() => this.#replaceSilent(), SILENCE / 4);
    this.#connect();
  }

  follow(runId, after = 0) {
    if (this.#cursors.has(runId)) return;
    this.#cursors.set(runId, after);
    this.#subscribe(runId);
  }

  #connect() {
    clearTimeout(this.#retry);
    this.#retry = null;
    if (!this.isOpen) this.onState("connecting");
    const socket = new WebSocket(this.address);
    this.#socket = socket;
    socket.onopen = () => {
      this.#failures = 0;
      this.#heard = Date.now();
      this.isOpen = true;
      this.onState("open");
      for (const runId of this.#cursors.keys()) this.#subscribe(runId);
    };
    socket.onmessage = (message) => this.#receive(JSON.parse(message.data));
    socket.onclose = (event) => this.#lost(event.code);
  }

  #subscribe(runId) {
    if (this.#socket.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify({ subscribe: runId, after: this.#cursors.get(runId) }));
    }
  }

  #receive(frame) {
    this.#heard = Date.now();
    if (frame.event === "error") {
      this.#refused(frame.data.error);
      return;
    }
    const cursor = this.#cursors.get(frame.run);
    if (cursor === undefined || frame.seq <= cursor) return; // seen already, through an earlier socket
    this.#cursors.set(frame.run, frame.seq);
    if (TERMINAL.has(frame.event.replace("thread.run.", ""))) this.#cursors.delete(frame.run);
    this.onEvent(frame.run, frame.event, frame.data);
  }

  #refused(error) {
    if (error.type === "server_error" || /interrupted/.test(error.message)) {
      setTimeout(() => { for (const runId of this.#cursors.keys()) this.#subscribe(runId); }, 1000);
    } else {
      this.#cursors.clear();
      this.onRefusal(error);
    }
  }

  #lost(code) {
    this.isOpen = false;
    if (code === REVOKED) {
      this.#closed = true;
      this.onState("lost", null);
      this.onRefusal(null);
      return;
    }
    const wait = Math.min(FIRST_RETRY * 2 ** this.#failures, LAST_RETRY) * (0.75 + Math.random() / 2);
    this.#failures += 1;
    this.onState("lost", wait);
    this.#retry = setTimeout(() => this.#connect(), wait);
  }

  #reconnectNow() {
    if (this.#retry !== null && !this.#closed) this.#connect();
  }

  #replaceSilent() {
    if (!this.isOpen || this.#cursors.size === 0 || Date.now() - this.#heard < SILENCE) return;
    this.#socket.onclose = this.#socket.onmessage = null;
    this.#socket.close();
    this.#heard = Date.now();
    this.#connect(); // still shown as open: if it is not, the new socket's end will say so
  }
}
