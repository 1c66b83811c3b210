"""The HTTP application: what becomes of a request between Daphne and a view."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from prometheus_client import REGISTRY

from sovereign.core import asgi
from sovereign.core.asgi import OneHopHandler
from tests.core import asgi_urls

Message = dict[str, Any]


@pytest.fixture
def handler(settings: Any) -> OneHopHandler:
    settings.ROOT_URLCONF = "tests.core.asgi_urls"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.core.asgi_urls.Noting"]
    asgi_urls.told.clear()
    asgi_urls.threads.clear()
    return OneHopHandler()


@pytest.fixture
def holding() -> Iterator[None]:
    """What is asked of ``/hold`` and ``/late_file`` is not answered before the event ``go_on``."""
    asgi_urls.held, asgi_urls.go_on = threading.Semaphore(0), threading.Event()
    yield
    asgi_urls.go_on.set()


@pytest.fixture
def signals() -> Iterator[list[str]]:
    seen: list[str] = []

    def started(**_: Any) -> None:
        seen.append("started")

    def finished(**_: Any) -> None:
        seen.append("finished")
        asgi_urls.threads.append(threading.get_ident())

    request_started.connect(started)
    request_finished.connect(finished)
    yield seen
    request_started.disconnect(started)
    request_finished.disconnect(finished)


class Connection:
    """One request as a server presents it; ``sent`` holds what the application answered."""

    def __init__(self, path: str, *bodies: bytes, query: bytes = b"") -> None:
        self.scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": query,
            "headers": [(b"host", b"127.0.0.1")],
        }
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        for number, body in enumerate(bodies or (b"",), start=1):
            more = number < len(bodies)
            self._incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})
        self.sent: list[Message] = []
        self.changed = asyncio.Event()

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self.changed.set()

    def leave(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def through(self, handler: OneHopHandler) -> Connection:
        await handler(self.scope, self._incoming.get, self.send)
        return self

    async def sends(self, body: bytes) -> None:
        while body not in [message.get("body") for message in self.sent]:
            self.changed.clear()
            await self.changed.wait()

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:] if "body" in message)


async def test_a_request_is_answered_in_one_thread_and_a_context_of_its_own(
    handler: OneHopHandler, signals: list[str]
) -> None:
    for _ in range(2):
        asgi_urls.threads.clear()
        answer = await Connection("/echo", b"one ", b"two").through(handler)
        thread, left, body = answer.body.decode().split("|")
        assert (answer.status, left, body) == (200, "nothing", "one two")
        assert thread.startswith("request")
        assert len(asgi_urls.threads) == 3  # the middleware, the view, and what comes after
        assert len(set(asgi_urls.threads)) == 1
        assert dict(answer.sent[0]["headers"])[b"x-request-id"].startswith(b"req_")


async def test_a_request_is_over_before_its_answer_is_sent(handler: OneHopHandler, signals: list[str]) -> None:
    connection = Connection("/echo")
    seen_at_start: list[list[str]] = []
    send = connection.send

    async def watched(message: Message) -> None:
        seen_at_start.append(list(signals))
        await send(message)

    connection.send = watched  # type: ignore[method-assign]
    await connection.through(handler)
    assert seen_at_start[0] == ["started", "finished"]


async def test_an_exception_is_a_page_without_its_text(handler: OneHopHandler) -> None:
    answer = await Connection("/fail").through(handler)
    assert answer.status == 500
    assert b"a secret" not in answer.body


async def test_a_query_that_is_not_utf8_is_a_400(handler: OneHopHandler, signals: list[str]) -> None:
    answer = await Connection("/echo", query=b"a=\xff").through(handler)
    assert answer.status == 400
    assert signals == ["started", "finished"]


async def test_who_leaves_before_the_body_is_there_is_not_answered(handler: OneHopHandler) -> None:
    connection = Connection("/echo", b"some", b"")
    connection._incoming.get_nowait()
    connection._incoming.get_nowait()
    connection._incoming.put_nowait({"type": "http.request", "body": b"some", "more_body": True})
    connection.leave()
    await connection.through(handler)
    assert connection.sent == []


async def test_a_file_is_read_in_threads_piece_by_piece_and_closed(handler: OneHopHandler, signals: list[str]) -> None:
    answer = await Connection("/file").through(handler)
    assert (answer.status, answer.body) == (200, b"x" * 100_000)
    assert max(len(message.get("body", b"")) for message in answer.sent) == handler.chunk_size
    reads = [line for line in asgi_urls.told if line.startswith("read")]
    assert len(reads) == 3  # two pieces, and the end
    assert all(line.startswith("read by request") for line in reads)
    assert "closed" in asgi_urls.told
    assert signals == ["started", "finished"]


async def test_an_empty_piece_does_not_end_a_stream(handler: OneHopHandler) -> None:
    assert (await Connection("/pieces").through(handler)).body == b"onetwo"


async def test_a_stream_ends_when_its_reader_leaves(handler: OneHopHandler, signals: list[str]) -> None:
    connection = Connection("/stream")
    answering = asyncio.create_task(connection.through(handler))
    await connection.sends(b"first")
    assert signals == ["started"]
    connection.leave()
    await answering
    assert asgi_urls.told == ["ended"]
    assert signals == ["started", "finished"]


async def test_a_stream_ends_when_the_server_stops(handler: OneHopHandler, signals: list[str]) -> None:
    connection = Connection("/stream")
    answering = asyncio.create_task(connection.through(handler))
    await connection.sends(b"first")
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert asgi_urls.told == ["ended"]
    assert signals == ["started", "finished"]


async def test_what_a_stream_raises_reaches_the_server(handler: OneHopHandler, signals: list[str]) -> None:
    with pytest.raises(ValueError, match="broken"):
        await Connection("/broken_stream").through(handler)
    assert signals == ["started", "finished"]


async def test_requests_are_answered_while_others_wait(handler: OneHopHandler) -> None:
    open_streams = [Connection("/stream") for _ in range(50)]
    tasks = [asyncio.create_task(connection.through(handler)) for connection in open_streams]
    for connection in open_streams:
        await connection.sends(b"first")
    assert (await Connection("/echo").through(handler)).status == 200
    for connection in open_streams:
        connection.leave()
    await asyncio.gather(*tasks)


async def held(many: int = 1) -> None:
    """That many requests are inside their views."""
    for _ in range(many):
        assert await asyncio.to_thread(asgi_urls.held.acquire, timeout=60)


async def test_while_every_thread_waits_the_process_is_alive_and_a_bounded_number_queues(
    handler: OneHopHandler, holding: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi, "WAITING", 1)
    tasks = [asyncio.create_task(Connection("/hold").through(handler)) for _ in range(asgi.THREADS)]
    await held(asgi.THREADS)
    tasks.append(asyncio.create_task(Connection("/hold").through(handler)))
    await asyncio.sleep(0)  # it is in the queue now
    alive = await asyncio.wait_for(Connection("/health/live").through(handler), 60)
    assert (alive.status, alive.body.split(b"|")[0].startswith(b"health")) == (200, True)

    refused = await asyncio.wait_for(Connection("/echo").through(handler), 60)
    headers = dict(refused.sent[0]["headers"])
    assert (refused.status, json.loads(refused.body)["error"]["code"]) == (503, "service_unavailable")
    assert headers[b"Retry-After"] == b"5"
    assert headers[b"x-request-id"].startswith(b"req_")
    assert b"x-should-retry" not in headers

    asgi_urls.go_on.set()
    assert [answer.status for answer in await asyncio.gather(*tasks)] == [200] * (asgi.THREADS + 1)
    assert (await Connection("/echo").through(handler)).status == 200


@pytest.mark.parametrize(("headers", "advice"), [([], b"false"), ([(b"idempotency-key", b"k")], None)])
async def test_who_is_refused_and_would_be_mistaken_for_another_is_told_not_to_retry(
    handler: OneHopHandler, headers: list[Any], advice: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi, "WAITING", -asgi.THREADS)
    connection = Connection("/echo")
    connection.scope |= {"method": "POST", "headers": headers}
    await connection.through(handler)
    assert (connection.status, dict(connection.sent[0]["headers"]).get(b"x-should-retry")) == (503, advice)


async def test_a_stream_that_comes_when_nobody_waits_any_more_is_closed(
    handler: OneHopHandler, holding: None, signals: list[str]
) -> None:
    finished = threading.Event()

    def note(**_: Any) -> None:
        finished.set()

    request_finished.connect(note)
    try:
        answering = asyncio.create_task(Connection("/late_file").through(handler))
        await held()
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
        assert asgi_urls.told == []
        asgi_urls.go_on.set()
        assert await asyncio.to_thread(finished.wait, 60)
    finally:
        request_finished.disconnect(note)
    assert asgi_urls.told == ["closed"]
    assert signals == ["started", "finished"]


# ---------------------------------------------------------------------------------------------- later responses


@pytest.fixture
def later_handler(settings: Any, handler: OneHopHandler) -> OneHopHandler:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.core.asgi_urls.Cookies"]
    asgi_urls.going = asyncio.Event()
    return OneHopHandler()


def headers_of(connection: Connection) -> dict[str, str]:
    return {name.decode().lower(): value.decode() for name, value in connection.sent[0]["headers"]}


async def test_later_work_is_done_in_the_loop_in_the_context_of_its_request(
    later_handler: OneHopHandler, signals: list[str]
) -> None:
    answer = await Connection("/later").through(later_handler)
    headers = headers_of(answer)
    thread, request_id = answer.body.decode().split("|")
    assert (answer.status, thread) == (201, threading.current_thread().name)
    assert headers["x-request-id"] == request_id
    assert headers["x-added"] == "yes"
    assert "crumb=1" in headers["set-cookie"]
    assert headers["content-length"] == str(len(answer.body))
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert signals == ["started", "finished"]


async def test_later_work_may_be_refused(later_handler: OneHopHandler) -> None:
    answer = await Connection("/later_refused").through(later_handler)
    assert answer.status == 429
    assert json.loads(answer.body)["error"]["message"] == "No."
    assert headers_of(answer)["retry-after"] == "3"
    assert headers_of(answer)["x-added"] == "yes"


async def test_later_work_that_fails_is_a_500_without_its_text(later_handler: OneHopHandler) -> None:
    answer = await Connection("/later_broken").through(later_handler)
    assert answer.status == 500
    assert headers_of(answer)["x-request-id"] in json.loads(answer.body)["error"]["message"]
    assert b"secret" not in answer.body


async def test_later_work_without_the_database_is_to_be_asked_for_again(later_handler: OneHopHandler) -> None:
    answer = await Connection("/later_away").through(later_handler)
    assert (answer.status, headers_of(answer)["retry-after"]) == (503, "1")
    assert json.loads(answer.body)["error"]["code"] == "service_unavailable"
    assert b"secret" not in answer.body


@pytest.mark.parametrize("stops", [False, True])
async def test_later_work_ends_with_its_client_and_with_the_server(later_handler: OneHopHandler, stops: bool) -> None:
    connection = Connection("/later_held")
    answering = asyncio.create_task(connection.through(later_handler))
    await asgi_urls.going.wait()
    if stops:
        answering.cancel()
    else:
        connection.leave()
    await asyncio.gather(answering, return_exceptions=True)
    assert asgi_urls.told == ["stopped"]
    assert connection.sent == []


async def test_a_later_stream_is_sent_and_its_source_is_closed(
    later_handler: OneHopHandler, signals: list[str]
) -> None:
    answer = await Connection("/later_stream").through(later_handler)
    assert answer.body == b"data: 1\n\ndata: 2\n\n"
    assert headers_of(answer)["content-type"].startswith("text/event-stream")
    assert headers_of(answer)["x-added"] == "yes"
    assert asgi_urls.told == ["closed"]
    assert signals == ["started", "finished"]


async def test_a_later_stream_that_is_never_sent_is_closed(later_handler: OneHopHandler) -> None:
    connection = Connection("/later_stream")

    async def stuck(message: Message) -> None:
        connection.leave()
        await asyncio.Event().wait()

    connection.send = stuck  # type: ignore[method-assign]
    await connection.through(later_handler)
    assert asgi_urls.told == ["closed"]


# -------------------------------------------------------------------------------------------- bodies and counters


@pytest.mark.parametrize("length", [b"10", b"9" * 19])
async def test_a_body_that_is_announced_too_large_is_not_read(
    handler: OneHopHandler, settings: Any, length: bytes
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 9
    connection = Connection("/echo", b"0123456789")
    connection.scope["headers"].append((b"content-length", length))
    await connection.through(handler)
    assert (connection.status, json.loads(connection.body)["error"]["code"]) == (413, "request_too_large")
    assert headers_of(connection)["x-request-id"].startswith("req_")
    assert headers_of(connection)["content-length"] == str(len(connection.body))
    assert connection._incoming.qsize() == 1
    assert asgi_urls.threads == []


async def test_a_body_that_grows_too_large_is_read_no_further(handler: OneHopHandler, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 9
    assert (await Connection("/echo", b"01234", b"5678").through(handler)).status == 200
    connection = Connection("/echo", b"01234", b"56789", b"more")
    await connection.through(handler)
    assert (connection.status, connection._incoming.qsize()) == (413, 1)


async def test_a_large_body_that_is_refused_leaves_no_file_open(handler: OneHopHandler, settings: Any) -> None:
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE, settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 4, 9
    assert (await Connection("/echo", b"01234", b"56789").through(handler)).status == 413
    assert (await Connection("/echo", b"0123456").through(handler)).body.endswith(b"|0123456")


@pytest.mark.parametrize(("path", "status"), [("/later", 201), ("/later_refused", 429), ("/later_broken", 500)])
async def test_later_work_is_counted_as_what_became_of_it(later_handler: OneHopHandler, path: str, status: int) -> None:
    def counted(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    def counters() -> dict[str, float]:
        statuses = {
            code: counted("sovereign_django_http_responses_total_by_status_total", status=code) for code in codes
        }
        return statuses | {"all": counted("sovereign_django_http_responses_before_middlewares_total")}

    codes = {"200", str(status)}
    before = counters()
    await Connection(path).through(later_handler)
    assert {name: value - before[name] for name, value in counters().items()} == {"200": 0, str(status): 1, "all": 1}


async def test_later_work_takes_until_it_is_done(later_handler: OneHopHandler) -> None:
    """What was not answered has no latency."""

    def counted() -> float:
        name = "sovereign_django_http_requests_latency_including_middlewares_seconds_count"
        return REGISTRY.get_sample_value(name) or 0.0

    before = counted()
    connection = Connection("/later_held")
    answering = asyncio.create_task(connection.through(later_handler))
    await asgi_urls.going.wait()
    assert counted() == before
    connection.leave()
    await answering
    assert counted() == before
