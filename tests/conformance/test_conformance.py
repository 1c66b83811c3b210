"""The page says what the server does, nothing published is left out, and a server that does otherwise is told of."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from sovereign.management.commands import conformance as command
from tests.conformance import __main__ as program
from tests.conformance import judging
from tests.conformance.expectations import (
    Expectation,
    Need,
    Target,
    bind,
    put,
    refuses,
    takes,
    unknown,
)
from tests.conformance.inventory import operations
from tests.conformance.judging import Verdict, expectations, holes, judge, judge_all
from tests.conformance.matching import Either, Id, Instant, difference
from tests.conformance.page import Row, State, render
from tests.conformance.reasons import IDS, REASONS, Reason
from tests.conformance.suite.errors import ERRORS
from tests.conformance.suite.streams import add_up, pattern, short
from tests.conformance.wire import Answer
from tests.conformance.world import World, world_of
from tests.support.client import Event
from tests.support.processes import START_TIMEOUT, STOP_TIMEOUT, Process, Stack, Upstream, eventually

NOWHERE = "http://127.0.0.1:9"


@pytest.mark.live
def test_the_page_is_what_the_server_does(server: Stack, upstream: Upstream) -> None:
    with contextlib.closing(world_of(server, upstream)) as world:
        results = list(judge_all(world))
    failed = [one for one in results if one.verdict is Verdict.FAILED]
    assert not failed, "\n".join(
        f"{one.expectation.operation} {one.expectation.subject}: {one.expectation.label}: {one.why}" for one in failed
    )
    page = render(results, program.FRESH)
    assert page == program.PAGE.read_text(encoding="utf-8"), "run: .venv/bin/python manage.py conformance"


def test_everything_published_has_an_expectation() -> None:
    assert len(operations()) == 23
    assert sum(len(operation.parameters) for operation in operations()) == 304
    assert holes(expectations()) == []


def test_a_parameter_without_an_expectation_is_a_hole() -> None:
    left = [one for one in expectations() if (one.operation, one.subject) != ("createRun", "tool_choice.type")]
    assert holes(left) == ["createRun tool_choice.type"]


def test_every_error_has_an_expectation_and_every_reason_is_used() -> None:
    judged = expectations()
    assert set(ERRORS) <= {one.error for one in judged}
    assert {one.reason for one in judged if one.reason} == set(REASONS)


# ------------------------------------------------------------------------------------------ what is told wrong


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1}, [("a", 1)]),
        ([1, 2], [1]),
        (True, 1),
        (1, True),
        (None, 0),
        ("1", 1),
        (Id("run_"), "run_1"),
        (Id("run_"), "asst_01m7yw6v4f0hyky6e8gbaw9wg9"),
        (Instant(), 1.5),
        (Instant(), None),
        (Either((1, "a")), "b"),
        ({"a": [{"b": None}]}, {"a": [{"b": False}]}),
    ],
)
def test_a_difference_is_seen(expected: Any, given: Any) -> None:
    assert difference(expected, given)


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        (1.0, 1),
        ({"a": [{"b": None}]}, {"a": [{"b": None}]}),
        (Id("run_"), "run_01m7yw6v4f0hyky6e8gbaw9wg9"),
        (Instant(), 1_763_000_000),
        (Either((1, "a")), "a"),
    ],
)
def test_what_is_equal_is_no_difference(expected: Any, given: Any) -> None:
    assert difference(expected, given) is None


class Liar(World):
    """A server that answers everything with one answer."""

    answer = Answer(200, {}, {})

    def ask(self, *_: Any, **__: Any) -> Answer:
        return self.answer


def asking(answer: Answer) -> Liar:
    world = Liar(NOWHERE, "key")
    world.answer = answer
    return world


def target(**fields: Any) -> Target:
    def send(world: World, body: dict[str, Any], refused: bool) -> Answer:
        return world.ask("POST", "/x", body)

    return Target(operation="x", base=lambda world: {}, send=send, show=lambda world, answer: answer, **fields)


def refused(message: str, param: str | None, status: int = 400, code: str | None = "unknown_parameter") -> Answer:
    body = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return Answer(status, {}, {"error": body})


GOOD = refused("Unknown parameter: 'messages[0].x'.", "messages[0].x")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, {}, {"x": 1}),
        refused("Unknown parameter: 'x'.", "x"),
        refused("Unknown parameter: 'messages[0].x'.", "messages[0].x", status=422),
        refused("Unknown parameter: 'messages[0].x'.", "messages[0].x", code="other"),
        refused("Something else.", "messages[0].x"),
        Answer(400, {}, "text"),
        Answer(400, {}, {"error": {"message": "Unknown parameter: 'messages[0].x'."}}),
    ],
)
def test_another_refusal_is_told(answer: Answer) -> None:
    [expectation] = bind(target(mount="messages[0]"), [refuses("x", "an unknown field", {"x": 1}, unknown("x"))])
    assert (expectation.subject, expectation.error) == ("messages[].x", "E21")
    assert judge(asking(GOOD), expectation).verdict is Verdict.PASSED
    found = judge(asking(answer), expectation)
    assert found.verdict is Verdict.FAILED
    assert found.why


@pytest.mark.parametrize("answer", [Answer(400, {}, {}), Answer(200, {}, {"x": 2}), Answer(200, {}, {})])
def test_what_is_not_taken_is_told(answer: Answer) -> None:
    [expectation] = bind(target(), [takes("x", "one", {"x": 1})])
    assert judge(asking(Answer(200, {}, {"x": 1, "y": 2})), expectation).verdict is Verdict.PASSED
    assert judge(asking(answer), expectation).verdict is Verdict.FAILED


def test_a_server_that_is_not_there_is_a_failure_of_every_expectation() -> None:
    chosen = [one for one in expectations() if one.operation == "getAssistant"]
    assert {judge(World(NOWHERE, "key"), one).verdict for one in chosen} == {Verdict.FAILED}


def test_what_needs_more_than_the_server_has_is_not_judged() -> None:
    world = World(NOWHERE, "key")
    for need in (Need.ENGINE, Need.CLOCK, Need.ENGINE | Need.CLOCK):
        assert judge(world, make(need=need)).verdict is Verdict.UNJUDGED


def test_a_test_that_is_named_must_be_there() -> None:
    there = "tests/runs/test_readers.py::test_a_deleted_thread_is_told_as_an_error"
    assert judge(World(NOWHERE, "key"), make(shown_by=there)).verdict is Verdict.SHOWN
    for missing in ("tests/runs/test_readers.py::test_a_deleted", "tests/runs/nothing.py::test_a"):
        assert judge(World(NOWHERE, "key"), make(shown_by=missing)).verdict is Verdict.FAILED


def make(*, need: Need = Need.NOTHING, **fields: Any) -> Expectation:
    given = {"operation": "x", "subject": "", "label": "a thing", "judge": lambda world: None, "needs": need}
    return Expectation(**{**given, **fields})


# ----------------------------------------------------------------------------------------------------- streams


@pytest.mark.parametrize(
    ("order", "told", "fits"),
    [
        ("run.{created,queued} done", "run.created run.queued done", True),
        ("run.{created,queued} done", "run.queued run.created done", False),
        ("message.delta+ done", "message.delta message.delta done", True),
        ("message.delta+ done", "done", False),
        ("message.delta done", "message.delta message.delta done", False),
        ("run.created done", "run.created run.created done", False),
    ],
)
def test_an_order_in_its_notation(order: str, told: str, fits: bool) -> None:
    assert bool(re.fullmatch(pattern(order), told)) is fits


def test_names_of_events_are_shortened() -> None:
    names = ["thread.created", "thread.run.created", "thread.run.step.delta", "thread.message.delta", "done"]
    assert [short(name) for name in names] == ["thread.created", "run.created", "step.delta", "message.delta", "done"]


def test_a_stream_that_clients_cannot_add_up_is_told() -> None:
    delta = {"id": "msg_x", "object": "thread.message.delta", "delta": {"content": []}}
    with pytest.raises(AssertionError, match=r"accumulators fail at message\.delta"):
        add_up([Event("thread.message.delta", delta, 1), Event("done", "[DONE]")])


# --------------------------------------------------------------------------------------------------- the page


MISSING = Reason("missing", "It is not there.", supported=False)


@pytest.mark.parametrize(
    ("verdicts", "state"),
    [
        ([], State.HOLE),
        ([Verdict.PASSED], State.PASSED),
        ([Verdict.PASSED, Verdict.FAILED], State.FAILED),
        ([Verdict.PASSED, Verdict.DIFFERS], State.DIFFERS),
        ([Verdict.PASSED, Verdict.UNSUPPORTED], State.PARTLY),
        ([Verdict.UNSUPPORTED], State.UNSUPPORTED),
        ([Verdict.PASSED, Verdict.UNJUDGED], State.PASSED),
        ([Verdict.UNJUDGED], State.UNJUDGED),
        ([Verdict.SHOWN], State.ELSEWHERE),
    ],
)
def test_a_row_is_as_good_as_its_worst_expectation(verdicts: list[Verdict], state: State) -> None:
    reasons = {Verdict.DIFFERS: IDS, Verdict.UNSUPPORTED: MISSING}
    results = [judging.Result(make(reason=reasons.get(verdict)), verdict) for verdict in verdicts]
    assert Row("x", results).state is state


def test_a_failure_and_a_hole_stand_on_the_page() -> None:
    failed = judging.Result(make(operation="getAssistant", label="a|b"), Verdict.FAILED, "it was otherwise")
    page = render([failed], "a test")
    assert "| getAssistant  | a\\|b | it was otherwise |" in page
    assert "**no expectation**" in page


def test_an_object_is_put_at_its_place() -> None:
    assert put({"a": 1}, "", {"b": 2}) == {"a": 1, "b": 2}
    assert put({"a": 1}, "thread.messages[0]", {"b": 2}) == {"a": 1, "thread": {"messages": [{"b": 2}]}}
    assert put({"thread": {"a": 1}}, "thread", {"b": 2}) == {"thread": {"b": 2}}


# ------------------------------------------------------------------------------------------------- the command


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """``run(answer, *arguments)``: the program with one expectation, judged by a server that gives that answer."""

    def start(answer: Answer, *arguments: str) -> int:
        [one] = bind(target(), [takes("x", "one", {"x": 1})])
        monkeypatch.setattr(program, "World", lambda *_, **__: asking(answer))
        monkeypatch.setattr(judging, "expectations", lambda: [one])
        monkeypatch.setattr(program, "holes", lambda _: [])
        monkeypatch.setenv(program.KEY, "key")
        options = ["--url", NOWHERE, "--model", "fake", "--output", str(tmp_path / "page.md"), *arguments]
        monkeypatch.setattr(sys, "argv", ["conformance", *options])
        return program.main()

    return start


def test_the_program_writes_and_checks_the_page(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = Answer(200, {}, {"x": 1}), Answer(200, {}, {"x": 2})
    assert run(good, "--check") == 1  # there is no page yet
    assert run(good) == 0
    assert run(good, "--check") == 0
    written = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert f"judged: {NOWHERE} with the model fake" in written
    capsys.readouterr()
    assert run(bad, "--check") == 1
    said = capsys.readouterr().out
    assert "not as expected: x x: one" in said
    assert "+## Not as expected" in said
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == written
    assert run(bad) == 1


@pytest.mark.parametrize(
    ("key", "arguments", "needs"),
    [
        ("key", ["--output", "x"], "--model"),
        ("", ["--output", "x", "--model", "fake"], "an API key: SOVEREIGN_API_KEY"),
        ("key", ["--model", "fake"], "--output"),  # the checkout's own page is about something else
    ],
)
def test_what_another_server_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str, arguments: list[str], needs: str
) -> None:
    monkeypatch.setenv(program.KEY, key)
    monkeypatch.setattr(sys, "argv", ["conformance", "--url", NOWHERE, *arguments])
    with pytest.raises(SystemExit):
        program.main()
    assert f"--url needs {needs}" in capsys.readouterr().err


def test_the_command_becomes_the_suite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[list[str]] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command.os, "execv", lambda path, arguments: started.append(arguments))
    call_command("conformance", url=NOWHERE, model="fake", output=Path("page.md"), check=True)
    page = str(tmp_path / "page.md")
    expected = ["-m", "tests.conformance", "--url", NOWHERE, "--model", "fake", "--output", page, "--check"]
    assert started == [[sys.executable, *expected]]
    assert Path.cwd() == command.ROOT


def test_no_key_is_seen_on_the_command_line() -> None:
    with pytest.raises(CommandError, match="unrecognized arguments: --key"):
        call_command("conformance", "--key", "a secret")


@pytest.mark.live
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_where_it_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    """Its processes are known by their temporary folder, which they all inherit."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    arguments = [sys.executable, "manage.py", "conformance", "--output", str(tmp_path / "page.md")]
    ended = subprocess.Popen(arguments, cwd=command.ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: len(inheriting(tmp_path)) >= 3, START_TIMEOUT, "an engine and a server are started")
        ended.send_signal(number)
        assert ended.wait(STOP_TIMEOUT) != 0
        eventually(lambda: inheriting(tmp_path) == [], what="what was started ends with those who started it")
        assert list(tmp_path.iterdir()) == []
    finally:
        for pid in inheriting(tmp_path):
            os.kill(pid, signal.SIGKILL)
        ended.wait(STOP_TIMEOUT)


def test_who_is_just_being_started_ends_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    usual = subprocess.Popen

    def interrupted(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(usual(*arguments, **options))
        signal.raise_signal(signal.SIGINT)
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Process("sleeper", ["sleep", "60"], dict(os.environ), tmp_path / "log")
    assert started[0].wait(STOP_TIMEOUT) == -signal.SIGKILL


def inheriting(folder: Path) -> list[int]:
    """The processes whose temporary files go into ``folder``; not those that are dead already."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # somebody else's, or gone meanwhile
            if f"TMPDIR={folder}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def test_an_installation_without_the_suite_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command, "ROOT", tmp_path)
    with pytest.raises(CommandError, match="part of a checkout"):
        call_command("conformance")
