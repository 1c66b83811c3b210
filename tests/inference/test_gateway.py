"""The way from a request to an engine and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY

from inference import gateway, services
from inference.adapters import transport as transport_module
from inference.adapters.openai_compatible import OpenAICompatible
from inference.adapters.transport import transport
from inference.chat import Delta, EngineUnavailable, Finished, InferenceError, TextDelta, Usage
from inference.gateway import breaker
from inference.models import Engine, RegisteredModel, UsageRecord
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
    assert caught.value.message == "The engine of tiny refused the connection."
    await in_database(engine.refresh_from_db)
    assert (engine.state, engine.reason) == ("down", f"127.0.0.1:{upstream.port} refused the connection.")
    with pytest.raises(EngineUnavailable, match="No engine serves 'tiny': the provider upstream is down since"):
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
    async with asyncio.timeout(60):
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


async def test_fallbacks_passing_over_and_circuits_are_counted(upstream: Upstream) -> None:
    engine = await in_database(ready_engine, upstream.url, "tiny")
    breaker.reset()
    labels = {"model": "away", "fallback": "tiny"}
    fallbacks = counted("sovereign_model_fallbacks_total", **labels)
    await in_database(_fall_back, "away", "tiny")
    await collect(gateway.stream(request_for(model="away")))
    assert counted("sovereign_model_fallbacks_total", **labels) == fallbacks + 1
    upstream.answers(plain(500, b"{}"))
    for _ in range(breaker.FAILURES):
        with pytest.raises(InferenceError):
            await collect(gateway.stream(request_for()))
    assert counted("sovereign_engine_circuit_open", engine=engine.id) == 1
    assert counted("sovereign_model_calls_passed_over_total", model="tiny") >= breaker.FAILURES
    breaker.reset()
    assert counted("sovereign_engine_circuit_open", engine=engine.id) == 0


def _fall_back(model: str, fallback: str) -> None:
    services.register_models(names=[(model, "", None)])
    rows = [RegisteredModel.objects.get(name=name) for name in (model, fallback)]
    services.set_fallbacks(model=rows[0], fallbacks=rows[1:])


async def test_an_error_of_our_own_is_no_answer_that_somebody_left(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    monkeypatch.setattr(OpenAICompatible, "stream", _broken)
    with pytest.raises(ZeroDivisionError):
        await collect(gateway.stream(request_for()))
    await gateway.close()
    assert [row.outcome for row in await in_database(lambda: list(UsageRecord.objects.all()))] == ["server_error"]
    assert counted("sovereign_model_calls_active") == 0


async def _broken(*_: object) -> AsyncIterator[Delta]:
    yield TextDelta("a")
    raise ZeroDivisionError


async def test_the_shortest_context_is_what_can_be_counted_on(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny", served=[{"id": "tiny", "context_length": 900}])
    await in_database(ready_engine, upstream.url + "/", "tiny", name="second")
    assert (await in_database(gateway.availability, "tiny")).capabilities.context_length == 512
