"""The same faults behind a real vLLM: an answer goes on after its worker, and the engine after its supervisor."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.engines.guard import send, session_members
from inference.engines.installation import engine_python
from tests.inference.tiny_model import make_model
from tests.support.client import message_text, text_of
from tests.support.fixtures import skip_ring, started
from tests.support.processes import Process, Stack, eventually
from tests.support.viewers import Viewer, assert_each_once, await_end, ended, logged_text

pytestmark = [pytest.mark.fault, pytest.mark.engine]

MODEL = "tiny"
LOADING = 240.0  # seconds; about 35 on two idle cores
CONTEXT = 4_096  # tokens
ANSWER = 2_000  # tokens: a second or two on two idle cores
SHORTER = 400
ANSWERING = 180.0  # seconds, where others have the cores
LETTERS = 94  # the tokenizer's first tokens are ASCII's visible characters
PIECE = 50  # characters that were seen before something is killed
TRIES = 5  # answers, of which one is caught before its end


class Engines:
    """An API process, a supervised vLLM, and workers of their own."""

    def __init__(self, stack: Stack, model: Path) -> None:
        self.stack, self._model = stack, model
        self.workers: list[Process] = []
        self.supervisor = self.supervise()

    def supervise(self) -> Process:
        """A supervisor that executes nothing itself."""
        return self.stack.start("vllm_worker", "--model", str(self._model), "--concurrency", "0")

    def row(self) -> tuple[str, str]:
        """State and reason."""
        rows = self.stack.database.rows("SELECT state, reason FROM inference_engine WHERE name = ?", MODEL)
        return (str(rows[0][0]), str(rows[0][1])) if rows else ("", "")

    def state(self) -> str:
        return self.row()[0]

    def session(self) -> int:
        """The process that guards the engine."""
        [slot] = (self.stack.folder / "data" / "engines").iterdir()
        return int(json.loads((slot / "guard.json").read_text())["pid"])

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """vLLM stands still, so that an answer that has begun cannot end meanwhile, however fast the machine is."""
        members = session_members(self.session())
        try:
            for pid in members:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in members:
                send(pid, signal.SIGCONT)

    def server(self) -> int:
        """vLLM's own server process, once it has been started."""
        [slot] = (self.stack.folder / "data" / "engines").iterdir()
        try:
            record = json.loads((slot / "guard.json").read_text())
        except (OSError, ValueError):  # between two engines
            return 0
        return 0 if record.get("ended") else int(record["engine"])

    def heal(self) -> None:
        if not self.supervisor.alive:
            self.supervisor = self.supervise()
        eventually(lambda: self.state() == "ready", LOADING, "vLLM is ready")
        self.workers = [worker for worker in self.workers if worker.alive]
        self.workers += [self.stack.worker() for _ in range(2 - len(self.workers))]

    def worker_of(self, run: str) -> Process:
        """Who has claimed the run."""
        owner = eventually(lambda: self._owner(run), what="a worker has the run")
        return next(worker for worker in self.workers if f"-{worker.pid}-" in owner)

    def _owner(self, run: str) -> str:
        [(owner,)] = self.stack.database.rows("SELECT lease_owner FROM runs_run WHERE id = ?", run)
        return owner or ""


def talkative(model: Path) -> Path:
    """Under greedy decoding the model says ASCII letters only, and never that it is done.

    All other tokens get embeddings of zero, and so logits of zero: some letter's is higher. One token is one character
    then, so that a continued answer has to equal an uncut one.
    """
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"max_position_embeddings": CONTEXT}))
    weights = bytearray((model / "model.safetensors").read_bytes())
    [length] = struct.unpack_from("<Q", weights)
    header = json.loads(weights[8 : 8 + length])
    begin, end = (8 + length + offset for offset in header["model.embed_tokens.weight"]["data_offsets"])
    silent = begin + LETTERS * config["hidden_size"] * 4
    weights[silent:end] = bytes(end - silent)
    (model / "model.safetensors").write_bytes(weights)
    return model


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    python = engine_python()
    if python is None:
        skip_ring("the engine is not installed: manage.py install_engine")
    folder = tmp_path_factory.mktemp("engines")
    model = talkative(make_model(folder / MODEL))
    stack = started(Stack(folder / "stack", engine_url="", SOVEREIGN_ENGINE_PYTHON=str(python)))
    made = None
    try:
        stack.prepare()
        stack.serve()
        made = Engines(stack, model)
        eventually(lambda: made.supervisor.alive and made.state() == "ready", LOADING, "vLLM is ready")
        yield made
    finally:
        if made is not None:
            made.supervisor.terminate()  # the engine ends with it, and not with the process group
        stack.destroy()


@pytest.fixture
def live_engines(engines: Engines) -> Engines:
    engines.heal()
    return engines


def ask(engines: Engines, tokens: int = ANSWER) -> tuple[str, str, Viewer]:
    """A long answer that somebody follows."""
    client = engines.stack.client
    thread = client.thread("Tell me something long.")
    run = client.run(thread, client.assistant(MODEL, temperature=0), max_completion_tokens=tokens)
    return thread, run, Viewer(client, thread, run)


def begin(engines: Engines, tokens: int = ANSWER) -> tuple[str, str, Viewer]:
    """The same, of which a piece has been seen."""
    thread, run, viewer = ask(engines, tokens)
    eventually(lambda: len(viewer.text) > PIECE, what="a piece of the answer")
    return thread, run, viewer


@contextlib.contextmanager
def amid(engines: Engines) -> Iterator[tuple[str, str, Viewer]]:
    """A long answer, in the middle of which vLLM stands still; where one was too quick, the next one is taken."""
    for _ in range(TRIES):
        thread, run, viewer = ask(engines)
        eventually(lambda run=run: logged_text(engines.stack, run), what="the first token is kept")
        with engines.paused():
            if not ended(engines.stack, run):
                yield thread, run, viewer
                return
    raise AssertionError("every answer was over before the engine stood still")


def assert_whole(engines: Engines, thread: str, run: str, viewer: Viewer) -> str:
    """The run ended well, and what was seen is what was logged and kept."""
    stack = engines.stack
    status = await_end(stack, run, ANSWERING)
    assert status in ("completed", "incomplete"), stack.client.get(f"/v1/threads/{thread}/runs/{run}")
    events = viewer.finish()
    assert_each_once(stack, run, events)
    text = text_of(events)
    assert text == logged_text(stack, run) == message_text(stack.client.answer_of(thread, run))
    return text


def test_kill_9_of_a_worker_and_vllm_continues_the_answer(live_engines: Engines) -> None:
    with amid(live_engines) as (thread, run, viewer):
        before = eventually(lambda: viewer.text, what="somebody has seen it")
        live_engines.worker_of(run).kill()

    text = assert_whole(live_engines, thread, run, viewer)
    assert text.startswith(before)
    uncut = assert_whole(live_engines, *begin(live_engines))
    assert len(uncut) == ANSWER
    assert text[:ANSWER] == uncut, "the answer is the one that would have come"
    [(epoch,)] = live_engines.stack.database.rows("SELECT lease_epoch FROM runs_run WHERE id = ?", run)
    assert epoch == 2, "another worker took it over, once"


def test_kill_9_of_the_supervisor_leaves_the_engine_for_the_next_one(live_engines: Engines) -> None:
    guard = live_engines.session()
    thread, run, viewer = begin(live_engines)
    live_engines.supervisor.kill()
    live_engines.supervisor = live_engines.supervise()

    assert_whole(live_engines, thread, run, viewer)
    live_engines.stack.await_log(live_engines.supervisor, "engine_adopted")
    eventually(lambda: live_engines.state() == "ready", what="the adopted engine is ready")
    assert live_engines.session() == guard
    os.kill(guard, 0)
    assert_whole(live_engines, *begin(live_engines))


def test_kill_9_of_vllm_ends_its_runs_told_and_others_wait_for_it_to_load_again(live_engines: Engines) -> None:
    """Killed in the middle of an answer, and again while it loads."""
    stack = live_engines.stack
    with amid(live_engines) as (_, run, viewer):
        first = live_engines.server()
        os.kill(first, signal.SIGKILL)
    assert await_end(stack, run) == "failed"
    assert [event.name for event in viewer.finish()][-2:] == ["thread.run.failed", "done"]
    [(error,)] = stack.database.rows("SELECT last_error FROM runs_run WHERE id = ?", run)
    assert "engine" in (error if isinstance(error, str) else json.dumps(error))

    second = eventually(lambda: live_engines.server() not in (0, first) and live_engines.server(), LOADING, "a new one")
    thread, waiting, patient = ask(live_engines)
    eventually(lambda: live_engines.state() == "loading", LOADING, "it loads")
    os.kill(second, signal.SIGKILL)
    eventually(lambda: "killed by signal 9" in live_engines.row()[1], what="why it is down")
    assert not ended(stack, waiting), "it waits"
    eventually(lambda: live_engines.state() == "ready", LOADING, "vLLM is ready")
    assert_whole(live_engines, thread, waiting, patient)


def test_sigterm_lets_the_answers_end_before_vllm_does(live_engines: Engines) -> None:
    """Of its supervisor, while another process's run is answered."""
    session = live_engines.session()
    thread, run, viewer = begin(live_engines, SHORTER)
    live_engines.supervisor.signal(signal.SIGTERM)
    assert live_engines.supervisor.wait() == 0
    assert session_members(session) == [], "nothing of it is left"
    assert_whole(live_engines, thread, run, viewer)
    assert live_engines.row() == ("", ""), "nobody is sent to it"
