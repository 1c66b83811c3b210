"""What model calls took: a row for each of them, whatever became of it, and none twice."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connections

from inference import gateway, services, usage
from inference.adapters.openai_compatible import OpenAICompatible
from inference.calls import EmbeddingRequest
from inference.chat import Attribution, EngineUnavailable, Finished, InferenceError, TextDelta, Usage
from inference.gateway import ledger as ledger_module
from inference.gateway.allowances import prompt_tokens
from inference.gateway.ledger import ledger
from inference.gateway.modelcall import ModelCall
from inference.models import Provider, UncountedCall, UsageRecord
from inference.usage import Ended
from sovereign.accounts import services as accounts
from sovereign.accounts.models import Project
from sovereign.accounts.services import quotas
from tests.inference.conftest import HEAD, Upstream, answer, collect, event, in_database, plain, request_for, until
from tests.inference.helpers import ready_engine, supervised_engine

pytestmark = pytest.mark.django_db(transaction=True)

WHO = Attribution(
    project="proj_1", key="key_1", user="7", assistant="asst_1", thread="thread_1", run="run_1", purpose="run"
)


def rows() -> list[UsageRecord]:
    return list(UsageRecord.objects.order_by("created_at", "id"))


async def written(count: int = 1) -> list[UsageRecord]:
    """The rows, once there are so many."""

    async def there() -> list[UsageRecord] | None:
        found = await in_database(rows)
        return found if len(found) >= count else None

    found: list[UsageRecord] = await until(there)
    return found


async def test_a_call_is_a_row_with_everything(upstream: Upstream) -> None:
    engine = await in_database(ready_engine, upstream.url, "tiny")
    provider = await in_database(Provider.objects.get, name="upstream")
    await in_database(
        services.set_price,
        model="tiny",
        provider=provider,
        valid_from=date(2026, 1, 1),
        prompt=150,
        cached=75,
        completion=600,
    )
    upstream.answers(answer("a", "b"))
    await collect(gateway.stream(request_for(model="gpt-4o", attribution=WHO)))
    (row,) = await in_database(rows)
    assert row.id.startswith("call_")
    assert (row.project_id, row.key_id, row.user_id, row.assistant_id) == ("proj_1", "key_1", "7", "asst_1")
    assert (row.thread_id, row.run_id, row.purpose) == ("thread_1", "run_1", "run")
    assert (row.asked, row.model, row.engine_id, row.provider) == ("gpt-4o", "tiny", engine.id, "upstream")
    assert (row.outcome, row.prompt_tokens, row.cached_tokens, row.completion_tokens) == ("stop", 3, 2, 2)
    assert row.cost == 1 * 150 + 2 * 75 + 2 * 600
    assert row.first_token_ms is not None
    assert row.total_ms >= row.first_token_ms
    assert (row.gpu_ms, row.day) == (None, row.created_at.date())


async def test_the_row_is_there_before_the_end_is_told(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    async for delta in gateway.stream(request_for()):
        assert await in_database(UsageRecord.objects.count) == (type(delta) is Finished)


async def test_an_engine_of_ours_has_no_provider(upstream: Upstream) -> None:
    await in_database(supervised_engine, "tiny", state="ready", base_url=upstream.url)
    await collect(gateway.stream(request_for()))
    (row,) = await in_database(rows)
    assert (row.provider, row.cost) == ("", 0)


async def test_a_call_that_failed_is_counted_by_its_pieces(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    upstream.answers(HEAD + event({"content": "a"}) + event({"content": "b"}))
    with pytest.raises(InferenceError):
        await collect(gateway.stream(request_for("123456789")))
    (row,) = await in_database(rows)
    assert (row.outcome, row.completion_tokens) == ("server_error", 2)
    assert row.prompt_tokens >= 3, "an estimate"


async def test_a_call_that_was_refused_took_nothing(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    upstream.answers(plain(400, b"{}"))
    with pytest.raises(InferenceError):
        await collect(gateway.stream(request_for()))
    (row,) = await in_database(rows)
    assert (row.outcome, row.prompt_tokens, row.completion_tokens) == ("invalid_prompt", 0, 0)


async def test_a_call_that_no_engine_got_is_none(upstream: Upstream) -> None:
    with pytest.raises(EngineUnavailable):
        await collect(gateway.stream(request_for(model="nobody")))
    await gateway.close()
    assert await in_database(rows) == []


async def test_a_call_whose_reader_left_is_counted(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    upstream.hangs(HEAD, event({"content": "a"}))
    deltas = gateway.stream(request_for())
    assert await anext(deltas) == TextDelta("a")
    await deltas.aclose()
    (row,) = await written()
    assert (row.outcome, row.completion_tokens) == ("cancelled", 1)


async def test_a_call_whose_task_was_cancelled_is_counted_until_the_gateway_closes(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    begun = asyncio.Event()
    upstream.hangs(HEAD, event({"content": "a"}))

    async def read() -> None:
        async for _ in gateway.stream(request_for()):
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await gateway.close()
    (row,) = await in_database(rows)
    assert row.outcome == "cancelled"


async def test_rows_are_exact_under_many_calls_at_once(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    upstream.answers(answer("a", "b", "c"))
    asked = [request_for(attribution=Attribution(run=f"run_{number}")) for number in range(64)]
    await asyncio.gather(*(collect(gateway.stream(request)) for request in asked))
    found = await in_database(rows)
    assert sorted(row.run_id or "" for row in found) == sorted(f"run_{number}" for number in range(64))
    assert {(row.prompt_tokens, row.completion_tokens, row.outcome) for row in found} == {(3, 3, "stop")}


async def test_calls_of_one_moment_are_written_together(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    batches: list[int] = []

    def counting(calls: Any, *, again: bool = False) -> None:
        batches.append(len(calls))
        RECORD(calls, again=again)

    monkeypatch.setattr(ledger_module.usage, "record", counting)
    await asyncio.gather(*(collect(gateway.stream(request_for())) for _ in range(32)))
    assert sum(batches) == 32
    assert len(batches) < 32


# ----------------------------------------------------------------------------------------- a database that fails


class Failing:
    """``usage.record`` behind a database that fails a few times."""

    def __init__(self, *failures: Exception | None, after: bool = False) -> None:
        self.failures = list(failures)
        self.after = after  # the commit is done, and its answer is lost
        self.calls = 0

    def __call__(self, calls: Any, *, again: bool = False) -> None:
        self.calls += 1
        failure = self.failures.pop(0) if self.failures else None
        if failure is None or self.after:
            RECORD(calls, again=again)
        if failure is not None:
            raise failure


RECORD = usage.record


async def test_a_commit_whose_answer_was_lost_is_not_done_twice(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    failing = Failing(usage.Unsure("the connection is lost"), after=True)
    monkeypatch.setattr(ledger_module.usage, "record", failing)
    monkeypatch.setattr(ledger_module, "FIRST_RETRY", 0.0)
    await collect(gateway.stream(request_for()))
    assert failing.calls == 2
    assert len(await in_database(rows)) == 1


async def test_an_answer_does_not_wait_for_a_database_that_is_away(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    failing = Failing(*[OperationalError("away")] * 3)
    monkeypatch.setattr(ledger_module.usage, "record", failing)
    monkeypatch.setattr(ledger_module, "PATIENCE", 0.01)
    monkeypatch.setattr(ledger_module, "FIRST_RETRY", 0.02)
    assert (await collect(gateway.stream(request_for())))[0] == "Hello"
    assert len(await written()) == 1
    assert failing.calls == 4


async def test_one_row_that_cannot_be_written_does_not_hold_up_the_others(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    await collect(gateway.stream(request_for()))
    (known,) = await in_database(rows)
    books = ledger()
    twice = UsageRecord(id=known.id, model="x", outcome="stop", day=known.day, created_at=known.created_at)
    once = UsageRecord(id="call_new", model="x", outcome="stop", day=known.day, created_at=known.created_at)
    await asyncio.wait_for(asyncio.gather(books.write(Ended(twice)), books.write(Ended(once))), 60)
    assert {row.id for row in await in_database(rows)} == {known.id, "call_new"}


async def test_what_cannot_be_written_before_the_end_is_lost_and_said_so(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    monkeypatch.setattr(ledger_module.usage, "record", Failing(*[OperationalError("away")] * 1_000))
    monkeypatch.setattr(ledger_module, "PATIENCE", 0.01)
    monkeypatch.setattr(ledger_module, "CLOSING", 0.01)
    await collect(gateway.stream(request_for()))
    await gateway.close()
    assert "usage_lost" in caplog.text


# ----------------------------------------------------------------------------------------- the other kinds


async def test_embeddings_are_counted_too(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "nomic-embed-text")
    body = b'{"data": [{"index": 0, "embedding": [0.5, 1.0]}], "usage": {"prompt_tokens": 4, "total_tokens": 4}}'
    upstream.answers(plain(200, body))
    asked = EmbeddingRequest(model="nomic-embed-text", texts=["Hello"], attribution=WHO)
    assert (await gateway.embed(asked)).vectors == [[0.5, 1.0]]
    (row,) = await in_database(rows)
    assert (row.model, row.prompt_tokens, row.completion_tokens, row.outcome) == ("nomic-embed-text", 4, 0, "stop")


async def test_a_chat_model_makes_no_embeddings(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    with pytest.raises(EngineUnavailable, match="cannot be used for embeddings"):
        await gateway.embed(EmbeddingRequest(model="tiny", texts=["Hello"]))
    assert not upstream.requests


def test_a_row_is_its_calls_own() -> None:
    first = UsageRecord(id="call_1", model="x", outcome="stop", day=date(2026, 1, 1), created_at="2026-01-01T00:00Z")
    usage.record([Ended(first)])
    with pytest.raises(IntegrityError):
        usage.record([Ended(first)])
    usage.record([Ended(first)], again=True)
    assert UsageRecord.objects.count() == 1
    assert list(UncountedCall.objects.values_list("call_id", flat=True)) == ["call_1"], "the roll-ups count it once"


def test_the_row_and_what_is_settled_are_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise OperationalError("killed")

    row = UsageRecord(id="call_1", model="x", outcome="stop", day=date(2026, 1, 1), created_at="2026-01-01T00:00Z")
    with monkeypatch.context() as patch:
        patch.setattr(quotas, "settle", failing)
        with pytest.raises(OperationalError):
            usage.record([Ended(row)])
    assert not UsageRecord.objects.exists()
    assert not UncountedCall.objects.exists()
    usage.record([Ended(row)], again=True)
    assert UsageRecord.objects.count() == 1


def test_what_was_settled_is_not_settled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    settled: list[Any] = []
    monkeypatch.setattr(quotas, "settle", settled.extend)
    row = UsageRecord(id="call_1", model="x", outcome="stop", day=date(2026, 1, 1), created_at="2026-01-01T00:00Z")
    ended = Ended(row, reserved=(quotas.Reservation("r"),), tokens=5)
    usage.record([ended])
    usage.record([ended, Ended(None, reserved=(quotas.Reservation("s"),))], again=True)
    assert settled == [(quotas.Reservation("r"), 5)]


# ----------------------------------------------------------------------------------------- what nobody counted


UNCOUNTED = HEAD + event({"content": "word " * 8}) + event(reason="stop") + b"data: [DONE]\n\n"


async def test_where_the_engine_tells_no_usage_it_is_estimated(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    upstream.answers(UNCOUNTED)
    asked = request_for("word " * 100)
    _, last, _ = await collect(gateway.stream(asked))
    (row,) = await in_database(rows)
    assert (row.prompt_tokens, row.completion_tokens) == (prompt_tokens(asked), 10)
    assert last == Finished("stop", Usage(row.prompt_tokens, 10)), "who asked is told the same"


async def test_a_large_piece_is_many_tokens_for_who_leaves_after_it(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    upstream.hangs(HEAD, event({"content": "word " * 400}))
    deltas = gateway.stream(request_for())
    await anext(deltas)
    await deltas.aclose()
    (row,) = await written()
    assert (row.outcome, row.completion_tokens) == ("cancelled", 500)


async def test_who_leaves_while_a_failure_is_noted_has_got_what_was_given_out(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    noting = asyncio.Event()

    async def stream(*_: Any) -> Any:
        yield TextDelta("some words")
        raise EngineUnavailable("It is gone.")

    async def mark_down(*_: Any) -> None:
        noting.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(OpenAICompatible, "stream", stream)
    monkeypatch.setattr(ModelCall, "_mark_down", mark_down)
    task = asyncio.create_task(collect(gateway.stream(request_for())))
    await noting.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    (row,) = await written()
    assert (row.outcome, row.completion_tokens) == ("server_error", 3)
    assert row.prompt_tokens


async def test_the_moment_is_the_databases(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    instant = datetime(2031, 1, 1, 0, 0, 0, tzinfo=UTC)
    monkeypatch.setattr("inference.usage.recording.now", lambda: instant)
    await collect(gateway.stream(request_for()))
    (row,) = await in_database(rows)
    assert instant - timedelta(minutes=1) < row.created_at < instant
    assert row.day == date(2030, 12, 31), "it ended before it was written"


# ----------------------------------------------------------------------------------------- what must not be lost


def reserved(project: Project) -> quotas.Reservation:
    """Of all that the project may use."""
    accounts.set_project_limits(project=project, limits=quotas.Limits(tokens_per_day=100, concurrent_calls=1))
    demand = quotas.Demand((quotas.Subject("project", project.pk),), requests=0, tokens=100)
    (given,) = quotas.reserve([demand])
    assert isinstance(given, quotas.Reservation)
    return given


def used(project: Project) -> tuple[int, int]:
    """Tokens of the day, and calls that run."""
    name = f"project:{project.pk}"
    account = quotas.look([name])[name]
    return account.used("tokens_per_day"), account.used("concurrent_calls")


async def test_what_was_surely_not_done_is_done_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    given = await in_database(reserved, project)
    monkeypatch.setattr(ledger_module.usage, "record", Failing(OperationalError("away")))
    monkeypatch.setattr(ledger_module, "FIRST_RETRY", 0.0)
    await asyncio.wait_for(ledger().write(Ended(None, reserved=(given,))), 60)
    assert await in_database(used, project) == (0, 0)


async def test_of_a_row_that_cannot_be_written_the_tokens_are_settled(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = await in_database(reserved, project)
    broken = UsageRecord(id="call_1", model=None, outcome="stop", day=date(2026, 1, 1), created_at="2026-01-01T00:00Z")
    await asyncio.wait_for(ledger().write(Ended(broken, reserved=(given,), tokens=7)), 60)
    assert await in_database(used, project) == (7, 0)
    assert await in_database(rows) == []


def test_only_a_commit_can_leave_it_unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("away")

    row = UsageRecord(id="call_1", model="x", outcome="stop", day=date(2026, 1, 1), created_at="2026-01-01T00:00Z")
    with monkeypatch.context() as patch:
        patch.setattr(quotas, "settle", away)
        with pytest.raises(OperationalError) as caught:
            usage.record([Ended(row)])
    assert not isinstance(caught.value, usage.Unsure)
    with monkeypatch.context() as patch:
        patch.setattr(connections["default"], "_commit", away)
        with pytest.raises(usage.Unsure):
            usage.record([Ended(row)])
