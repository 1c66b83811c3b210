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
  const past = new History({ get }, { addSteps() {} }, { keep: (change) => change() }, null, "/chat/");
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
