// The way round where no WebSocket gets through: runs are followed as server-sent events, and the thread is asked for
// again and again. Both go on from the cursors of whoever uses it.

import { Refused } from "./api.js";

const LOOK = 2000; // milliseconds between two looks at the thread …
const PAUSE = 1000; // … and between two streams of one run

export class HttpStream {
  #stopped = new AbortController();
  #following = new Set(); // run ids
  #isUp = null;

  // cursors: run id → the newest event seen; onEvent(run id, seq, event, data), onThread(thread),
  // onState(is it up), onRefusal(refusal, whether this stream has stopped because of it)
  constructor(api, { threadId, chatPath, cursors, onEvent, onThread, onState, onRefusal }) {
    Object.assign(this, { api, threadId, chatPath, cursors, onEvent, onThread, onState, onRefusal });
    this.#look();
    for (const runId of cursors.keys()) this.follow(runId);
  }

  stop() {
    this.#stopped.abort();
  }

  get #isStopped() {
    return this.#stopped.signal.aborted;
  }

  async follow(runId) {
    if (this.#following.has(runId)) return;
    this.#following.add(runId);
    while (!this.#isStopped && this.cursors.has(runId)) {
      await this.#read(runId).catch((problem) => this.#failed(problem, runId));
      if (this.cursors.has(runId)) await this.#pause(PAUSE);
    }
    this.#following.delete(runId);
  }

  async #look() {
    while (!this.#isStopped) {
      if (document.visibilityState === "visible") await this.#ask();
      await this.#pause(LOOK);
    }
  }

  async #ask() {
    try {
      const { thread } = await this.api.get(`${this.chatPath}${encodeURIComponent(this.threadId)}/watch.json`);
      if (this.#isStopped) return;
      this.#note(true);
      this.onThread(thread);
    } catch (problem) {
      if (problem instanceof Refused && problem.status === 404) this.onThread({ id: this.threadId, is_gone: true });
      else this.#failed(problem);
    }
  }

  // Until the stream ends, which it does with the run, where the run rests, and with the connection.
  async #read(runId) {
    const path = `/v1/threads/${encodeURIComponent(this.threadId)}/runs/${encodeURIComponent(runId)}`;
    const query = `?stream=true&starting_after=${this.cursors.get(runId)}`;
    const answer = await this.api.open(path + query, this.#stopped.signal);
    for await (const { id, event, data } of events(answer.body)) {
      if (this.#isStopped) return;
      if (event === "error") throw refusalIn(data);
      if (id) this.onEvent(runId, Number(id), event, JSON.parse(data));
    }
  }

  #failed(problem, runId = null) {
    if (this.#isStopped) return;
    const isForGood = problem instanceof Refused && [401, 403, 404].includes(problem.status);
    if (!isForGood) return this.#note(false);
    if (runId) this.cursors.delete(runId);
    else this.stop();
    this.onRefusal(problem, this.#isStopped);
  }

  #note(isUp) {
    if (this.#isUp === isUp) return;
    this.#isUp = isUp;
    this.onState(isUp);
  }

  #pause(milliseconds) {
    const { signal } = this.#stopped;
    return new Promise((done) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        done();
      };
      const timer = setTimeout(end, milliseconds);
      signal.addEventListener("abort", end);
    });
  }
}

// The events of a body of server-sent events: { id, event, data }, each of them text.
export async function* events(body) {
  let rest = "";
  for await (const text of chunks(body.pipeThrough(new TextDecoderStream()))) {
    const blocks = (rest + text).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = parsed(block);
      if (event) yield event;
    }
  }
}

// As the body's own iterator, which not every browser has.
async function* chunks(stream) {
  const reader = stream.getReader();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parsed(block) {
  const fields = { id: "", event: "message", data: "" };
  for (const line of block.split("\n")) {
    const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (name === "data") fields.data += fields.data ? `\n${value}` : value;
    else if (name in fields) fields[name] = value;
  }
  return fields.data ? fields : null; // a ping has none
}

function refusalIn(data) {
  const { error } = JSON.parse(data);
  return new Refused(error.message, error.code === "access_revoked" ? 401 : 500, error.code);
}
