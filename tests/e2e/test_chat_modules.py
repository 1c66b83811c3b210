"""Modules of the chat page alone: what they ask of the server, and what they do where it is not heard."""

from __future__ import annotations

import unicodedata

import pytest

from sovereign.core.visible import is_hidden
from tests.e2e.conftest import Watched
from tests.e2e.test_tools import request

pytestmark = pytest.mark.e2e

#: Loads a conversation twice, and the first answer to what tools were used is lost: requests made, steps shown.
LOSE = """async () => {
  const { History } = await import("/static/web/chat/history.js");
  const asked = [], shown = [];
  const get = async (path) => {
    if (!path.includes("steps.json")) return { data: [{ run_id: "run_1" }], has_more: false };
    asked.push(path);
    if (asked.length === 1) throw new Error("lost");
    return { data: ["a step"], requests: [] };
  };
  const transcript = { add() {}, addSteps: (steps) => shown.push(...steps) };
  const button = document.createElement("button");
  const past = new History({ get }, transcript, { keep: (change) => change() }, button, "/chat/");
  for (const time of [1, 2, 3]) await past.load("thread_1", null);
  return [asked.length, shown.length];
}"""
#: Tells of sixteen steps of one run and one of another, all at once: the runs that are asked for.
FLOOD = """async () => {
  const { History } = await import("/static/web/chat/history.js");
  const asked = [], later = [], real = window.setTimeout;
  const get = async (path) => { asked.push(path.split("?")[1]); return { data: [] }; };
  const button = document.createElement("button");
  const past = new History({ get }, { addSteps() {} }, { keep: (change) => change() }, button, "/chat/");
  window.setTimeout = (task) => later.push(task);
  for (let step = 0; step < 16; step += 1) past.loadStepsSoon("thread_1", "run_1");
  past.loadStepsSoon("thread_1", "run_2");
  window.setTimeout = real;
  for (const task of later) task();
  past.loadStepsSoon("thread_1", "run_1"); // one more, later
  return asked;
}"""
#: What a run waits for is not heard, then heard, then heard too late: after each, whether that is unclear, and cards.
UNHEARD = """async (call) => {
  const { Requests } = await import("/static/web/chat/requests.js");
  const root = document.getElementById("messages"), told = [];
  const required_action = { submit_tool_outputs: { tool_calls: [call] } };
  const run = { id: "run_1", status: "requires_action", required_action };
  let answer = () => Promise.reject(new Error("lost"));
  const scroller = { keep: (change) => change() };
  const requests = new Requests(root, { ask: () => answer(), submit: null, tools: { wait() {} }, scroller });
  const look = () => told.push([requests.isUnclear, root.querySelectorAll(".approval").length]);
  await requests.show(run);
  look();
  answer = async () => new Set([call.id]);
  await requests.show(run);
  look();
  const late = requests.show({ ...run });
  await requests.show({ id: "run_1", status: "queued" });
  await late;
  look();
  return told;
}"""
#: Reads a body of server-sent events that comes in pieces of these lengths: what each event is.
EVENTS = """async ([text, lengths]) => {
  const { events } = await import("/static/web/chat/http_stream.js");
  const bytes = new TextEncoder().encode(text), pieces = [];
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const next = at + lengths[turn % lengths.length];
    pieces.push(bytes.slice(at, next));
    at = next;
  }
  const body = new ReadableStream({ pull: (to) => (pieces.length ? to.enqueue(pieces.shift()) : to.close()) });
  const heard = [];
  for await (const { id, event, data } of events(body)) heard.push([id, event, data]);
  return heard;
}"""
#: A thread's stream whose first three WebSockets never open and whose fourth does; frames come over HTTP meanwhile, the
#: same and more over the fourth: what the page is told, the cursors that streams are asked from, and the states.
ROUND = """async () => {
  const { ThreadStream } = await import("/static/web/chat/stream.js");
  const told = [], states = [], asked = [], sockets = [], sent = [], later = [], real = window.setTimeout;
  window.WebSocket = class {
    static OPEN = 1;
    readyState = 0;
    constructor() { sockets.push(this); }
    send(text) { sent.push(JSON.parse(text)); }
    close() {}
  };
  const until = async (is) => {
    for (let turn = 0; !is() && turn < 12_000; turn += 1) await new Promise((done) => real(done, 5));
  };
  const isPause = ([, wait]) => wait === 1000; // between two streams of one run
  const frame = (seq, event = "thread.message.delta") => `id: ${seq}\\nevent: ${event}\\ndata: {"n": ${seq}}\\n\\n`;
  const bodies = [frame(1) + frame(2) + frame(2), frame(3)];
  const api = {
    project: "proj_1",
    get: async () => ({ thread: { id: "thread_1", active_run: "run_1" } }),
    open: async (path) => { asked.push(path.split("starting_after=")[1]); return new Response(bodies.shift() ?? ""); },
  };
  window.setTimeout = (task, wait) => later.push([task, wait]);
  const stream = new ThreadStream(api, {
    threadId: "thread_1", chatPath: "/chat/",
    onEvent: (run, event, data) => told.push(data.n),
    onThread: (thread) => told.push(thread.active_run),
    onState: (state) => { if (states.at(-1) !== state) states.push(state); },
    onRefusal: (error) => told.push(error),
  });
  stream.follow("run_1");
  for (let attempt = 0; attempt < 3; attempt += 1) {
    sockets.at(-1).onclose({ code: 1006 });
    if (attempt < 2) later.splice(0).forEach(([task]) => task());
  }
  await until(() => later.some(isPause)); // the first stream is read to its end
  later.splice(0).find(isPause)[0](); // the next stream of the run, from its cursor
  await until(() => told.includes(3));
  const fourth = sockets.at(-1);
  fourth.readyState = 1;
  fourth.onopen();
  for (const seq of [2, 3, 4]) {
    const data = { run: "run_1", seq, event: "thread.message.delta", data: { n: seq } };
    fourth.onmessage({ data: JSON.stringify(data) });
  }
  window.setTimeout = real;
  return { told, states, asked, subscribed: sent.filter((said) => said.subscribe), sockets: sockets.length };
}"""
#: A box whose text is sent while more is typed; the first try fails, the second is taken: what is kept after each step.
TYPED = """async () => {
  const { Composer } = await import("/static/web/chat/composer.js");
  const form = document.createElement("form"), box = document.createElement("textarea"), kept = [];
  let key = "draft:typed:new";
  const look = () => kept.push([sessionStorage.getItem("draft:typed:new"), sessionStorage.getItem("draft:typed:1")]);
  const type = (text) => { box.value += text; box.dispatchEvent(new Event("input")); };
  const composer = new Composer(form, box, { draftKey: () => key, onSend() {}, onInput() {} });
  type("One");
  composer.take();
  type("Two");
  look();
  composer.restore();
  look();
  composer.take();
  key = "draft:typed:1"; // the conversation is there
  type("Three");
  composer.forget();
  look();
  return kept;
}"""
#: The answer to a request is lost twice; then the same is asked for, something else, and the first anew: keys, repeats.
REPEATED = """async () => {
  const { Once } = await import("/static/web/chat/once.js");
  const { Refused } = await import("/static/web/chat/api.js");
  const keys = [], repeats = [], answers = [new Refused("", 0), new Refused("", 502), { n: 1 }, { n: 2 }, { n: 3 }];
  const post = async (path, body, headers) => {
    keys.push(headers["Idempotency-Key"]);
    const answer = answers.shift();
    if (answer instanceof Refused) throw answer;
    return answer;
  };
  const asks = async (path) => repeats.push((await new Once({ post }, "test").post(path, {})).isRepeat);
  await asks("/one").catch(() => {});
  for (const path of ["/one", "/two", "/one"]) await asks(path);
  return [keys.map((key) => keys.indexOf(key)), repeats];
}"""
#: Where no WebSocket opens and the session has ended; then it is there again: how often the thread is asked for.
REVIVED = """async () => {
  const { ThreadStream } = await import("/static/web/chat/stream.js");
  const { Refused } = await import("/static/web/chat/api.js");
  const states = [], sockets = [], later = [], real = window.setTimeout;
  let asked = 0, isSignedIn = false;
  window.WebSocket = class {
    constructor() { sockets.push(this); }
    close() {}
  };
  window.setTimeout = (task) => later.push(task);
  const get = async () => {
    asked += 1;
    if (!isSignedIn) throw new Refused("", 401);
    return { thread: { id: "thread_1" } };
  };
  const stream = new ThreadStream({ project: "proj_1", get }, {
    threadId: "thread_1", chatPath: "/chat/", onEvent() {}, onThread() {}, onRefusal() {},
    onState: (state) => states.push(state),
  });
  const fail = async () => {
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const socket = sockets.at(-1);
      socket.onclose?.({ code: 1006 });
      if (attempt < 2) later.splice(0).forEach((task) => task());
    }
    await new Promise((done) => real(done, 20));
  };
  await fail();
  const whileOut = [asked, stream.isOpen];
  isSignedIn = true;
  stream.revive();
  await fail();
  window.setTimeout = real;
  return [whileOut, [asked, stream.isOpen], states.includes("http")];
}"""
#: A page shows two of a conversation's messages; meanwhile more were said than one page of the list has: what is asked
#: for after which, and what is shown.
GAP = """async () => {
  const { History } = await import("/static/web/chat/history.js");
  const all = [..."abcdefg"].map((id) => ({ id })), after = [], shown = [];
  let newest = 2;
  const get = async (path) => {
    const from = new URLSearchParams(path.split("?")[1]).get("after");
    after.push(from);
    const before = all.slice(0, from ? all.findIndex(({ id }) => id === from) : newest);
    const data = before.slice(-2).toReversed();
    return { data, has_more: before.length > 2, last_id: data.at(-1).id };
  };
  const transcript = {
    add: (messages) => shown.push(...messages.map(({ id }) => id).filter((id) => !shown.includes(id))),
    knows: (id) => shown.includes(id),
  };
  const button = document.createElement("button");
  const past = new History({ get }, transcript, { keep: (change) => change() }, button, "/chat/");
  await past.load("thread_1", null);
  newest = 7;
  await past.load("thread_1", null);
  return [after, shown.join("")];
}"""
#: The code points that the chat spells out.
HIDDEN = """async () => {
  const { visible } = await import("/static/web/chat/json.js");
  const points = Array.from({ length: 0x110000 }, (_, point) => point);
  return points.filter((point) => visible(String.fromCodePoint(point)).startsWith("\\\\u"));
}"""


def test_steps_that_were_not_heard_are_asked_for_again(watched: Watched) -> None:
    assert watched.page.evaluate(LOSE) == [2, 1]


def test_steps_that_end_together_are_asked_for_together(watched: Watched) -> None:
    assert watched.page.evaluate(FLOOD) == ["run=run_1", "run=run_2"]


def test_chat_and_admin_spell_out_the_same_characters(watched: Watched) -> None:
    """Of those that this Python's Unicode knows: the browser's may be newer."""
    in_chat = set(watched.page.evaluate(HIDDEN))
    in_admin = {point for point in range(0x110000) if is_hidden(chr(point))}
    unknown = {point for point in in_chat - in_admin if unicodedata.category(chr(point)) == "Cn"}
    assert in_chat - unknown == in_admin
    assert {0x202E, 0xE0041, 0xFFF9, 0x0605, 0x3164, 0x115F, 0x2800, 0xFE0F, 0xE0100} <= in_admin


def test_what_a_run_waits_for_is_asked_until_it_is_heard(watched: Watched) -> None:
    assert watched.page.evaluate(UNHEARD, request("call_1", "{}")) == [[True, 0], [False, 1], [False, 0]]


@pytest.mark.parametrize("lengths", [[1], [7, 3], [10_000]])
def test_server_sent_events_are_read_however_they_are_cut(watched: Watched, lengths: list[int]) -> None:
    first, second = 'id: 1\nevent: one\ndata: {"é": 1}', "id: 2\nevent: two\ndata: a\ndata: b"
    body = "\n\n".join([first, ": ping", second, "event: done\ndata: [DONE]", ""])
    assert watched.page.evaluate(EVENTS, [body, lengths]) == [
        ["1", "one", '{"é": 1}'],
        ["2", "two", "a\nb"],
        ["", "done", "[DONE]"],
    ]


def test_what_is_typed_while_a_text_is_sent_is_kept_and_so_is_the_text_until_it_was_taken(watched: Watched) -> None:
    kept = watched.page.evaluate(TYPED)
    assert kept == [["One\nTwo", None], ["One\nTwo", None], [None, "Three"]]


def test_a_request_whose_answer_was_lost_is_repeated_as_the_same(watched: Watched) -> None:
    assert watched.page.evaluate(REPEATED) == [[0, 0, 0, 3, 4], [True, False, False]]


def test_a_page_without_websockets_goes_on_after_logging_in_again(watched: Watched) -> None:
    assert watched.page.evaluate(REVIVED) == [[1, False], [2, True], True]


def test_more_messages_than_a_page_has_leave_no_gap(watched: Watched) -> None:
    assert watched.page.evaluate(GAP) == [[None, None, "f", "d"], "abcdefg"]


def test_what_comes_over_http_and_over_a_socket_is_told_once_from_one_cursor(watched: Watched) -> None:
    seen = watched.page.evaluate(ROUND)
    assert seen["told"] == ["run_1", 1, 2, 3, 4]
    assert seen["asked"] == ["0", "2"]
    assert seen["subscribed"] == [{"subscribe": "run_1", "after": 3}]
    assert seen["states"][0] == "connecting"
    assert seen["states"][-2:] == ["http", "open"]
