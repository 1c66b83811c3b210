"""Upstreams that lie, never end, or lead astray: each adapter says so in one sentence, holds little, leaks nothing."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from typing import Any

import orjson
import pytest

from inference.adapters import adapter_for
from inference.adapters import transport as transport_module
from inference.adapters.base import Patience
from inference.adapters.transport import transport
from inference.chat import EngineUnavailable, Finished, InferenceError, TextDelta
from tests.inference.conftest import Asked, Upstream, collect, plain, request_for
from tests.inference.upstreams.dialects import DIALECTS, MEMORY, Dialect, Endless, endpoint

CUT = "The engine closed the connection in the middle of the answer."
TOO_LONG = "The engine sent a longer answer than is accepted."
BLOCK = b"x" * 65_536
SECRET = "k-secret-1"


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.kind)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    found: Dialect = request.param
    return found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "TICK", 0.02)


async def stream(upstream: Upstream, dialect: Dialect, **changes: Any) -> list[Any]:
    deltas = adapter_for(dialect.kind).stream(endpoint(upstream, dialect, **changes), request_for())
    return (await collect(deltas))[2]


async def failure(upstream: Upstream, dialect: Dialect, **changes: Any) -> InferenceError:
    with pytest.raises(InferenceError) as caught:
        await stream(upstream, dialect, **changes)
    error = caught.value
    assert SECRET not in error.message
    assert error.message.isprintable()
    assert len(error.message) < 700
    assert not transport().calls
    return error


async def list_failure(upstream: Upstream, dialect: Dialect, **changes: Any) -> InferenceError:
    with pytest.raises(InferenceError) as caught:
        await adapter_for(dialect.kind).list_models(endpoint(upstream, dialect, **changes))
    assert SECRET not in caught.value.message
    assert not transport().calls
    return caught.value


def everything(upstream: Upstream, *pieces: bytes) -> None:
    """Answer every request with these bytes, lists of models too."""
    upstream.answers(*pieces)
    upstream.lists = False


async def test_a_control(upstream: Upstream, dialect: Dialect) -> None:
    """What the other tests break works."""
    upstream.answers(dialect.head, dialect.start, dialect.token, dialect.end)
    deltas = await stream(upstream, dialect)
    assert deltas[0] == TextDelta("a")
    assert deltas[-1].reason == "stop"


@pytest.mark.parametrize(
    "data", [b"not json", b"[]", b"null", b"7", b'"a"', b"\xff\xfe", b'{"a": "\xc3\x28"}', b"{" * 5_000]
)
async def test_malformed_streams(upstream: Upstream, dialect: Dialect, data: bytes) -> None:
    upstream.answers(dialect.head, dialect.start, dialect.garbage(data), dialect.end)
    assert "The engine sent an answer that is not in " in (await failure(upstream, dialect)).message


async def test_what_came_before_a_failure_is_given_out(upstream: Upstream, dialect: Dialect) -> None:
    upstream.answers(dialect.head + dialect.start + dialect.token + dialect.garbage(b"not json"))
    deltas = adapter_for(dialect.kind).stream(endpoint(upstream, dialect), request_for())
    assert await anext(deltas) == TextDelta("a")
    with pytest.raises(InferenceError):
        await anext(deltas)


async def test_an_answer_that_is_cut(upstream: Upstream, dialect: Dialect) -> None:
    upstream.answers(dialect.head, dialect.start, dialect.token)
    assert (await failure(upstream, dialect)).message == CUT


@pytest.mark.parametrize("begin", [b"", b"data: ", b'{"message": "'])
async def test_a_line_of_a_gibibyte(upstream: Upstream, dialect: Dialect, begin: bytes) -> None:
    """It is given up after the first mebibyte; what is held meanwhile is measured."""
    endless = Endless(upstream, dialect.head + begin, BLOCK)
    tracemalloc.start()
    try:
        assert (await failure(upstream, dialect)).message == TOO_LONG
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    await asyncio.wait_for(endless.ended.wait(), 60)
    assert endless.sent < MEMORY


async def test_a_stream_that_never_ends(upstream: Upstream, dialect: Dialect) -> None:
    Endless(upstream, dialect.head + dialect.start, dialect.token * 10)
    error = await failure(upstream, dialect, patience=Patience(total=2.0))  # by then it has begun
    assert error.message == "The answer was not complete after 2 seconds."


@pytest.mark.parametrize("block", [b"\n", b": still here\n\n", b"\r\n\r\n"])
async def test_signs_of_life_are_no_answer(upstream: Upstream, dialect: Dialect, block: bytes) -> None:
    if dialect.kind == "ollama":
        block = b"\n"
    Endless(upstream, dialect.head, block)
    error = await failure(upstream, dialect, patience=Patience(first_token=0.3))
    assert error.message == "The engine sent nothing for 0.3 seconds."


async def test_silence_after_the_first_token(upstream: Upstream, dialect: Dialect) -> None:
    upstream.hangs(dialect.head, dialect.start, dialect.token)
    error = await failure(upstream, dialect, patience=Patience(idle=0.2))
    assert error.message == "The engine sent nothing for 0.2 seconds."


@pytest.mark.parametrize("status", [200, 500, 404, 400])
async def test_a_page_for_people(upstream: Upstream, dialect: Dialect, status: int) -> None:
    page = b"<!doctype html><title>k-secret-1</title>"
    everything(upstream, plain(status, page, "text/html; charset=utf-8"))
    streamed, listed = await failure(upstream, dialect), await list_failure(upstream, dialect)
    if status == 200:
        assert streamed.message == "The engine answered with text/html instead of a stream."
        assert listed.message == "The engine's answer (text/html) is not JSON."
    else:
        assert "html>" not in streamed.message + listed.message


async def test_a_document_in_place_of_a_stream(upstream: Upstream, dialect: Dialect) -> None:
    upstream.answers(plain(200, b"{}"))
    assert (
        await failure(upstream, dialect)
    ).message == "The engine answered with application/json instead of a stream."


async def test_a_tool_call_of_the_wrong_shape(upstream: Upstream, dialect: Dialect) -> None:
    upstream.answers(dialect.head, dialect.start, dialect.tool_call, dialect.end)
    assert "The engine sent an answer that is not in " in (await failure(upstream, dialect)).message


async def test_absurd_numbers_of_tokens(upstream: Upstream, dialect: Dialect) -> None:
    """They count for nothing, or as the most there is."""
    upstream.answers(dialect.head, dialect.start, dialect.token, dialect.absurd)
    last = (await stream(upstream, dialect))[-1]
    assert type(last) is Finished
    for number in (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.cached_tokens):
        assert type(number) is int
        assert 0 <= number < 2**31


class Limited:
    """Refuses the first requests with a status, then answers."""

    def __init__(self, upstream: Upstream, dialect: Dialect, status: int, wait: str, times: int) -> None:
        self.times = times
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n"
        said = f"{head}{wait}Content-Length: 0\r\n\r\n".encode()
        good = dialect.head + dialect.start + dialect.token + dialect.end

        async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
            self.times -= 1
            writer.write(said if self.times >= 0 else good)

        upstream.script = script


@pytest.mark.parametrize("status", [429, 503, 529])
async def test_a_short_wait_is_waited_once(upstream: Upstream, dialect: Dialect, status: int) -> None:
    Limited(upstream, dialect, status, "Retry-After: 0\r\n", 1)
    assert (await stream(upstream, dialect))[0] == TextDelta("a")
    assert len(upstream.requests) == 2
    Limited(upstream, dialect, status, "Retry-After-Ms: 10\r\n", 2)
    assert isinstance(await failure(upstream, dialect), EngineUnavailable)
    assert len(upstream.requests) == 4


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        ("Retry-After: 30\r\n", 30.0),
        ("Retry-After: 1e300\r\n", 86_400.0),
        ("Retry-After: Fri, 31 Dec 2199 23:59:59 GMT\r\n", 86_400.0),
        ("Retry-After: nan\r\n", None),
        ("Retry-After: -5\r\n", None),
        ("Retry-After: soon\r\n", None),
        ("", None),
    ],
)
async def test_a_longer_wait_is_told(upstream: Upstream, dialect: Dialect, wait: str, seconds: float | None) -> None:
    Limited(upstream, dialect, 429, wait, 9)
    error = await failure(upstream, dialect)
    assert isinstance(error, EngineUnavailable)
    assert (error.code, error.retry_after) == ("rate_limit_exceeded", seconds)
    assert error.message == "The engine is over its limit."
    assert len(upstream.requests) == 1


async def test_other_failures_are_not_tried_again(upstream: Upstream, dialect: Dialect) -> None:
    Limited(upstream, dialect, 500, "Retry-After: 0\r\n", 9)
    assert not isinstance(await failure(upstream, dialect), EngineUnavailable)
    assert len(upstream.requests) == 1


async def test_an_engine_that_is_just_starting_is_tried_once_more(upstream: Upstream, dialect: Dialect) -> None:
    """Refused, and listening again when it is tried once more."""
    upstream.answers(dialect.head, dialect.start, dialect.token, dialect.end)
    port, where = upstream.port, endpoint(upstream, dialect)
    await upstream.stop()
    call = asyncio.create_task(collect(adapter_for(dialect.kind).stream(where, request_for())))
    await asyncio.sleep(0)
    await upstream.start(port)
    assert (await call)[0] == "a"


async def test_an_address_of_an_inner_network(upstream: Upstream, dialect: Dialect) -> None:
    error = await failure(upstream, dialect, inner_network=False)
    assert isinstance(error, EngineUnavailable)
    where = f"127.0.0.1:{upstream.port}"
    assert error.detail == f"{where} must not be connected to: 127.0.0.1 is an address of an inner network."
    assert where not in error.message
    listed = await list_failure(upstream, dialect, inner_network=False)
    assert listed.detail == error.detail
    assert upstream.requests == []


@pytest.mark.parametrize(
    "host", ["localhost", "127.1", "0x7f000001", "2130706433", "[::ffff:127.0.0.1]", "x@127.0.0.1"]
)
async def test_other_spellings_of_an_inner_network(upstream: Upstream, dialect: Dialect, host: str) -> None:
    error = await failure(upstream, dialect, base_url=f"http://{host}:{upstream.port}", inner_network=False)
    assert "must not be connected to" in error.message
    assert upstream.requests == []


async def test_a_name_that_resolves_to_an_inner_network(
    upstream: Upstream, dialect: Dialect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Public at the first look-up, inner at the second: the second connection is refused."""
    answers = [["1.1.1.1"], ["127.0.0.1"]]
    connected: list[str] = []
    loop = asyncio.get_running_loop()

    async def look_up(host: str, port: int, **options: Any) -> list[tuple[Any, ...]]:
        return [(2, 1, 6, "", (number, port)) for number in answers.pop(0)]

    async def connect(made: Any, place: tuple[Any, ...]) -> None:
        connected.append(place[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(loop, "getaddrinfo", look_up)
    monkeypatch.setattr(loop, "sock_connect", connect)
    where = f"http://rebinding.example:{upstream.port}"
    error = await failure(upstream, dialect, base_url=where, inner_network=False)
    assert "rebinding.example has an address of an inner network" in error.detail
    assert connected == ["1.1.1.1"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_leads_nowhere(upstream: Upstream, dialect: Dialect, status: int) -> None:
    head = f"HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:{upstream.port}/stolen\r\nConnection: close\r\n"
    everything(upstream, f"{head}Content-Length: 0\r\n\r\n".encode())
    assert (await failure(upstream, dialect)).message == f"The engine answered with status {status}."
    assert (await list_failure(upstream, dialect)).message == f"The engine answered with status {status}."
    assert not any("stolen" in asked.path for asked in upstream.requests)


@pytest.mark.parametrize(
    "said",
    [
        f"Incorrect API key provided: {SECRET}.",
        "x-api-key: abcdefghijkl",
        "Authorization was 'Bearer abcdefghijkl'",
        "sk-ant-abcdefghijkl\x1b[2J\n",
        f"{'x' * 480}{SECRET}{'y' * 5_000}",
    ],
)
async def test_a_secret_in_an_error(upstream: Upstream, dialect: Dialect, said: str) -> None:
    for status in (400, 429, 500):
        everything(upstream, plain(status, orjson.dumps({"error": {"message": said}})))
        assert "abcdefghijkl" not in (await failure(upstream, dialect)).message
        assert "abcdefghijkl" not in (await list_failure(upstream, dialect)).message
    upstream.answers(dialect.head, dialect.start, dialect.failure(said))
    assert "abcdefghijkl" not in (await failure(upstream, dialect)).message
    upstream.answers(plain(200, b"", f"text/{SECRET}"))
    await failure(upstream, dialect)


async def test_an_error_that_never_ends(upstream: Upstream, dialect: Dialect) -> None:
    head = b"HTTP/1.1 500 X\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    endless = Endless(upstream, head + b'{"error": "', BLOCK)
    assert (await failure(upstream, dialect)).message == "The engine answered with status 500."
    await asyncio.wait_for(endless.ended.wait(), 60)
    assert endless.sent < MEMORY


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
async def test_compressed_answers_are_not_unpacked(upstream: Upstream, dialect: Dialect, encoding: str) -> None:
    bomb = gzip.compress(b"0" * 20_000_000)
    head = dialect.head[:-2] + f"Content-Encoding: {encoding}\r\n\r\n".encode()
    everything(upstream, head + bomb)
    tracemalloc.start()
    try:
        for error in (await failure(upstream, dialect), await list_failure(upstream, dialect)):
            assert error.message == "The engine sent a compressed answer, which was not asked for."
        assert tracemalloc.get_traced_memory()[1] < MEMORY // 2
    finally:
        tracemalloc.stop()
    assert {asked.headers["accept-encoding"] for asked in upstream.requests} == {"identity"}


async def test_a_compressed_error_is_not_unpacked(upstream: Upstream, dialect: Dialect) -> None:
    bomb = gzip.compress(b'{"error": "' + b"0" * 20_000_000)
    head = f"HTTP/1.1 500 X\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\nConnection: close\r\n\r\n"
    everything(upstream, head.encode() + bomb)
    assert (await failure(upstream, dialect)).message == "The engine answered with status 500."


@pytest.mark.parametrize(
    "headers",
    [b"X-A: " + b"x" * 4_000_000 + b"\r\n", b"".join(b"X-%d: y\r\n" % n for n in range(200_000))],
    ids=["one", "many"],
)
async def test_headers_of_megabytes(upstream: Upstream, dialect: Dialect, headers: bytes) -> None:
    everything(upstream, dialect.head[:-2] + headers + b"\r\n" + dialect.start + dialect.token + dialect.end)
    tracemalloc.start()
    try:
        assert (await failure(upstream, dialect)).message == "The engine's answer is not HTTP."
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


async def test_a_list_of_models_without_end(upstream: Upstream, dialect: Dialect) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    entry = b'{"id": "m", "name": "m"},' * 2_000
    endless = Endless(upstream, head + b'{"data": [', entry)
    assert (await list_failure(upstream, dialect)).message == TOO_LONG
    await asyncio.wait_for(endless.ended.wait(), 60)
    assert endless.sent < MEMORY


async def test_a_list_with_too_many_models(upstream: Upstream, dialect: Dialect) -> None:
    entries = [{"id": "m", "name": "m"}] * 5_001
    everything(upstream, plain(200, orjson.dumps({"data": entries, "models": entries})))
    assert (await list_failure(upstream, dialect)).message == "The engine lists more than 5000 models."


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'{"data": {}, "models": {}}', b'{"data": [7], "models": [7]}', b"null"]
)
async def test_lists_of_models_that_are_none(upstream: Upstream, dialect: Dialect, body: bytes) -> None:
    everything(upstream, plain(200, body))
    assert "a list of models that is not in" in (await list_failure(upstream, dialect)).message
