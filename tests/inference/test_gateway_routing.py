"""Which engine a call goes to, whose turn it is after one that failed, and what a project has no right to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from itertools import islice
from typing import Any

import pytest
from django.db import OperationalError

from inference import gateway, metrics, services
from inference.adapters.openai_compatible import OpenAICompatible
from inference.chat import Attribution, EngineBusy, EngineUnavailable, InferenceError, TextDelta
from inference.gateway import balance, breaker, modelcall
from inference.models import Engine, RegisteredModel
from sovereign.accounts import services as accounts
from sovereign.accounts.models import Project
from sovereign.accounts.services.quotas import Limits
from tests.inference.conftest import HEAD, Asked, Upstream, answer, collect, event, in_database, plain, request_for
from tests.inference.helpers import ready_engine, supervised_engine, threads_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def closed_circuits() -> Iterator[None]:
    breaker.reset()
    yield
    breaker.reset()


@pytest.fixture
async def other() -> AsyncIterator[Upstream]:
    server = Upstream()
    await server.start()
    yield server
    await gateway.close()
    await server.stop()


@pytest.fixture
async def engines(upstream: Upstream, other: Upstream) -> list[Engine]:
    """Two engines of the model ``tiny``."""
    return [
        await in_database(ready_engine, upstream.url, "tiny"),
        await in_database(ready_engine, other.url, "tiny", name="second"),
    ]


def asked_in(thread: str, **changes: Any) -> Any:
    return request_for(attribution=Attribution(thread=thread), **changes)


async def engine_of(thread: str, upstream: Upstream) -> bool:
    """Whether a call of the thread goes to ``upstream``."""
    before = len(upstream.requests)
    await collect(gateway.stream(asked_in(thread)))
    return len(upstream.requests) > before


class Gates:
    """Answers that wait: each is begun, and ended by ``open``."""

    def __init__(self, *upstreams: Upstream) -> None:
        self.begun: dict[Upstream, int] = dict.fromkeys(upstreams, 0)
        self.opened = asyncio.Event()
        self._changed = asyncio.Condition()
        for upstream in upstreams:
            upstream.script = self._script_of(upstream)

    def _script_of(self, upstream: Upstream) -> Any:
        async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
            async with self._changed:
                self.begun[upstream] += 1
                self._changed.notify_all()
            await self.opened.wait()
            writer.write(answer("Hello"))

        return script

    async def reach(self, count: int) -> None:
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: sum(self.begun.values()) >= count)


# ----------------------------------------------------------------------------------------- load and affinity


async def test_two_engines_share_the_load(engines: list[Engine], upstream: Upstream, other: Upstream) -> None:
    gates = Gates(upstream, other)
    calls = []
    for number in range(24):  # one after the other, as they come in life: each sees those before it
        calls.append(asyncio.create_task(collect(gateway.stream(asked_in(f"thread_{number}")))))
        await gates.reach(number + 1)
    assert abs(gates.begun[upstream] - gates.begun[other]) <= balance.MARGIN + 1
    gates.opened.set()
    await asyncio.gather(*calls)
    assert not balance.under_way


async def test_a_conversation_stays_where_its_beginning_is_cached(
    engines: list[Engine], upstream: Upstream, other: Upstream
) -> None:
    mine, others = islice(threads_of(*engines), 3), islice(threads_of(*reversed(engines)), 3)
    places = {thread: await engine_of(thread, upstream) for thread in (*mine, *others)}
    assert list(places.values()) == [True] * 3 + [False] * 3
    for thread, place in places.items():
        assert await engine_of(thread, upstream) is place


async def test_chats_without_a_thread_are_known_by_their_first_messages(
    engines: list[Engine], upstream: Upstream, other: Upstream
) -> None:
    for _ in range(3):
        await collect(gateway.stream(request_for("The same question?")))
    assert sorted([len(upstream.requests), len(other.requests)]) == [0, 3]


async def test_a_conversation_leaves_an_engine_that_has_much_more_to_do(
    engines: list[Engine], upstream: Upstream, other: Upstream
) -> None:
    stays = await engine_of("mine", upstream)
    known = engines[0] if stays else engines[1]
    await in_database(Engine.objects.filter(pk=known.pk).update, running=balance.MARGIN, waiting=0)
    assert await engine_of("mine", upstream) is stays, "the cache is worth a few calls"
    await in_database(Engine.objects.filter(pk=known.pk).update, running=balance.MARGIN, waiting=1)
    assert await engine_of("mine", upstream) is not stays


# ----------------------------------------------------------------------------------------- engines that fail


async def test_a_dead_engine_is_passed_over(engines: list[Engine], upstream: Upstream, other: Upstream) -> None:
    other.answers(answer("a", "b", "c"))
    await upstream.stop()
    for thread in islice(threads_of(*engines), 3):
        text, last, _ = await collect(gateway.stream(asked_in(thread)))
        assert (text, last is not None) == ("abc", True)
    await in_database(engines[0].refresh_from_db)
    assert engines[0].state == "down"


async def test_an_answer_that_began_is_never_asked_for_again(
    engines: list[Engine], upstream: Upstream, other: Upstream
) -> None:
    for server in (upstream, other):
        server.answers(HEAD + event({"content": "a"}))  # and the connection is closed
    stream = gateway.stream(request_for())
    deltas = [await anext(stream)]
    with pytest.raises(InferenceError, match="middle of the answer"):
        await anext(stream)
    assert deltas == [TextDelta("a")]
    assert len(upstream.requests) + len(other.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_failed_before_the_first_piece_is_asked_of_another(
    engines: list[Engine], upstream: Upstream, other: Upstream, status: int
) -> None:
    upstream.answers(plain(status, b"{}"))
    for thread in islice(threads_of(*engines), 4):
        assert (await collect(gateway.stream(asked_in(thread))))[0] == "Hello"
    assert len(upstream.requests) == 4
    await in_database(engines[0].refresh_from_db)
    assert engines[0].state == "ready", "it answers"


async def test_a_request_that_is_wrong_is_asked_once(
    engines: list[Engine], upstream: Upstream, other: Upstream
) -> None:
    for server in (upstream, other):
        server.answers(plain(400, b'{"error": {"message": "too long"}}'))
    with pytest.raises(InferenceError, match="too long"):
        await collect(gateway.stream(request_for()))
    assert len(upstream.requests) + len(other.requests) == 1


async def test_the_last_failure_is_told(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    upstream.answers(plain(429, b'{"error": {"message": "slow down"}}'))
    with pytest.raises(EngineBusy, match="slow down") as caught:
        await collect(gateway.stream(request_for()))
    assert caught.value.code == "rate_limit_exceeded"


async def test_an_engine_that_fails_again_and_again_is_left_alone_for_a_while(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_000.0]
    monkeypatch.setattr(breaker.time, "monotonic", lambda: clock[0])
    await in_database(ready_engine, upstream.url, "tiny")
    upstream.answers(plain(500, b"{}"))
    for _ in range(breaker.FAILURES):
        with pytest.raises(InferenceError):
            await collect(gateway.stream(request_for()))
    with pytest.raises(EngineUnavailable, match="left alone"):
        await collect(gateway.stream(request_for()))
    assert len(upstream.requests) == breaker.FAILURES
    clock[0] += breaker.PAUSE
    with pytest.raises(InferenceError, match="500"):  # the one trial, which fails
        await collect(gateway.stream(request_for()))
    clock[0] += breaker.PAUSE
    with pytest.raises(EngineUnavailable, match="left alone"):  # for twice as long now
        await collect(gateway.stream(request_for()))
    clock[0] += breaker.PAUSE
    upstream.answers(answer("Hello"))
    for _ in range(2):
        assert (await collect(gateway.stream(request_for())))[0] == "Hello"


async def test_one_call_at_a_time_tries_an_engine_again(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_000.0]
    monkeypatch.setattr(breaker.time, "monotonic", lambda: clock[0])
    await in_database(ready_engine, upstream.url, "tiny")
    upstream.answers(plain(500, b"{}"))
    for _ in range(breaker.FAILURES):
        with pytest.raises(InferenceError):
            await collect(gateway.stream(request_for()))
    clock[0] += breaker.PAUSE
    gates = Gates(upstream)
    trial = asyncio.create_task(collect(gateway.stream(request_for())))
    await gates.reach(1)
    with pytest.raises(EngineUnavailable, match="left alone"):
        await collect(gateway.stream(request_for()))
    gates.opened.set()
    assert (await trial)[0] == "Hello"


async def test_failures_between_answers_leave_an_engine_alone_never(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    for _ in range(3):
        upstream.answers(plain(500, b"{}"))
        for _ in range(breaker.FAILURES - 1):
            with pytest.raises(InferenceError, match="500"):
                await collect(gateway.stream(request_for()))
        upstream.answers(answer("Hello"))
        await collect(gateway.stream(request_for()))


# ----------------------------------------------------------------------------------------- fallbacks


def fallbacks(model: str, *names: str) -> None:
    services.register_models(names=[(model, "", None)])
    rows = [RegisteredModel.objects.get(name=name) for name in (model, *names)]
    services.set_fallbacks(model=rows[0], fallbacks=rows[1:])


async def test_fallbacks_are_asked_in_their_order(upstream: Upstream, other: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "one")
    await in_database(ready_engine, other.url, "two", name="second")
    await in_database(fallbacks, "away", "one", "two")
    assert (await in_database(gateway.availability, "away")).ready
    await collect(gateway.stream(request_for(model="away")))
    assert [asked.body["model"] for asked in upstream.requests] == ["one"]
    upstream.answers(plain(503, b"{}"))
    assert (await collect(gateway.stream(request_for(model="away"))))[0] == "Hello"
    assert [asked.body["model"] for asked in other.requests] == ["two"]


async def test_a_fallback_answers_where_the_model_itself_fails(upstream: Upstream, other: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    await in_database(ready_engine, other.url, "two", name="second")
    await in_database(fallbacks, "tiny", "two")
    await upstream.stop()
    assert (await collect(gateway.stream(request_for())))[0] == "Hello"


async def test_what_cannot_chat_is_no_fallback(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "nomic-embed-text")
    await in_database(fallbacks, "away", "nomic-embed-text")
    assert not (await in_database(gateway.availability, "away")).ready
    with pytest.raises(EngineUnavailable):
        await collect(gateway.stream(request_for(model="away")))


# ----------------------------------------------------------------------------------------- engines that sleep


async def test_a_sleeping_engine_is_told_that_it_is_wanted() -> None:
    engine = await in_database(supervised_engine, "tiny", state="asleep", base_url="http://127.0.0.1:9/v1")
    found = await in_database(gateway.availability, "tiny")
    assert (found.ready, found.reason) == (False, "The engine of tiny sleeps, and is being woken.")
    await in_database(engine.refresh_from_db)
    assert engine.wanted_at is not None
    first = engine.wanted_at
    with pytest.raises(EngineUnavailable, match="sleeps"):
        await collect(gateway.stream(request_for()))
    await in_database(engine.refresh_from_db)
    assert engine.wanted_at == first, "not for every call"


# ----------------------------------------------------------------------------------------- rights


@pytest.fixture
def hers(project: Project, upstream: Upstream) -> Engine:
    """A provider that Alice's project alone may use, with the model ``secret``."""
    with_project = {"all_projects": False, "projects": [project]}
    return ready_engine(upstream.url, "secret", name="hers", provider=with_project)


@pytest.fixture
def theirs(charlie: Any) -> str:
    return Project.objects.get(name="Charlie's").pk


async def asked_by(project_id: str, model: str) -> str:
    request = request_for(model=model, attribution=Attribution(project=project_id))
    async with aclosing(gateway.stream(request)) as deltas:
        return (await collect(deltas))[0]


async def test_a_provider_of_another_project_does_not_exist(
    hers: Engine, project: Project, theirs: str, upstream: Upstream
) -> None:
    def alias() -> None:
        services.add_alias(alias="house", model=RegisteredModel.objects.get(name="secret"))

    await in_database(alias)
    await in_database(fallbacks, "away", "secret")
    for name in ("secret", "house", "away"):
        assert await asked_by(project.pk, name) == "Hello"
    asked = len(upstream.requests)
    for name in ("secret", "house", "away"):
        assert not (await in_database(gateway.availability, name, project_id=theirs)).ready
        with pytest.raises(EngineUnavailable) as caught:
            await asked_by(theirs, name)
        assert "secret" not in caught.value.message.replace(f"'{name}'", "")
    assert len(upstream.requests) == asked


# ----------------------------------------------------------------------------------------- what is whose fault


async def fails(times: int, text: str = "Hi", **changes: Any) -> InferenceError:
    for _ in range(times):
        with pytest.raises(InferenceError) as caught:
            await collect(gateway.stream(request_for(text, **changes)))
    return caught.value


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000.0]
    monkeypatch.setattr(breaker.time, "monotonic", lambda: now[0])
    return now


async def test_a_request_that_breaks_an_engine_is_its_projects_alone(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    upstream.answers(plain(500, b"{}"))
    await fails(2 * breaker.FAILURES, attribution=Attribution(project="proj_1"))
    upstream.answers(answer("Hello"))
    assert await asked_by("proj_2", "tiny") == "Hello"


@pytest.mark.parametrize("status", [400, 403, 404, 422])
async def test_what_is_answered_of_a_request_or_a_model_leaves_no_engine_alone(upstream: Upstream, status: int) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    upstream.answers(plain(status, b'{"error": {"message": "You have no access to the model gpt-9: not found"}}'))
    error = await fails(2 * breaker.FAILURES)
    assert error.code == ("model_not_found" if status in (403, 404) else "invalid_prompt")
    upstream.answers(answer("Hello"))
    assert (await collect(gateway.stream(request_for())))[0] == "Hello"


async def test_a_key_that_is_refused_is_not_a_model_that_is_missing(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    upstream.answers(plain(403, b'{"error": {"message": "Country not supported"}}'))
    assert "refused our key" in (await fails(1)).message


async def test_who_is_refused_by_the_quotas_leaves_the_trial_to_others(
    upstream: Upstream, project: Project, clock: list[float]
) -> None:
    def limit() -> None:
        accounts.set_project_limits(project=project, limits=Limits(tokens_per_minute=10))

    await in_database(ready_engine, upstream.url, "tiny")
    await in_database(limit)
    upstream.answers(plain(500, b"{}"))
    await fails(breaker.FAILURES)
    clock[0] += breaker.PAUSE
    refused = await fails(1, max_tokens=500, attribution=Attribution(project=project.pk))
    assert refused.code == "rate_limit_exceeded"
    upstream.answers(answer("Hello"))
    assert (await collect(gateway.stream(request_for())))[0] == "Hello"


async def test_a_trial_that_streams_has_succeeded(upstream: Upstream, clock: list[float]) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    upstream.answers(plain(500, b"{}"))
    await fails(breaker.FAILURES)
    clock[0] += breaker.PAUSE
    upstream.hangs(HEAD, event({"content": "a"}))
    trial = gateway.stream(request_for())
    assert await anext(trial) == TextDelta("a")
    upstream.answers(answer("Hello"))
    assert (await collect(gateway.stream(request_for())))[0] == "Hello"
    await trial.aclose()


async def test_answers_that_are_cut_again_and_again_count(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    upstream.answers(HEAD + event({"content": "a"}))
    await fails(breaker.FAILURES)
    assert "left alone" in (await fails(1)).message


async def test_a_trial_that_is_given_up_or_busy_is_no_verdict(upstream: Upstream, clock: list[float]) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    upstream.answers(plain(500, b"{}"))
    await fails(breaker.FAILURES)
    clock[0] += breaker.PAUSE
    upstream.answers(plain(503, b"{}"))
    await fails(1)
    gates = Gates(upstream)
    trial = asyncio.create_task(collect(gateway.stream(request_for())))
    await gates.reach(1)
    trial.cancel()
    await asyncio.gather(trial, return_exceptions=True)
    upstream.answers(answer("Hello"))
    assert (await collect(gateway.stream(request_for())))[0] == "Hello"


async def test_names_that_nobody_lists_are_no_labels(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "gpt-4o", provider={"kind": "openai"})
    for number in range(3):
        await collect(gateway.stream(request_for(model=f"gpt-invented-{number}")))
    labels = {
        sample.labels.get("model", "")
        for metric in (metrics.CALLS, metrics.TOKENS, metrics.FIRST_TOKEN, metrics.PASSED_OVER)
        for family in metric.collect()
        for sample in family.samples
    }
    assert "other" in labels
    assert not any("invented" in label for label in labels)


# ----------------------------------------------------------------------------------------- time, and the database


async def test_the_search_ends_at_one_deadline(
    engines: list[Engine], upstream: Upstream, other: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(*_: Any, **__: Any) -> None:
        monkeypatch.setattr(modelcall, "PATIENCE", 0.0)

    monkeypatch.setattr(services, "mark_down", too_late)
    await upstream.stop()
    await other.stop()
    failed = metrics.PASSED_OVER.labels("tiny")._value.get()
    with pytest.raises(EngineUnavailable, match="refused the connection"):
        await collect(gateway.stream(request_for()))
    assert metrics.PASSED_OVER.labels("tiny")._value.get() == failed, "no other is tried"


async def test_an_engine_has_only_the_rest_of_the_time_to_connect(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    async def stream(_: Any, endpoint: Any, request: Any) -> AsyncIterator[Any]:
        seen.append(endpoint.patience)
        raise InferenceError("The end.", "invalid_prompt")
        yield

    await in_database(ready_engine, upstream.url, "tiny")
    monkeypatch.setattr(OpenAICompatible, "stream", stream)
    monkeypatch.setattr(modelcall, "PATIENCE", 0.0)
    await fails(1)
    assert [patience.connect for patience in seen] == [modelcall.SHORTEST_SEARCH]


async def test_without_the_database_an_engine_that_is_gone_is_passed_over_all_the_same(
    engines: list[Engine], upstream: Upstream, other: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: Any) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(services, "mark_down", away)
    await upstream.stop()
    (thread,) = islice(threads_of(*engines), 1)
    assert (await collect(gateway.stream(asked_in(thread))))[0] == "Hello"
    await other.stop()
    with pytest.raises(EngineUnavailable, match="refused the connection"):
        await collect(gateway.stream(asked_in(thread)))
