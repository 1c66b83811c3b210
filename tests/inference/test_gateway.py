"""The way from a request to an engine and back."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import REGISTRY

from inference import gateway
from inference.adapters import transport as transport_module
from inference.adapters.transport import transport
from inference.chat import EngineUnavailable, Finished, InferenceError, TextDelta, Usage
from inference.models import Engine
from tests.inference.conftest import HEAD, Upstream, answer, collect, event, in_database, plain, request_for, until
from tests.inference.helpers import age, ready_engine

pytestmark = pytest.mark.django_db(transaction=True)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_an_alias_of_the_old_days_reaches_the_engine(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny", key="k-1")
    text, last, _ = await collect(gateway.stream(request_for(model="gpt-4o")))
    assert (text, last) == ("Hello", Finished("stop", Usage(3, 1, cached_tokens=2)))
    assert upstream.requests[-1].body["model"] == "tiny"
    assert upstream.requests[-1].headers["authorization"] == "Bearer k-1"


async def test_an_engine_that_is_gone_is_down_from_then_on(upstream: Upstream) -> None:
    engine = await in_database(ready_engine, upstream.url, "tiny")
    await upstream.stop()
    with pytest.raises(EngineUnavailable) as caught:
        await collect(gateway.stream(request_for()))
    assert caught.value.message == f"127.0.0.1:{upstream.port} refused the connection."
    await in_database(engine.refresh_from_db)
    assert (engine.state, engine.reason) == ("down", f"127.0.0.1:{upstream.port} refused the connection.")
    with pytest.raises(EngineUnavailable, match="No engine serves 'tiny': 127"):
        await collect(gateway.stream(request_for()))


async def test_an_unknown_model_is_unavailable(upstream: Upstream) -> None:
    with pytest.raises(EngineUnavailable, match="does not exist"):
        await collect(gateway.stream(request_for(model="nobody")))


async def test_a_failed_call_leaves_the_engine_ready(upstream: Upstream) -> None:
    engine = await in_database(ready_engine, upstream.url, "tiny")
    upstream.answers(plain(500, b"{}"))
    failed = counted("sovereign_model_calls_total", model="tiny", outcome="server_error")
    with pytest.raises(InferenceError):
        await collect(gateway.stream(request_for()))
    await in_database(engine.refresh_from_db)
    assert engine.state == "ready"
    assert counted("sovereign_model_calls_total", model="tiny", outcome="server_error") == failed + 1


async def test_calls_and_tokens_are_counted(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    names = {"calls": {"outcome": "stop"}, "tokens": {"kind": "completion"}}
    before = {name: counted(f"sovereign_model_{name}_total", model="tiny", **rest) for name, rest in names.items()}
    upstream.answers(answer("a", "b", "c"))
    await collect(gateway.stream(request_for()))
    after = {name: counted(f"sovereign_model_{name}_total", model="tiny", **rest) for name, rest in names.items()}
    assert after == {"calls": before["calls"] + 1, "tokens": before["tokens"] + 3}
    assert counted("sovereign_model_calls_active") == 0


async def test_closing_the_stream_frees_the_slot(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    upstream.hangs(HEAD, event({"content": "a"}))
    deltas = gateway.stream(request_for())
    assert await anext(deltas) == TextDelta("a")
    await deltas.aclose()
    async with asyncio.timeout(5):
        await upstream.requests[-1].gone.wait()
    assert not transport().calls


async def test_tokens_of_traffic_are_recorded(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "TICK", 0.02)
    engine = await in_database(ready_engine, upstream.url, "tiny")
    await in_database(age, engine, last_token_at=60)
    before = engine.last_token_at
    await collect(gateway.stream(request_for()))

    async def recorded() -> bool:
        await in_database(engine.refresh_from_db)
        return engine.last_token_at != before

    await until(recorded)


async def test_a_closed_gateway_opens_again(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    await collect(gateway.stream(request_for()))
    await gateway.close()
    await gateway.close()
    assert (await collect(gateway.stream(request_for())))[0] == "Hello"
    assert await in_database(Engine.objects.count) == 1
