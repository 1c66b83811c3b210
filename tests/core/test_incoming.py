"""Bodies that their view takes as they come."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.core.exceptions import RequestAborted

from sovereign.core import incoming
from sovereign.core.errors import ApiError
from sovereign.core.incoming import Incoming, limit_of

FORM = b"multipart/form-data; boundary=x"
Message = dict[str, Any]


class Client:
    """What a server would hand over."""

    def __init__(self, *pieces: bytes, whole: bool = True) -> None:
        self.queue: asyncio.Queue[Message] = asyncio.Queue()
        for number, piece in enumerate(pieces, start=1):
            more = not whole or number < len(pieces)
            self.queue.put_nowait({"type": "http.request", "body": piece, "more_body": more})
        self.sent: list[Message] = []

    def body(self, limit: int = 100) -> Incoming:
        return Incoming(self.queue.get, limit)

    def leave(self) -> None:
        self.queue.put_nowait({"type": "http.disconnect"})

    async def send(self, message: Message) -> None:
        self.sent.append(message)


async def test_a_body_is_read_piece_by_piece_to_its_end() -> None:
    body = Client(b"one", b"", b"two", b"").body()
    assert [await body.read() for _ in range(4)] == [b"one", b"two", b"", b""]


async def test_a_body_that_gets_too_large_is_a_413() -> None:
    body = Client(b"x" * 60, b"x" * 60).body()
    assert await body.read() == b"x" * 60
    with pytest.raises(ApiError) as refused:
        await body.read()
    assert refused.value.status == 413


async def test_a_body_may_be_as_large_as_its_limit() -> None:
    body = Client(b"x" * 60, b"x" * 40).body()
    assert len(await body.read() + await body.read()) == 100


async def test_who_leaves_is_noticed_by_who_reads() -> None:
    client = Client(b"one", whole=False)
    client.leave()
    body = client.body()
    assert await body.read() == b"one"
    for _ in range(2):
        with pytest.raises(RequestAborted):
            await body.read()
    await body.left()


async def test_who_leaves_after_the_body_is_noticed_by_who_waits_for_it() -> None:
    client = Client(b"one")
    body = client.body()
    leaving = asyncio.create_task(body.left())
    assert await body.read() == b"one"
    await asyncio.sleep(0)
    assert not leaving.done()
    client.leave()
    await leaving


async def test_the_rest_of_a_small_body_is_read_before_the_answer() -> None:
    client = Client(b"one", b"two")
    send = client.body().before(client.send)
    await send({"type": "http.response.start", "status": 401})
    assert client.queue.empty()
    assert client.sent == [{"type": "http.response.start", "status": 401}]


async def test_a_large_rest_and_a_slow_one_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "REST", 10)
    monkeypatch.setattr(incoming, "REST_WITHIN", 0.01)
    large, slow = Client(b"x" * 20, b"x" * 20, whole=False), Client(b"x", whole=False)
    for client in (large, slow):
        await client.body().before(client.send)({"type": "http.response.start"})
        assert len(client.sent) == 1
    assert large.queue.qsize() == 1


@pytest.mark.parametrize(
    ("method", "path", "content_type", "is_taken"),
    [
        ("POST", "/v1/files", FORM, True),
        ("POST", "/v1/files", b"Multipart/Form-Data; boundary=x", True),
        ("POST", "/v1/uploads/upload_x/parts", FORM, True),
        ("POST", "/v1/files", b"application/json", False),
        ("GET", "/v1/files", FORM, False),
        ("POST", "/v1/assistants", FORM, False),
        ("POST", "/v1/nothing", FORM, False),
        ("POST", "/admin/login/", FORM, False),
    ],
)
def test_only_uploads_are_taken_as_they_come(method: str, path: str, content_type: bytes, is_taken: bool) -> None:
    limit = limit_of(method, path, content_type)
    assert (limit is not None and limit > 64 * 1024**2) == is_taken
