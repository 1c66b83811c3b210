"""Whose silence is an engine's, and what no call waits for: other engines' connections, the database, its own body."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from inference.adapters import adapter_for
from inference.adapters import transport as transport_module
from inference.adapters.base import Patience
from inference.adapters.exchange import EVENTS, streamed
from inference.adapters.openai_chunks import ChatDecoder
from inference.adapters.refusals import LONGEST_WAIT, retry_after
from inference.adapters.transport import LARGE_BODY, Asked, Transport, transport
from inference.chat import Delta, InferenceError, TextDelta
from inference.engines.probing import list_models
from sovereign.core.sse_parser import EventParser
from tests.inference import conftest
from tests.inference.conftest import HEAD, Upstream, answer, collect, event, request_for, until

PATIENCE = Patience(idle=1.0, total=100.0)


class Clock:
    """The loop's time as a transport sees it."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now


@pytest.fixture
async def held(monkeypatch: pytest.MonkeyPatch) -> Transport:
    """A transport whose time stands still, and that looks for overdue calls when the test does."""
    monkeypatch.setattr(transport_module, "TICK", 3_600.0)
    held = transport()
    monkeypatch.setattr(held, "loop", Clock())
    return held


class Eager:
    """An answer that goes on when the test says so."""

    def __init__(self, upstream: Upstream) -> None:
        self.go_on = asyncio.Event()
        upstream.script = self._answer
        self.deltas = adapter_for("vllm").stream(upstream.endpoint(patience=PATIENCE), request_for())

    async def _answer(self, asked: conftest.Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + event({"content": "one"}))
        await self.go_on.wait()
        writer.write(event({"content": "two"}) + event(reason="stop") + b"data: [DONE]\n\n")

    async def begin(self) -> AsyncIterator[Delta]:
        assert await anext(self.deltas) == TextDelta("one")
        return self.deltas


def is_waited_for(held: Transport) -> bool:
    return any(call.silent_since is not None for call in held.calls)


async def test_a_client_that_does_not_read_is_no_silence_of_the_engines(upstream: Upstream, held: Transport) -> None:
    eager = Eager(upstream)
    deltas = await eager.begin()
    held.loop.now += 50
    held._end_overdue()
    assert not held.stalled("eng_test", 1.0)
    eager.go_on.set()
    text, last, _ = await collect(deltas)
    assert (text, last is not None) == ("two", True)


async def test_an_engine_that_is_waited_for_is_silent(upstream: Upstream, held: Transport) -> None:
    deltas = await Eager(upstream).begin()
    held.loop.now += 50
    reading = asyncio.ensure_future(anext(deltas))
    await until(lambda: is_waited_for(held))
    held._end_overdue()
    assert not held.stalled("eng_test", 1.0)
    held.loop.now += 1.5
    assert held.stalled("eng_test", 1.0)
    held._end_overdue()
    with pytest.raises(InferenceError, match="sent nothing for 1 seconds"):
        await reading


async def test_an_answer_has_an_end_whoever_reads(upstream: Upstream, held: Transport) -> None:
    deltas = await Eager(upstream).begin()
    held.loop.now += 101
    held._end_overdue()
    with pytest.raises(InferenceError, match="not complete after 100 seconds"):
        await anext(deltas)


async def test_an_engine_that_hangs_takes_no_connection_from_others(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "MAXIMUM_PER_ENGINE", 2)
    upstream.hangs(HEAD)
    other = Upstream()
    await other.start()
    adapter = adapter_for("vllm")
    calls = [asyncio.ensure_future(collect(adapter.stream(upstream.endpoint(), request_for()))) for _ in range(5)]
    try:
        await until(lambda: len(upstream.requests) == 2)
        assert (await collect(adapter.stream(other.endpoint(), request_for())))[0] == "Hello"
        assert (await list_models(upstream.endpoint(model=""), "It")).models[0]["id"] == "tiny"
        asked = [request.path for request in upstream.requests]
        assert asked == ["/v1/chat/completions"] * 2 + ["/v1/models"]
    finally:
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await other.stop()


async def test_time_runs_out_while_the_database_is_locked(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "TICK", 0.01)
    begun = asyncio.Event()

    async def record(engine_id: str) -> None:
        begun.set()
        await asyncio.Event().wait()

    transport().record_tokens_with(record)
    upstream.hangs(HEAD + event({"content": "a"}))
    deltas = adapter_for("vllm").stream(upstream.endpoint(patience=Patience(idle=2.0)), request_for())
    assert await anext(deltas) == TextDelta("a")
    await begun.wait()
    with pytest.raises(InferenceError, match="sent nothing for 2 seconds"):
        await anext(deltas)


async def test_a_record_that_fails_is_tried_again(upstream: Upstream, held: Transport) -> None:
    recorded: list[str] = []

    async def record(engine_id: str) -> None:
        recorded.append(engine_id)
        raise OSError

    held.record_tokens_with(record)
    held.progress["eng_test"] = 1.0
    for at in (1.0, 2.0, 7.0):
        held.progress["eng_test"] = at
        held._begin_recording()
        if held._recording is not None:
            await held._recording
    assert recorded == ["eng_test"] * 2


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1e300"}, LONGEST_WAIT),
        ({"retry-after": "9e9"}, LONGEST_WAIT),
    ],
)
def test_no_upstream_is_waited_for_longer_than_a_day(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(SimpleNamespace(headers=headers)) == seconds


async def test_a_picture_of_real_size(upstream: Upstream) -> None:
    picture = "data:image/png;base64," + "A" * 3_000_000
    content = [{"type": "image_url", "image_url": {"url": picture}}]
    deltas = adapter_for("vllm").stream(
        upstream.endpoint(), request_for(messages=[{"role": "user", "content": content}])
    )
    assert (await collect(deltas))[0] == "Hello"
    assert upstream.requests[-1].body["messages"][0]["content"] == content


@pytest.mark.parametrize("size", [100, 2 * LARGE_BODY])
async def test_a_body_is_forgotten_when_it_was_sent(upstream: Upstream, size: int) -> None:
    gone: list[Any] = []

    class Body(bytes):
        def __del__(self) -> None:
            gone.append(size)

    def ask() -> Asked:
        return Asked(path="/chat/completions", body=Body(b'"' + b"x" * size + b'"'))

    upstream.answers(answer("a"))
    deltas = streamed(upstream.endpoint(), ask, frozenset({EVENTS}), EventParser(), ChatDecoder())
    assert await anext(deltas) == TextDelta("a")
    assert gone == [size]
    await deltas.aclose()
