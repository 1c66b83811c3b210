"""A person tries a version beside the draft, on a server as it runs: a session, the page's form, and two sockets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest
from django.contrib.admin.utils import quote
from websockets.sync.client import ClientConnection, connect

from tests.support.client import Event, text_of, tokens, unique
from tests.support.processes import PATIENCE, Stack, Upstream

pytestmark = pytest.mark.live

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


class Person:
    """Somebody with a browser's cookies, and no script."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._jar = stack, CookieJar()
        self._open = build_opener(HTTPCookieProcessor(self._jar)).open
        self.submit("/login", username=stack.user, password=stack.password)

    def page(self, path: str, body: bytes | None = None, **headers: str) -> tuple[str, str]:
        """What an address leads to: the last address, and its text."""
        request = Request(self._stack.url + path, body, {"Origin": self._stack.url, **headers})
        with self._open(request, timeout=PATIENCE) as answer:
            return answer.url, answer.read().decode()

    def submit(self, path: str, **fields: str) -> str:
        """Fill in the form of a page; the address that it leads to."""
        found = TOKEN.search(self.page(path)[1])
        assert found, f"{path} has no form"
        return self.page(path, urlencode({"csrfmiddlewaretoken": found[1], **fields}).encode())[0]

    def get(self, path: str) -> Any:
        return json.loads(self.page(path)[1])

    def post(self, path: str, body: dict[str, Any]) -> Any:
        token = next(value for name, value in self._cookies.items() if "csrf" in name)
        headers = {"Content-Type": "application/json", "X-CSRFToken": token}
        return json.loads(self.page(path, json.dumps(body).encode(), **headers)[1])

    @property
    def _cookies(self) -> dict[str, str]:
        return {cookie.name: cookie.value or "" for cookie in self._jar}

    def socket(self, thread: str) -> ClientConnection:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        address = f"{self._stack.websocket_url}/ws/threads/{thread}"
        headers = {"Cookie": cookies, "Origin": self._stack.url}
        return connect(address, additional_headers=headers, open_timeout=PATIENCE, close_timeout=1)


def events(socket: ClientConnection) -> Iterator[Event]:
    while True:
        frame = json.loads(socket.recv(timeout=PATIENCE))
        yield Event(frame["event"], frame["data"], frame["seq"])


def until(seen: list[Event], coming: Iterator[Event], *, text: str = "", name: str = "") -> None:
    """Add what comes, up to the event that says the text, or has the name."""
    for event in coming:
        seen.append(event)
        if (text and text in text_of(seen)) or event.name == name:
            return


def test_a_draft_and_a_version_stream_side_by_side_each_as_itself(server: Stack, upstream: Upstream) -> None:
    client, key = server.client, unique()
    assistant = client.assistant(instructions="Be sober.")
    assert client.request("POST", f"/api/v1/assistants/{assistant}/versions", {})[0] in (200, 201)
    client.post(f"/v1/assistants/{assistant}", {"instructions": "Be merry."})
    person, page = Person(server), f"/admin/assistants/assistant/{quote(assistant)}/try/"
    asked = {
        "text": f"Count. [tokens=40 hold=20 keep=1 key={key}]",
        "left": "draft",
        "right": "version-1",
        "to": "both",
    }
    query = parse_qs(urlsplit(person.submit(page, **asked)).query)
    threads = [query[f"{side}_thread"][0] for side in ("left", "right")]
    runs = [person.get(f"/v1/threads/{thread}/runs")["data"][0]["id"] for thread in threads]

    with ExitStack() as open_sockets:
        seen: list[list[Event]] = [[], []]
        coming = []
        for thread, run, told in zip(threads, runs, seen, strict=True):
            socket = open_sockets.enter_context(person.socket(thread))
            socket.send(json.dumps({"subscribe": run}))
            coming.append(events(socket))
            until(told, coming[-1], text="t19")
        assert [text_of(told) for told in seen] == [tokens(20)] * 2, "both are at it, and neither is done"
        upstream.release(key)
        for told, more in zip(seen, coming, strict=True):
            until(told, more, name="thread.run.completed")
        assert [text_of(told) for told in seen] == [tokens(40)] * 2

    assert sorted(body["messages"][0]["content"] for body in upstream.kept(key)) == ["Be merry.", "Be sober."]
    figures = person.get(f"{page}figures.json?{urlencode([('run', run) for run in runs])}")["data"]
    draft, version = (figures[run] for run in runs)
    assert (draft["origin"], version["origin"]) == ("Draft", "Version 1")
    assert 0 <= draft["waited"] <= draft["first"] <= draft["total"]
    assert draft["completion_tokens"] == version["completion_tokens"] == 40
    assert person.post(f"{page}case", {"run": runs[1]})["case"]["name"].startswith("Count.")
    assert not {*threads} & {entry["id"] for entry in person.get("/chat/threads.json")["data"]}, "they are no chats"
