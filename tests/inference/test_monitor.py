"""The monitor keeps the registry true about engines that others run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from inference import gateway
from inference.adapters.base import Served
from inference.adapters.transport import transport
from inference.chat import InferenceError
from inference.engines import monitor, probing
from inference.models import Engine, Provider, RegisteredModel
from sovereign.core.database import now
from tests.inference.conftest import HEAD, Upstream, answer, collect, event, in_database, plain, request_for, until
from tests.inference.helpers import age, configured, provider_engine

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "TICK", 0.02)
    monkeypatch.setattr(monitor, "FIRST_RETRY", timedelta(seconds=0.05))
    monkeypatch.setattr(monitor, "LAST_RETRY", timedelta(seconds=0.2))
    monkeypatch.setattr(monitor, "STALLED_AFTER", 0.2)
    monkeypatch.setattr(monitor, "STALLED_INTERVAL", timedelta(seconds=0.2))
    monkeypatch.setattr(probing, "LIST_TIMEOUT", 60.0)  # who answers does so before, however busy the machine is


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks at an engine again that has just been looked at, however long that took."""
    for name in ("FIRST_RETRY", "LAST_RETRY"):
        monkeypatch.setattr(monitor, name, timedelta(minutes=1))


@pytest.fixture
async def watching(upstream: Upstream) -> AsyncIterator[None]:
    """A monitor that runs as in a worker whose configuration names the upstream."""
    hosts = {"NOWHERE_API_KEY": frozenset({"127.0.0.1"})}
    with configured(engine_url=upstream.url, engine_api_key="k-1", key_hosts=hosts):
        task = asyncio.create_task(monitor.run_monitor())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def engine_with(**wanted: Any) -> Engine:
    def look() -> Engine | None:
        return Engine.objects.filter(**wanted).first()

    found: Engine = await until(lambda: in_database(look))
    return found


def canaries(upstream: Upstream) -> int:
    return sum(asked.body.get("max_tokens") == 1 for asked in upstream.requests)


async def test_an_engine_becomes_ready_by_a_token(upstream: Upstream, once: None, watching: None) -> None:
    engine = await engine_with(state="ready")
    assert engine.served == [{"id": "tiny", "context_length": 512}]
    assert canaries(upstream) == 1
    assert {asked.headers["authorization"] for asked in upstream.requests} == {"Bearer k-1"}
    assert await in_database(RegisteredModel.objects.filter(name="tiny").exists)
    assert (await collect(gateway.stream(request_for(model="gpt-4o"))))[0] == "Hello"


async def test_an_open_port_proves_nothing(upstream: Upstream, watching: None) -> None:
    upstream.answers(HEAD, event({"content": "a"}))
    engine = await engine_with(state="down")
    address = f"127.0.0.1:{upstream.port}"
    assert engine.reason == f"{address} closed the connection in the middle of the answer."
    upstream.answers(answer("Hello"))
    await engine_with(state="ready")


async def test_an_engine_that_refuses_the_canary_on_purpose_is_alive(upstream: Upstream, watching: None) -> None:
    upstream.answers(plain(400, b'{"error": {"message": "no max_tokens here"}}'))
    await engine_with(state="ready")


@pytest.mark.parametrize(
    ("listing", "reason"),
    [
        (plain(200, b"<html>", "text/html"), "{}: The engine's answer (text/html) is not JSON."),
        (plain(200, b'{"data": [{"id": 7}]}'), "{} sent a list of models that is not in OpenAI's format."),
        (plain(200, b'{"data": []}'), "{} serves no models."),
        (plain(500, b""), "{} answered with status 500."),
        (plain(429, b'{"error": {"message": "slow down"}}'), "{} is over its limit: slow down"),
        (plain(401, b""), "{} refused our key."),
        (b"garbage\r\n\r\n", "{}: The engine's answer is not HTTP."),
    ],
)
async def test_lists_of_models_that_are_none(upstream: Upstream, watching: None, listing: bytes, reason: str) -> None:
    upstream.models_answer = listing
    engine = await engine_with(state="down")
    assert engine.reason == reason.format(f"127.0.0.1:{upstream.port}")


async def test_nobody_listens_and_then_somebody_does(upstream: Upstream, watching: None) -> None:
    await engine_with(state="ready")
    await upstream.stop()
    await in_database(lambda: age(Engine.objects.get(), probed_at=60))
    await engine_with(state="down", reason=f"127.0.0.1:{upstream.port} refused the connection.")
    await upstream.start(upstream.port)
    await engine_with(state="ready")


async def test_vllm_is_recognised_and_can_continue(upstream: Upstream, watching: None) -> None:
    upstream.models = [{"id": "tiny", "owned_by": "vllm", "max_model_len": 2048}]
    await engine_with(state="ready")
    capabilities = (await in_database(gateway.availability, "tiny")).capabilities
    assert (capabilities.continuation, capabilities.context_length) == (True, 2048)


async def test_the_canary_asks_the_default_model(upstream: Upstream, watching: None) -> None:
    upstream.models = [{"id": "embedder"}, {"id": "tiny"}]
    with configured(engine_url=upstream.url, model_name="tiny"):
        await engine_with(state="ready")
    assert {asked.body["model"] for asked in upstream.requests if asked.body} == {"tiny"}


async def test_no_canary_while_tokens_flow(upstream: Upstream, once: None, watching: None) -> None:
    await engine_with(state="ready")
    asked = len(upstream.requests)
    await in_database(lambda: age(Engine.objects.get(), probed_at=60, last_token_at=20))
    await until(lambda: len(upstream.requests) > asked)
    assert canaries(upstream) == 1
    await in_database(lambda: age(Engine.objects.get(), probed_at=60, last_token_at=40))
    await until(lambda: canaries(upstream) == 2)


async def test_a_configured_engine_that_somebody_removed_comes_back(upstream: Upstream, watching: None) -> None:
    await in_database((await engine_with(state="ready")).delete)
    await engine_with(state="ready")


async def test_two_monitors_ask_once(upstream: Upstream, once: None, watching: None) -> None:
    second = asyncio.create_task(monitor.run_monitor())
    try:
        await engine_with(state="ready")
    finally:
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
    assert canaries(upstream) == 1


async def test_calls_on_an_engine_that_stopped_answering_fail(
    upstream: Upstream, watching: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process stands still: the port accepts, and neither tokens nor the list of models come."""
    monkeypatch.setattr(monitor, "CANARY_TIMEOUT", 2.0)  # it may be asked for a token when it falls silent
    monkeypatch.setattr(probing, "LIST_TIMEOUT", 2.0)
    await engine_with(state="ready")
    upstream.hangs(HEAD, event({"content": "a"}))
    call = asyncio.create_task(collect(gateway.stream(request_for())))
    await until(lambda: transport().progress)
    upstream.silent = True
    with pytest.raises(InferenceError, match="The engine stopped answering"):
        async with asyncio.timeout(60):
            await call
    await engine_with(state="down", reason__endswith="did not answer within 2 s.")


async def test_a_slow_engine_that_still_answers_is_not_given_up(upstream: Upstream, watching: None) -> None:
    """One request at a time and a long prompt: no token for a while, but the list of models comes."""
    await engine_with(state="ready")
    upstream.hangs(HEAD)
    call = asyncio.create_task(collect(gateway.stream(request_for())))
    asked = await until(lambda: len(upstream.requests) if len(transport().calls) else 0)
    await until(lambda: len(upstream.requests) >= asked + 3)
    assert not call.done()
    assert (await in_database(Engine.objects.get)).state == "ready"
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


async def test_calls_on_a_vllm_that_hangs_fail(
    upstream: Upstream, watching: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server answers and its engine does not."""
    monkeypatch.setattr(monitor, "VLLM_CANARY_TIMEOUT", 0.3)
    upstream.models = [{"id": "tiny", "owned_by": "vllm"}]
    await engine_with(state="ready")
    upstream.hangs(HEAD)
    with pytest.raises(InferenceError, match="The engine stopped answering"):
        async with asyncio.timeout(60):
            await collect(gateway.stream(request_for()))
    assert "produced no token" in (await engine_with(state="down")).reason


async def test_a_process_without_the_key_asks_nobody(upstream: Upstream, watching: None) -> None:
    """It speaks up where nobody else asks, so that the row says why."""

    def make() -> None:
        provider_engine(upstream.url, name="keyed", key_variable="NOWHERE_API_KEY")

    await in_database(make)
    engine = await engine_with(name="keyed", state="down")
    assert engine.reason == "The environment variable NOWHERE_API_KEY is not set in this process."


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
async def test_nobody_pays_for_a_canary(upstream: Upstream, kind: str, once: None, watching: None) -> None:
    base = upstream.url if kind == "openai" else upstream.url.removesuffix("/v1")
    if kind == "anthropic":
        page = {"data": [{"type": "model", "id": "claude-x", "display_name": "X"}], "has_more": False}
        upstream.models_answer = plain(200, json.dumps(page).encode())
    await in_database(lambda: provider_engine(base, name="paid", kind=kind, key="sk-paid"))
    engine = await engine_with(name="paid", state="ready")
    assert engine.last_token_at is None
    assert engine.latency_ms is not None
    assert canaries(upstream) <= 1, "that of the other engine, which costs nothing"
    header = "authorization" if kind == "openai" else "x-api-key"
    assert any("sk-paid" in asked.headers.get(header, "") for asked in upstream.requests)


async def test_a_compatible_service_of_the_internet_may_cost_money_too() -> None:
    outside = Provider(kind="openai_compatible", inner_network=False)
    inside = Provider(kind="openai_compatible", inner_network=True)
    plain_list, vllm = Served([]), Served([], {"continuation": True})
    assert monitor.is_paid(Engine(provider=outside), plain_list)
    assert not monitor.is_paid(Engine(provider=outside), vllm)
    assert not monitor.is_paid(Engine(provider=inside), plain_list)
    assert not monitor.is_paid(Engine(provider=Provider(kind="ollama")), plain_list)


async def test_a_server_of_vectors_is_asked_for_one(upstream: Upstream, watching: None) -> None:
    upstream.models = [{"id": "nomic-embed-text"}]
    vectors = {"data": [{"index": 0, "embedding": [0.6, 0.8]}], "usage": {"prompt_tokens": 1, "total_tokens": 1}}
    upstream.answers(plain(200, json.dumps(vectors).encode()))
    engine = await engine_with(state="ready")
    assert engine.last_token_at is not None
    assert {asked.path for asked in upstream.requests} == {"/v1/models", "/v1/embeddings"}


async def test_a_vllm_elsewhere_says_how_busy_it_is(upstream: Upstream, watching: None) -> None:
    upstream.models = [{"id": "tiny", "owned_by": "vllm"}]
    upstream.metrics = b"vllm:num_requests_running 3\nvllm:num_requests_waiting 2\nvllm:kv_cache_usage_perc 0.25\n"
    engine = await engine_with(running=3)
    assert (engine.waiting, engine.cache_usage) == (2, 0.25)


async def test_an_engine_that_wants_to_be_asked_less_often_is_alive(upstream: Upstream, watching: None) -> None:
    await engine_with(state="ready")
    before = len(upstream.requests)
    upstream.models_answer = plain(429, b'{"error": {"message": "slow down"}}')
    await in_database(lambda: age(Engine.objects.get(), probed_at=60))
    await until(lambda: len(upstream.requests) > before)
    await in_database(lambda: age(Engine.objects.get(), probed_at=60))
    await until(lambda: len(upstream.requests) > before + 1)
    engine = await in_database(Engine.objects.get)
    assert (engine.state, engine.served) == ("ready", [{"id": "tiny", "context_length": 512}])


async def test_a_disabled_provider_is_asked_nothing(upstream: Upstream) -> None:
    with configured(engine_url=""):
        await in_database(lambda: provider_engine(upstream.url, enabled=False))
        task = asyncio.create_task(monitor.run_monitor())
        second = await in_database(lambda: provider_engine("http://127.0.0.1:9/v1", name="other"))
        await engine_with(pk=second.pk, state="down")  # by then the first would have been asked too
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert upstream.requests == []


async def test_where_words_may_go_is_logged(
    upstream: Upstream, watching: None, caplog: pytest.LogCaptureFixture
) -> None:
    await engine_with(state="ready")
    assert "external (127.0.0.1, in this network, every project)" in caplog.text
    await in_database(lambda: provider_engine("https://api.example.org/v1", name="added", key="sk-added-secret"))
    await until(lambda: "added (api.example.org, every project)" in caplog.text)
    assert "sk-added-secret" not in caplog.text


def test_waiting_doubles_with_every_failure() -> None:
    instants = [monitor.probe_interval(Engine(state="down", failures=failures)) for failures in (0, 1, 2, 9)]
    assert instants == [timedelta(seconds=0.05), timedelta(seconds=0.1), timedelta(seconds=0.2), timedelta(seconds=0.2)]


def test_when_a_token_is_wanted() -> None:
    instant = now()
    fresh = Engine(state="ready", last_token_at=instant - timedelta(seconds=10))
    assert not monitor.wants_token(fresh, instant)
    assert monitor.wants_token(Engine(state="ready", last_token_at=instant - timedelta(seconds=31)), instant)
    assert monitor.wants_token(Engine(state="down", last_token_at=instant), instant)
    assert monitor.wants_token(Engine(state="ready"), instant)


async def test_pages_alone_say_what_they_want_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "WANTED_INTERVAL", 0.02)
    stop = asyncio.Event()

    def lease() -> datetime | None:
        return Provider.objects.filter(name="openai").values_list("wanted_until", flat=True).first()

    def run_out() -> None:
        Provider.objects.update(wanted_until=now() - timedelta(seconds=1))

    with configured(engine_url="", openai_api_key="sk-1"):
        saying = asyncio.create_task(monitor.say_wanted_until(stop))
        await until(lambda: in_database(lease))
        await in_database(run_out)
        await until(lambda: in_database(lambda: (found := lease()) is not None and found > now()))
        stop.set()
        await saying
