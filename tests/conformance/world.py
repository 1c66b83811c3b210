"""The server that is judged, and short ways to bring it where an expectation begins."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conformance.matching import Mismatch
from tests.conformance.objects import TOOL
from tests.conformance.wire import Answer, Wire
from tests.support.client import TERMINAL, Client, Event
from tests.support.database import Database
from tests.support.processes import Stack, Upstream, eventually

PATIENCE = 120.0  # seconds: an engine elsewhere may be slow
RESTING = (*TERMINAL, "requires_action")
#: In what is sent or expected they stand for ids of this world's.
FILE, STORE = "<a file>", "<a vector store>"


@dataclass
class World:
    """One server with one key.

    :ivar upstream: the scripted engine behind it, ``None`` where it has an engine of its own.
    :ivar database: the database of an installation of our own, ``None`` for any other.
    """

    url: str
    key: str
    model: str = "fake"
    upstream: Upstream | None = None
    database: Database | None = None
    _kept: dict[str, Any] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.wire = Wire(self.url, self.key)
        self.streams = Client(self.url, self.key)

    def close(self) -> None:
        self.wire.close()

    # ---------------------------------------------------------------------------------------------- requests

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        return self.wire.ask(method, f"/v1{path}", body, headers)

    def get(self, path: str) -> Any:
        return self._fetched("GET", path, None)

    def post(self, path: str, body: Any = None) -> Any:
        return self._fetched("POST", path, body)

    def _fetched(self, method: str, path: str, body: Any) -> Any:
        answer = self.ask(method, path, body)
        if answer.status != 200:
            raise Mismatch(f"{method} {_place(path)} was answered with {answer.status}: {_message(answer.body)}")
        return answer.body

    def stream(self, path: str, body: Any) -> Iterator[Event]:
        return self.streams.stream("POST", f"{self.wire.prefix}/v1{path}", {**body, "stream": True})

    def resume(self, path: str, **headers: str) -> Iterator[Event]:
        return self.streams.stream("GET", f"{self.wire.prefix}/v1{path}", None, **headers)

    # ----------------------------------------------------------------------------------------------- stories

    def cached(self, name: str, make: Callable[[], Any]) -> Any:
        """What many expectations share, made once; none of them may change it."""
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def forget(self, name: str) -> None:
        self._kept.pop(name, None)

    @property
    def assistant(self) -> str:
        return self.cached("assistant", self.new_assistant)

    @property
    def tool_assistant(self) -> str:
        """An assistant with one function."""
        return self.cached("tool assistant", lambda: self.new_assistant(tools=[TOOL]))

    @property
    def thread(self) -> str:
        """A thread with one message, on which nothing is ever run."""
        return self.cached("thread", self.new_thread)

    @property
    def file(self) -> str:
        return self.cached("file", self._upload)

    @property
    def store(self) -> str:
        return self.cached("store", lambda: str(self.post("/vector_stores", {})["id"]))

    def _upload(self) -> str:
        """A small text, sent as the SDKs send one."""
        edge = secrets.token_hex(16)
        part = f'--{edge}\r\nContent-Disposition: form-data; name="'
        purpose = f'{part}purpose"\r\n\r\nassistants\r\n'
        file = f'{part}file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nSome words.\r\n'
        headers = {**self.wire.authorization, "Content-Type": f"multipart/form-data; boundary={edge}"}
        answer = self.wire.raw("POST", "/v1/files", f"{purpose}{file}--{edge}--\r\n".encode(), headers)
        if answer.status != 200:
            raise Mismatch(f"POST /files was answered with {answer.status}: {_message(answer.body)}")
        return str(answer.body["id"])

    def named(self, value: Any) -> Any:
        """What is sent or expected, with this world's ids in it."""
        if isinstance(value, str):
            return self.file if value == FILE else self.store if value == STORE else value
        if isinstance(value, Mapping):
            return {key: self.named(inner) for key, inner in value.items()}
        return [self.named(inner) for inner in value] if isinstance(value, list) else value

    def new_assistant(self, **fields: Any) -> str:
        return str(self.post("/assistants", {"model": self.model, **fields})["id"])

    def new_thread(self, text: str = "Hello [tokens=3]") -> str:
        return str(self.post("/threads", {"messages": [{"role": "user", "content": text}]})["id"])

    def new_run(self, text: str = "Hello [tokens=3]", assistant: str = "", **fields: Any) -> dict[str, Any]:
        """A run that has just been made, on a thread of its own."""
        body = {"assistant_id": assistant or self.assistant, **fields}
        made: dict[str, Any] = self.post(f"/threads/{self.new_thread(text)}/runs", body)
        return made

    def rested(self, run: dict[str, Any]) -> dict[str, Any]:
        """The run when it is over, or waits for tool outputs."""

        def look() -> dict[str, Any] | None:
            now: dict[str, Any] = self.get(path_of(run))
            return now if now["status"] in RESTING else None

        found = eventually(look, PATIENCE, "the run comes to rest")
        assert found is not None
        return found

    def in_state(self, run: dict[str, Any], status: str) -> dict[str, Any]:
        """The run when it has reached a state."""

        def look() -> dict[str, Any] | None:
            now: dict[str, Any] = self.get(path_of(run))
            return now if now["status"] == status else None

        found = eventually(look, PATIENCE, f"the run is {status}")
        assert found is not None
        return found

    @property
    def completed_run(self) -> dict[str, Any]:
        return self.cached("completed run", lambda: self.rested(self.new_run()))

    @property
    def waiting_run(self) -> dict[str, Any]:
        """One that waits for the outputs of two calls, and goes on waiting."""
        return self.cached("waiting run", self.new_waiting_run)

    def new_waiting_run(self, tags: str = "calls=2", **fields: Any) -> dict[str, Any]:
        run = self.new_run(f"[tool=look_up {tags} tokens=3]", self.tool_assistant, **fields)
        waiting = self.rested(run)
        if waiting["status"] != "requires_action":
            raise Mismatch(f"a run that calls a function is {waiting['status']} instead of requires_action")
        return waiting

    @contextlib.contextmanager
    def held_run(self, assistant: str = "") -> Iterator[dict[str, Any]]:
        """A run in progress that stays so until the block ends."""
        assert self.upstream is not None
        key = self.unique()
        run = self.new_run(f"[tokens=6 hold=3 key={key}]", assistant)
        try:
            self.in_state(run, "in_progress")
            yield run
        finally:
            self.upstream.release(key)

    def unique(self) -> str:
        return f"c{next(self._numbers)}{secrets.token_hex(4)}"

    def asked(self, key: str) -> list[dict[str, Any]]:
        """What the engine was asked under ``key``: the bodies of its requests."""
        assert self.upstream is not None
        return self.upstream.kept(key)

    def outputs_for(self, run: dict[str, Any], text: str = "42") -> dict[str, Any]:
        calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        return {"tool_outputs": [{"tool_call_id": call["id"], "output": text} for call in calls]}


def path_of(run: dict[str, Any], rest: str = "") -> str:
    return f"/threads/{run['thread_id']}/runs/{run['id']}{rest}"


def _place(path: str) -> str:
    """An address without what changes from run to run."""
    parts = path.partition("?")[0].split("/")
    return "/".join("…" if "_" in part and part != "submit_tool_outputs" else part for part in parts)


def _message(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("message") if isinstance(error, dict) else body)[:200]


@contextlib.contextmanager
def fresh_installation() -> Iterator[World]:
    """API, worker and scripted engine around an empty SQLite database, gone afterwards."""
    with contextlib.ExitStack() as after:
        folder = Path(after.enter_context(tempfile.TemporaryDirectory(prefix="sovereign-conformance-")))
        upstream = Upstream(folder)
        after.callback(upstream.process.destroy)
        stack = Stack(folder / "installation", engine_url=upstream.url)
        after.callback(stack.destroy)
        up = stack.up()
        stack.await_log(up, "engine_ready")
        stack.await_log(up, "interpreter_usable")  # where it never is, the suite cannot judge all there is
        yield after.enter_context(contextlib.closing(world_of(stack, upstream)))


def world_of(stack: Stack, upstream: Upstream) -> World:
    return World(stack.url, stack.api_key, upstream=upstream, database=stack.database)
