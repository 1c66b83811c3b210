"""Clients that follow a run in a thread of their own, and what every one of them must have seen."""

from __future__ import annotations

import json
import threading
import time

from tests.support.client import PATIENCE, TERMINAL, Client, Cut, Event, message_text, numbers, text_of, tokens
from tests.support.processes import Stack, eventually

RECONNECT = 0.05  # seconds between two attempts


class Viewer(threading.Thread):
    """Follows a run to the end of its stream.

    :param after: the cursor it begins behind.
    :param leave_after: hang up once after so many events, and come back with the cursor.
    :param loyal: come back with ``Last-Event-ID`` whenever the connection breaks.
    """

    def __init__(
        self, client: Client, thread: str, run: str, *, after: int = 0, leave_after: int = 0, loyal: bool = False
    ) -> None:
        super().__init__(daemon=True)
        self._client, self._thread, self._run = client, thread, run
        self._leave_after, self._loyal = leave_after, loyal
        self.cursor = after
        self.events: list[Event] = []
        self.error: Exception | None = None
        self.connections = 0
        self.start()

    def run(self) -> None:
        try:
            while not self._follow():
                time.sleep(RECONNECT)
        except Exception as error:  # told to the test's own thread by ``finish``
            self.error = error

    def _follow(self) -> bool:
        """One connection; true where the stream was finished."""
        self.connections += 1
        path = f"/v1/threads/{self._thread}/runs/{self._run}?stream=true"
        try:
            for event in self._client.stream("GET", path, **{"Last-Event-ID": str(self.cursor)}):
                self.events.append(event)
                self.cursor = event.seq or self.cursor
                if len(self.events) == self._leave_after:
                    return False
        except (Cut, OSError):
            if not self._loyal:
                raise
            return False
        return True

    def saw(self, number: int) -> bool:
        """Whether token ``number`` has arrived; raises what ended the viewer."""
        if self.error is not None:
            raise self.error
        return number in numbers(self.text)

    @property
    def text(self) -> str:
        return text_of(list(self.events))

    def finish(self, timeout: float = PATIENCE) -> list[Event]:
        """Everything it saw, once its stream has ended."""
        self.join(timeout)
        if self.error is not None:
            raise self.error
        assert not self.is_alive(), f"still following after {len(self.events)} events: {self.text[-60:]}"
        return self.events


def ended(stack: Stack, run: str) -> str:
    """The terminal status of a run, '' while it has none."""
    [(status,)] = stack.database.rows("SELECT status FROM runs_run WHERE id = ?", run)
    return status if status in TERMINAL else ""


def await_end(stack: Stack, run: str, timeout: float = PATIENCE) -> str:
    """How a run ends, in the end; how soon is for benchmarks to say."""
    return eventually(lambda: ended(stack, run), timeout, f"{run} ends")


def logged(stack: Stack, run: str) -> list[tuple[int, str]]:
    """The event rows: number and type."""
    rows = stack.database.rows("SELECT seq, type FROM runs_runevent WHERE run_id = ? ORDER BY seq", run)
    return [(seq, type) for seq, type in rows]


def logged_text(stack: Stack, run: str) -> str:
    """What the event rows' deltas add up to."""
    query = "SELECT data FROM runs_runevent WHERE run_id = ? AND type = 'thread.message.delta' ORDER BY seq"
    deltas = [json.loads(data) if isinstance(data, str) else data for (data,) in stack.database.rows(query, run)]
    return "".join(part["text"]["value"] for delta in deltas for part in delta["content"])


def assert_each_once(stack: Stack, run: str, events: list[Event], after: int = 0) -> None:
    """The events a client saw are the rows, each once and in order."""
    seen = [(event.seq, event.name) for event in events if event.name != "done"]
    assert seen == [row for row in logged(stack, run) if row[0] > after]
    assert [seq for seq, _ in logged(stack, run)] == list(range(1, len(logged(stack, run)) + 1))


def assert_answer(stack: Stack, thread: str, run: str, events: list[Event], count: int) -> None:
    """Tokens seen = event rows = final message = what the engine says, each once and in order."""
    assert_each_once(stack, run, events)
    assert text_of(events) == tokens(count)
    assert logged_text(stack, run) == tokens(count)
    assert message_text(stack.client.answer_of(thread, run)) == tokens(count)
