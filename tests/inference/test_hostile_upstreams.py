"""Upstreams that lie, never end, or lead astray: each adapter says so in one sentence, holds little, leaks nothing."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from inference.adapters import adapter_for
from inference.adapters import transport as transport_module
from inference.adapters.base import Endpoint, Patience
from inference.adapters.transport import transport
from inference.calls import EmbeddingRequest
from inference.chat import Capabilities, EngineUnavailable, Finished, InferenceError, TextDelta
from tests.inference import conftest
from tests.inference.conftest import Asked, Upstream, collect, plain, request_for
from tests.inference.upstreams import anthropic, ollama

CUT = "The engine closed the connection in the middle of the answer."
TOO_LONG = "The engine sent a longer answer than is accepted."
BLOCK = b"x" * 65_536
MEMORY = 24 * 1024 * 1024  # bytes that a call and its server together may take in these tests
SECRET = "k-secret-1"


@dataclass(frozen=True)
class Dialect:
    """How a provider would say things."""

    kind: str
    head: bytes
    start: bytes
    token: bytes  # a piece of text, "a"
    end: bytes  # with usage: prompt and completion are put in
    absurd: bytes  # an end with numbers that cannot be
    tool_call: bytes  # one that breaks the format
    garbage: Callable[[bytes], bytes]  # a document of the stream, whatever it holds
    failure: Callable[[str], bytes]  # told inside the stream
    path: str = "/v1"


def _event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def _openai(kind: str) -> Dialect:
    usage = {"prompt_tokens": 10**30, "completion_tokens": -4, "prompt_tokens_details": {"cached_tokens": 10**40}}
    call = {"tool_calls": [{"index": 0, "function": {"name": {"a": 1}, "arguments": [1]}}]}
    return Dialect(
        kind=kind,
        head=conftest.HEAD,
        start=b"",
        token=conftest.event({"content": "a"}),
        end=conftest.event(reason="stop") + b"data: [DONE]\n\n",
        absurd=_number_too_large(usage, lambda text: conftest.event(reason="stop") + _event(text)),
        tool_call=conftest.event(call),
        garbage=_event,
        failure=lambda said: _event(orjson.dumps({"error": {"message": said}})),
    )


def _number_too_large(usage: dict[str, Any], wrap: Callable[[bytes], bytes]) -> bytes:
    text = str({"choices": [], "usage": usage}).replace("'", '"')
    return wrap(text.encode())


def _claude(kind: str, **fields: Any) -> bytes:
    return anthropic.event(kind, **fields)


ANTHROPIC = Dialect(
    kind="anthropic",
    head=conftest.HEAD,
    start=_claude("message_start", message={"usage": {}})
    + _claude("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    token=_claude("content_block_delta", index=0, delta={"type": "text_delta", "text": "a"}),
    end=_claude("message_delta", delta={"stop_reason": "end_turn"}, usage={}) + _claude("message_stop"),
    absurd=_event(
        b'{"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 1e300, '
        b'"output_tokens": -4, "cache_read_input_tokens": 99999999999999999999}}'
    ),
    tool_call=_claude("content_block_start", index=1, content_block={"type": "tool_use", "id": 7, "name": ["f"]}),
    garbage=_event,
    failure=lambda said: _claude("error", error={"type": "api_error", "message": said}),
    path="",
)
OLLAMA = Dialect(
    kind="ollama",
    head=ollama.HEAD,
    start=b"",
    token=ollama.chat("a"),
    end=ollama.end(),
    absurd=b'{"message": {"content": ""}, "done": true, "prompt_eval_count": 99999999999999999999999, '
    b'"eval_count": -4}\n',
    tool_call=ollama.chat(tool_calls=[{"function": {"name": "f", "arguments": '{"a": '}}]),
    garbage=lambda data: data + b"\n",
    failure=lambda said: ollama.line(error=said),
    path="",
)
DIALECTS = [_openai("openai_compatible"), _openai("openai"), ANTHROPIC, OLLAMA]


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.kind)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    found: Dialect = request.param
    return found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "TICK", 0.02)


def endpoint(upstream: Upstream, dialect: Dialect, **changes: Any) -> Endpoint:
    base = {"kind": dialect.kind, "base_url": upstream.url.removesuffix("/v1") + dialect.path}
    return upstream.endpoint(**{**base, "capabilities": Capabilities(), **changes})


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


class Endless:
    """Writes blocks until the client goes, and counts what it got rid of."""

    def __init__(self, upstream: Upstream, head: bytes, block: bytes) -> None:
        self.sent = 0
        self._head, self._block = head, block
        upstream.script, upstream.lists = self._answer, False
        self.ended = asyncio.Event()

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(self._head)
        try:
            while not asked.gone.is_set():
                writer.write(self._block)
                await writer.drain()
                self.sent += len(self._block)
                await asyncio.sleep(0)
        finally:
            self.ended.set()


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
    await asyncio.wait_for(endless.ended.wait(), 10)
    assert endless.sent < MEMORY


async def test_a_stream_that_never_ends(upstream: Upstream, dialect: Dialect) -> None:
    Endless(upstream, dialect.head + dialect.start, dialect.token * 10)
    error = await failure(upstream, dialect, patience=Patience(total=0.3))
    assert error.message == "The answer was not complete after 0.3 seconds."


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
    assert error.message == f"{where} must not be connected to: 127.0.0.1 is an address of an inner network."
    listed = await list_failure(upstream, dialect, inner_network=False)
    assert listed.message == error.message
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
    assert "rebinding.example has an address of an inner network" in error.message
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
    await asyncio.wait_for(endless.ended.wait(), 10)
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
    await asyncio.wait_for(endless.ended.wait(), 10)
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


EMBEDDERS = [dialect for dialect in DIALECTS if dialect.kind != "anthropic"]


def _vectors(*vectors: str) -> bytes:
    """The same vectors as both dialects have them, written as they are given."""
    data = ", ".join(f'{{"index": {index}, "embedding": {vector}}}' for index, vector in enumerate(vectors))
    return plain(200, f'{{"data": [{data}], "embeddings": [{", ".join(vectors)}]}}'.encode())


@pytest.mark.parametrize("dialect", EMBEDDERS, ids=lambda dialect: dialect.kind)
@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (["[NaN]", "[1.0]"], "is not JSON"),
        (["[1.0]", "[Infinity]"], "is not JSON"),
        (["[1e999]", "[1.0]"], "is not JSON|not finite"),
        (["[1e308, 1e308, 1e308]", "[1, 1, 1]"], "not finite"),
        (["[1.0]"], "1 of them for 2 texts"),
        (["[1.0]"] * 3, "3 of them for 2 texts"),
        ([], "0 of them for 2 texts"),
        (["[1.0]", "[1.0, 2.0]"], "differ in width"),
        (["[]", "[]"], "a width of 0"),
        (['["a"]', "[1.0]"], "something in them is no number"),
        (["[true]", "[1.0]"], "something in them is no number"),
        (["[[1.0]]", "[1.0]"], "something in them is no number"),
        (["7", "[1.0]"], "not in"),
        (["null", "[1.0]"], "not in"),
        ([f"[{'1,' * 20_000}1]"] * 2, "a width of 20001"),
        (["[1.0, 2.0]"] * 2, "2 numbers wide where 1 were asked for"),
    ],
)
async def test_vectors_that_cannot_be_used(
    upstream: Upstream, dialect: Dialect, vectors: list[str], words: str
) -> None:
    upstream.answers(_vectors(*vectors))
    dimensions = 1 if "asked for" in words else None
    request = EmbeddingRequest(model="tiny", texts=["a", "b"], dimensions=dimensions)
    with pytest.raises(InferenceError, match=words):
        await adapter_for(dialect.kind).embed(endpoint(upstream, dialect), request)


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        ('"AADAfw=="', "not finite"),  # NaN
        ('"AACAfw=="', "not finite"),  # infinity
        ('"AAA="', "not in OpenAI's format"),  # half a number
        ('"***"', "not in OpenAI's format"),
    ],
)
async def test_packed_vectors_that_cannot_be_used(upstream: Upstream, vector: str, words: str) -> None:
    upstream.answers(_vectors(vector))
    with pytest.raises(InferenceError, match=words):
        await adapter_for("openai").embed(endpoint(upstream, DIALECTS[0]), EmbeddingRequest(model="t", texts=["a"]))


@pytest.mark.parametrize("indexes", [[0, 0], [0, 2], [-1, 0], ["0", "1"]])
async def test_vectors_in_places_that_are_none(upstream: Upstream, indexes: list[Any]) -> None:
    data = [{"index": index, "embedding": [1.0]} for index in indexes]
    upstream.answers(plain(200, orjson.dumps({"data": data})))
    with pytest.raises(InferenceError, match=r"one after the other|not in OpenAI's format"):
        await adapter_for("openai").embed(
            endpoint(upstream, DIALECTS[0]), EmbeddingRequest(model="t", texts=["a", "b"])
        )


@pytest.mark.parametrize("dialect", EMBEDDERS, ids=lambda dialect: dialect.kind)
async def test_vectors_without_end(upstream: Upstream, dialect: Dialect) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    endless = Endless(upstream, head + b'{"data": [', b"1.0," * 16_384)
    with pytest.raises(InferenceError, match="longer answer than is accepted"):
        await adapter_for(dialect.kind).embed(endpoint(upstream, dialect), EmbeddingRequest(model="tiny", texts=["a"]))
    await asyncio.wait_for(endless.ended.wait(), 10)
    assert endless.sent < MEMORY
