"""openai-node against real processes: its helper loops, and every event of its AssistantStream.

Three versions on SQLite, the newest on Postgres with Redis too.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import tokens, unique
from tests.support.fixtures import clients, skip_ring
from tests.support.interpreting import asking_for, await_interpreter
from tests.support.processes import Stack, Upstream, eventually
from tests.support.viewers import await_end, logged

pytestmark = pytest.mark.sdk

NODE = Path(__file__).parent / "node"
TIMEOUT = 180.0  # seconds; many of them at once
PACKAGES = {"4": "openai-4", "6": "openai-6", "7": "openai"}
NEWEST = ["7"]
PIECES = ("event", "textDelta", "messageDelta", "toolCallDelta", "runStepDelta")

#: what a plain answer emits, besides ``event``; of each kind of piece the first
PLAIN = [
    "connect",
    "runStepCreated",
    "messageCreated",
    "textCreated",
    "messageDelta",
    "textDelta",
    "textDone",
    "messageDone",
    "runStepDone",
    "end",
]

Told = list[tuple[str, Any]]


def node(server: Stack, version: str, story: str, text: str, key: str = "") -> Told:
    """What ``run.mjs`` tells of a story."""
    package = PACKAGES[version]
    if not shutil.which("node") or not (NODE / "node_modules" / package).is_dir():
        skip_ring(f"{package} is not installed: run tests/setup.sh")
    command = ["node", "run.mjs", package, f"{server.url}/v1", key or server.api_key, "fake", story, text]
    done = subprocess.run(command, cwd=NODE, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [(name, value) for name, value in map(json.loads, done.stdout.splitlines())]


def emitted(told: Told) -> list[str]:
    """The names in order; of each kind of piece the first."""
    names = [name for name, _ in told if name not in ("event", "run", "message", "steps")]
    return [name for place, name in enumerate(names) if name not in PIECES or name not in names[:place]]


def values(told: Told, name: str) -> list[Any]:
    return [value for told_name, value in told if told_name == name]


#: every version, as its users have it
versions = pytest.mark.parametrize("version", clients(PACKAGES, NEWEST))
#: for what the versions do alike once they have read it: their streams are the same code
newest = pytest.mark.parametrize("version", NEWEST)


def logged_of(server: Stack, told: Told) -> list[str]:
    """The events in the log of the run that a story was about."""
    [run] = {run["id"] for run in values(told, "run")}
    return [name for _, name in logged(server, run)]


@versions
@pytest.mark.parametrize("story", ["stream", "createAndRunStream"])
def test_a_stream_emits_every_event_in_order(server: Stack, version: str, story: str) -> None:
    told = node(server, version, story, "[tokens=20]")
    assert emitted(told) == PLAIN
    assert values(told, "event") == logged_of(server, told)
    assert "".join(values(told, "textDelta")) == tokens(20)
    assert values(told, "textDone") == values(told, "message") == [tokens(20)]
    assert values(told, "messageCreated") == [0]  # without content: the pieces come later
    assert values(told, "steps") == [["message_creation"]]
    [run] = values(told, "run")
    assert (run["status"], run["usage"]["completion_tokens"]) == ("completed", 20)


@newest
def test_create_and_stream_is_the_old_name_of_stream(server: Stack, version: str) -> None:
    told = node(server, version, "createAndStream", "[tokens=20]")
    assert emitted(told) == PLAIN
    assert values(told, "message") == [tokens(20)]


@versions
def test_tool_outputs_open_the_next_stream_as_often_as_the_run_asks(server: Stack, version: str) -> None:
    told = node(server, version, "tools", "[tool=look_up calls=3 rounds=2 tokens=5]")
    assert [run["status"] for run in values(told, "run")] == ["requires_action", "requires_action", "completed"]
    assert values(told, "toolCallCreated") == ["look_up"] * 6
    assert values(told, "toolCallDone") == ['{"number": 0}', '{"number": 1}', '{"number": 2}'] * 2
    assert {"runStepDelta", "toolCallDelta"} <= set(emitted(told))
    assert values(told, "message") == [tokens(5)]
    assert values(told, "event") == logged_of(server, told)
    assert "error" not in emitted(told)


@versions
def test_tool_outputs_are_submitted_from_inside_the_open_stream(server: Stack, version: str) -> None:
    told = node(server, version, "toolsInside", "[tool=look_up calls=2 rounds=3 tokens=5]")
    assert "".join(values(told, "textDelta")) == tokens(5)
    assert values(told, "event") == logged_of(server, told)
    assert values(told, "event").count("thread.run.requires_action") == 3


@versions
def test_a_call_beside_code_is_done_once_and_when_its_output_is_asked_for(
    server: Stack, upstream: Upstream, version: str
) -> None:
    await_interpreter(server)
    told = node(server, version, "codeBeside", asking_for(upstream, unique(), "6 * 7", "tokens=3 beside=look_up"))
    assert values(told, "toolCallCreated") == ["code_interpreter", "look_up"]
    assert values(told, "toolCallDone") == ["code_interpreter", "{}"]
    assert emitted(told)[-2:] == ["toolCallDone", "end"]
    assert [run["status"] for run in values(told, "run")] == ["completed"]


@versions
def test_a_run_is_polled_for(server: Stack, version: str) -> None:
    told = node(server, version, "poll", "[tool=look_up calls=2 rounds=2 tokens=6]")
    statuses = [run["status"] for run in values(told, "run")]
    assert statuses == ["requires_action", "requires_action", "completed"]
    assert (values(told, "user"), values(told, "assistant")) == (
        ["[tool=look_up calls=2 rounds=2 tokens=6]"],
        [tokens(6)],
    )


@versions
def test_a_thread_and_its_run_are_polled_for(server: Stack, version: str) -> None:
    [(_, run)] = node(server, version, "createAndRunPoll", "[tokens=2]")
    assert (run["status"], run["usage"]["completion_tokens"]) == ("completed", 2)


@versions
def test_a_run_that_somebody_else_cancels_is_told_to_its_end(server: Stack, version: str) -> None:
    told = node(server, version, "cancelled", f"[tokens=20 hold=5 key={unique()}]")
    assert emitted(told) == PLAIN
    assert values(told, "runStepDone") == ["cancelled"]
    assert values(told, "messageDone") == ["incomplete"]
    assert values(told, "message") == ["".join(values(told, "textDelta"))]
    assert [run["status"] for run in values(told, "run")] == ["cancelled"]


@newest
def test_an_engine_that_breaks_off_is_told_to_the_end_of_the_stream(server: Stack, version: str) -> None:
    told = node(server, version, "stream", "[tokens=20 drop=5]")
    assert emitted(told) == PLAIN
    assert values(told, "runStepDone") == ["failed"]
    assert values(told, "message") == [tokens(5)]
    assert [run["status"] for run in values(told, "run")] == ["failed"]


@newest
def test_an_engine_that_says_nothing_ends_a_stream_without_a_message(server: Stack, version: str) -> None:
    told = node(server, version, "stream", "[error=500]")
    assert emitted(told) == ["connect", "end"]
    assert [run["status"] for run in values(told, "run")] == ["failed"]


@versions
def test_a_run_goes_on_when_its_reader_leaves(server: Stack, upstream: Upstream, version: str) -> None:
    key = unique()
    told = node(server, version, "abandoned", f"[tokens=20 hold=5 key={key}]")
    assert emitted(told)[-3:] == ["abort", "end", "thrown"]
    [(thread, run)] = values(told, "left")
    upstream.release(key)
    assert await_end(server, run) == "completed"
    assert server.client.answer_of(thread, run)["content"][0]["text"]["value"] == tokens(20)


def test_what_goes_wrong_in_a_stream_is_an_error_event(server: Stack, upstream: Upstream) -> None:
    """All versions at once: it takes seconds until a withdrawn right is noticed, and they wait together."""
    reading = NEWEST if server.database.is_postgres else PACKAGES
    name = unique()
    secret = server.another_key(name)

    def read(version: str) -> Told:
        return node(server, version, "interrupted", f"[tokens=20 hold=5 key={name}]", secret)

    with ThreadPoolExecutor() as pool:
        stories = [pool.submit(read, version) for version in reading]
        eventually(lambda: upstream.stats(name)["open"] == len(stories), TIMEOUT, "all of them read")
        server.database.revoke_key(name)
    for told in [story.result() for story in stories]:
        assert emitted(told)[-3:] == ["error", "end", "thrown"]
        assert values(told, "error") == [["APIError", "Your right to follow this run was withdrawn."]]
    upstream.release(name)
