"""Limits on tokens and on calls that run at once: of a key, of a project and of a provider."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any

import pytest

from inference import gateway
from inference.chat import Attribution, InferenceError, TooManyCalls
from inference.gateway.allowances import MOST_WITHOUT_BOUND
from inference.gateway.ledger import ledger
from inference.models import Provider, UsageRecord
from sovereign.accounts import services as accounts
from sovereign.accounts.models import Project
from sovereign.accounts.services import quotas
from sovereign.accounts.services.quotas import Limits
from tests.inference.conftest import HEAD, Upstream, answer, collect, event, in_database, plain, request_for, until
from tests.inference.helpers import ready_engine, threads_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def limited(project: Project) -> Any:
    """``limited(tokens_per_minute=100)``: Alice's project may use no more."""

    def limit(**limits: int) -> str:
        accounts.set_project_limits(project=project, limits=Limits(**limits))
        return project.pk

    return limit


def asked_by(project_id: str, text: str = "Hi", **changes: Any) -> Any:
    return request_for(text, attribution=Attribution(project=project_id), **changes)


def used(project_id: str) -> dict[str, int]:
    """Tokens of the minute, and calls that run."""
    name = f"project:{project_id}"
    account = quotas.look([name])[name]
    return {"tokens": account.used("tokens_per_minute"), "calls": account.used("concurrent_calls")}


async def test_what_was_used_is_what_counts(upstream: Upstream, limited: Any) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    project_id = await in_database(limited, tokens_per_minute=1_000, concurrent_calls=4)
    upstream.answers(answer("a", "b"))  # three tokens of a prompt, two of an answer
    for number in range(1, 4):
        await collect(gateway.stream(asked_by(project_id)))
        assert await in_database(used, project_id) == {"tokens": 5 * number, "calls": 0}


async def test_an_answer_without_a_bound_gets_one(upstream: Upstream, limited: Any) -> None:
    await in_database(ready_engine, upstream.url, "tiny", served=[{"id": "tiny", "context_length": None}])
    project_id = await in_database(limited, tokens_per_minute=4_000)
    await collect(gateway.stream(asked_by(project_id)))
    await collect(gateway.stream(asked_by(project_id, max_tokens=7)))
    assert [asked.body.get("max_tokens") for asked in upstream.requests] == [1_000, 7], "a share of the limit"
    project_id = await in_database(limited, tokens_per_minute=1_000_000)
    await collect(gateway.stream(asked_by(project_id)))
    assert upstream.requests[-1].body["max_tokens"] == MOST_WITHOUT_BOUND


async def test_without_a_limit_there_is_no_bound(upstream: Upstream, limited: Any) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    project_id = await in_database(limited, concurrent_calls=3)
    await collect(gateway.stream(asked_by(project_id)))
    assert "max_tokens" not in upstream.requests[-1].body


async def test_tokens_that_are_not_left_are_refused(upstream: Upstream, limited: Any) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    project_id = await in_database(limited, tokens_per_minute=50)
    upstream.answers(answer(*"abcdefghij" * 4))
    await collect(gateway.stream(asked_by(project_id)))
    with pytest.raises(InferenceError, match="tokens per min") as caught:
        await collect(gateway.stream(asked_by(project_id, max_tokens=30)))
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.retry_after
    assert caught.value.headers["x-ratelimit-limit-tokens"] == "50"
    assert len(upstream.requests) == 1
    assert await in_database(UsageRecord.objects.count) == 1


async def test_a_call_waits_for_none_and_is_refused_where_too_many_run(upstream: Upstream, limited: Any) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    project_id = await in_database(limited, concurrent_calls=1)
    upstream.hangs(HEAD, event({"content": "a"}))
    running = gateway.stream(asked_by(project_id))
    await anext(running)
    with pytest.raises(TooManyCalls):
        await collect(gateway.stream(asked_by(project_id)))
    await running.aclose()
    await until(lambda: nothing_runs(project_id))
    upstream.answers(answer("Hello"))
    assert (await collect(gateway.stream(asked_by(project_id))))[0] == "Hello"


async def nothing_runs(project_id: str) -> bool:
    return (await in_database(used, project_id))["calls"] == 0


@pytest.mark.parametrize("answered", [plain(400, b"{}"), plain(500, b"{}"), HEAD + event({"content": "a"})])
async def test_a_failed_call_gives_its_place_back(upstream: Upstream, limited: Any, answered: bytes) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    project_id = await in_database(limited, tokens_per_minute=100, concurrent_calls=1)
    upstream.answers(answered)
    for _ in range(3):
        with pytest.raises(InferenceError):
            await collect(gateway.stream(asked_by(project_id, max_tokens=10)))
    await gateway.close()
    found = await in_database(used, project_id)
    assert found["calls"] == 0
    assert found["tokens"] < 30


async def test_a_call_that_no_engine_took_gives_everything_back(upstream: Upstream, limited: Any) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    project_id = await in_database(limited, tokens_per_minute=100, concurrent_calls=1)
    await upstream.stop()
    with pytest.raises(InferenceError):
        await collect(gateway.stream(asked_by(project_id)))
    await gateway.close()
    assert await in_database(used, project_id) == {"tokens": 0, "calls": 0}


async def test_who_left_while_it_was_reserved_gives_it_back(
    upstream: Upstream, limited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    project_id = await in_database(limited, concurrent_calls=1)
    begun, reserve = asyncio.Event(), ledger().reserve

    async def reserving(wish: Any) -> Any:
        begun.set()
        return await reserve(wish)

    monkeypatch.setattr(ledger(), "reserve", reserving)
    task = asyncio.create_task(collect(gateway.stream(asked_by(project_id))))
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await gateway.close()
    assert await in_database(used, project_id) == {"tokens": 0, "calls": 0}


async def test_calls_that_run_keep_their_place(
    upstream: Upstream, limited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    project_id = await in_database(limited, concurrent_calls=1)
    renewed: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr("inference.gateway.ledger.RENEWAL", 0.01)
    monkeypatch.setattr(quotas, "renew", lambda held: loop.call_soon_threadsafe(renewed.put_nowait, len(held)))
    upstream.hangs(HEAD, event({"content": "a"}))
    running = gateway.stream(asked_by(project_id))
    await anext(running)
    async with asyncio.timeout(10):
        assert [await renewed.get(), await renewed.get()] == [1, 1]
    await running.aclose()


# ----------------------------------------------------------------------------------------- providers


async def test_where_a_provider_has_nothing_left_another_engine_is_asked(upstream: Upstream) -> None:
    other = Upstream()
    await other.start()
    first = await in_database(ready_engine, upstream.url, "tiny", provider={"requests_per_minute": 2})
    second = await in_database(ready_engine, other.url, "tiny", name="second")
    for thread in islice(threads_of(first, second), 5):
        asked = request_for(attribution=Attribution(thread=thread))
        assert (await collect(gateway.stream(asked)))[0] == "Hello"
    assert (len(upstream.requests), len(other.requests)) == (2, 3)
    await gateway.close()
    await other.stop()


async def test_a_providers_limit_holds_for_all_projects_together(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny", provider={"requests_per_minute": 2})
    for number in range(2):
        await collect(gateway.stream(asked_by(f"proj_{number}")))
    with pytest.raises(InferenceError, match="this model's provider on requests per min") as caught:
        await collect(gateway.stream(asked_by("proj_3")))
    assert caught.value.code == "rate_limit_exceeded"
    assert len(upstream.requests) == 2
    provider = await in_database(Provider.objects.get)
    name = f"provider:{provider.pk}"
    assert (await in_database(quotas.look, [name]))[name].used("requests_per_minute") == 2


async def test_a_token_limit_is_not_overshot_by_calls_at_once(upstream: Upstream, limited: Any) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    project_id = await in_database(limited, tokens_per_minute=300)
    upstream.answers(answer(*"abcdefghij"))  # thirteen tokens
    calls = [collect(gateway.stream(asked_by(project_id, max_tokens=10))) for _ in range(64)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(one, tuple) or one.code == "rate_limit_exceeded" for one in outcomes)  # type: ignore[union-attr]
    answered = sum(isinstance(one, tuple) for one in outcomes)
    assert 0 < answered * 13 <= 300
    assert (await in_database(used, project_id))["tokens"] == answered * 13
