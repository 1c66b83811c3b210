"""A small blocking client of the API, as bare as curl: what a test sees is what was on the wire."""

from __future__ import annotations

import http.client
import json
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PATIENCE = 90.0  # seconds after which something is taken for never happening
TOKENS = re.compile(r"t(\d+)")
TERMINAL = ("completed", "failed", "cancelled", "expired", "incomplete")


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


class Cut(Exception):
    """The stream ended without being finished."""


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event; ``seq`` is its ``id:``, 0 where it has none."""

    name: str
    data: Any
    seq: int = 0


class Client:
    """Requests with one key, each on a connection of its own."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self._address = parts.netloc
        self._connection = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._headers = {"Content-Type": "application/json", "OpenAI-Beta": "assistants=v2"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"

    def _open(self, method: str, path: str, body: Any, headers: dict[str, str]) -> http.client.HTTPConnection:
        connection = self._connection(self._address, timeout=PATIENCE)
        raw = None if body is None else json.dumps(body).encode()
        connection.request(method, path, raw, {**self._headers, **headers})
        return connection

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        with closing(self._open(method, path, body, {})) as connection:
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def get(self, path: str) -> Any:
        return self._checked(*self.request("GET", path))

    def post(self, path: str, body: Any = None) -> Any:
        return self._checked(*self.request("POST", path, body))

    @staticmethod
    def _checked(status: int, body: Any) -> Any:
        if status != 200:
            raise Refused(status, body)
        return body

    def stream(self, method: str, path: str, body: Any = None, **headers: str) -> Iterator[Event]:
        """The events of a stream up to and with ``done``.

        :raises Refused: the answer is no stream.
        :raises Cut: it ended before ``done``.
        """
        with closing(self._open(method, path, body, headers)) as connection:
            response = connection.getresponse()
            if response.status != 200:
                raise Refused(response.status, json.loads(response.read()))
            yield from _events(_lines(response))

    # ----------------------------------------------------------------------------------------------- stories

    def assistant(self, model: str = "fake", **fields: Any) -> str:
        identifier: str = self.post("/v1/assistants", {"model": model, **fields})["id"]
        return identifier

    def thread(self, text: str = "") -> str:
        messages = [{"role": "user", "content": text}] if text else []
        identifier: str = self.post("/v1/threads", {"messages": messages})["id"]
        return identifier

    def run(self, thread: str, assistant: str, **fields: Any) -> str:
        body = {"assistant_id": assistant, **fields}
        identifier: str = self.post(f"/v1/threads/{thread}/runs", body)["id"]
        return identifier

    def follow(self, thread: str, run: str, after: int = 0) -> Iterator[Event]:
        return self.stream("GET", f"/v1/threads/{thread}/runs/{run}?stream=true&starting_after={after}")

    def answer_of(self, thread: str, run: str) -> dict[str, Any]:
        """The one message of a run."""
        messages = self.get(f"/v1/threads/{thread}/messages?run_id={run}")["data"]
        assert len(messages) == 1, messages
        message: dict[str, Any] = messages[0]
        return message


def _lines(response: http.client.HTTPResponse) -> Iterator[str]:
    try:
        for raw in response:
            yield raw.decode().rstrip("\n")
    except (OSError, http.client.HTTPException) as error:
        raise Cut(repr(error)) from None


def _events(lines: Iterator[str]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        if not fields:
            continue
        if fields["event"] == "done":
            yield Event("done", fields["data"])
            return
        yield Event(fields["event"], json.loads(fields["data"]), int(fields.get("id", 0)))
        fields = {}
    raise Cut("the stream ended without done")


def unique() -> str:
    """A key for the upstream's statistics."""
    return secrets.token_hex(6)


def text_of(events: Iterable[Event]) -> str:
    """The pieces of a message's text, joined as they came."""
    pieces = []
    for event in events:
        if event.name == "thread.message.delta":
            pieces += [part["text"]["value"] for part in event.data["delta"]["content"]]
    return "".join(pieces)


def message_text(message: dict[str, Any]) -> str:
    return "".join(part["text"]["value"] for part in message["content"])


def tokens(count: int) -> str:
    """The upstream's text of so many tokens."""
    return "".join(f" t{number}" for number in range(count))


def numbers(text: str) -> list[int]:
    return [int(number) for number in TOKENS.findall(text)]
