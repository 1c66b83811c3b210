"""Limits on tokens and on calls that run at once: of a key, of a project and of a provider."""

from __future__ import annotations

import asyncio
import threading
from itertools import islice
from typing import Any

import pytest
from django.db import OperationalError

from inference import gateway
from inference.chat import Attribution, InferenceError, TooManyCalls
from inference.gateway.allowances import MOST_WITHOUT_BOUND, prompt_tokens
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
    async with asyncio.timeout(60):
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


# ----------------------------------------------------------------------------------------- what goes wrong


async def test_what_was_settled_is_not_renewed_any_more(
    upstream: Upstream, limited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    project_id = await in_database(limited, concurrent_calls=1)
    begun, ended, renew = asyncio.Event(), threading.Event(), quotas.renew
    loop = asyncio.get_running_loop()

    def slow(held: Any) -> None:
        loop.call_soon_threadsafe(begun.set)
        ended.wait(60)
        renew(held)

    monkeypatch.setattr("inference.gateway.ledger.RENEWAL", 0.0)
    monkeypatch.setattr(quotas, "renew", slow)
    upstream.hangs(HEAD, event({"content": "a"}))
    running = gateway.stream(asked_by(project_id))
    await anext(running)
    await begun.wait()
    await running.aclose()  # while its place is being renewed
    ended.set()
    await gateway.close()
    assert (await in_database(used, project_id))["calls"] == 0


async def test_renewing_goes_on_whatever_fails(
    upstream: Upstream, limited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    project_id = await in_database(limited, concurrent_calls=1)
    rounds: asyncio.Queue[None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def broken(held: Any) -> None:
        loop.call_soon_threadsafe(rounds.put_nowait, None)
        raise ZeroDivisionError

    monkeypatch.setattr("inference.gateway.ledger.RENEWAL", 0.0)
    monkeypatch.setattr(quotas, "renew", broken)
    upstream.hangs(HEAD, event({"content": "a"}))
    running = gateway.stream(asked_by(project_id))
    await anext(running)
    async with asyncio.timeout(60):
        await rounds.get()
        await rounds.get()
    await running.aclose()


async def test_a_call_that_breaks_at_its_end_holds_no_place(
    upstream: Upstream, limited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    project_id = await in_database(limited, concurrent_calls=1)
    monkeypatch.setattr("inference.gateway.modelcall._count", None)
    with pytest.raises(TypeError):
        await collect(gateway.stream(asked_by(project_id)))
    assert not ledger()._held


async def test_owner_and_provider_are_asked_in_one_transaction(
    upstream: Upstream, limited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_database(ready_engine, upstream.url, "tiny", provider={"concurrent_calls": 5})
    project_id = await in_database(limited, tokens_per_minute=1_000, concurrent_calls=1)
    reserve, answers = quotas.reserve, iter([None, OperationalError("away")])

    def flaky(demands: Any) -> Any:
        if (failure := next(answers, None)) is not None:
            raise failure
        return reserve(demands)

    monkeypatch.setattr(quotas, "reserve", flaky)
    with pytest.raises(OperationalError):
        await collect(gateway.stream(asked_by(project_id)))
    assert await in_database(used, project_id) == {"tokens": 0, "calls": 0}


async def test_a_request_that_cannot_be_estimated_hurts_no_other(
    upstream: Upstream, limited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    project_id = await in_database(limited, tokens_per_minute=10_000)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    odd = asked_by(project_id, messages=[{"role": "user", "content": deep}])
    outcomes = await asyncio.gather(
        *(collect(gateway.stream(one)) for one in (asked_by(project_id), odd, asked_by(project_id))),
        return_exceptions=True,
    )
    assert [isinstance(one, BaseException) for one in outcomes] == [False, True, False]


async def test_large_numbers_in_a_tool_are_the_callers_fault(upstream: Upstream, limited: Any) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    project_id = await in_database(limited, tokens_per_minute=10_000)
    tool = {"type": "function", "function": {"name": "f", "parameters": {"maximum": 10**20}}}
    with pytest.raises(InferenceError) as caught:
        await collect(gateway.stream(asked_by(project_id, tools=[tool])))
    assert caught.value.code == "invalid_prompt"


# ----------------------------------------------------------------------------------------- shares


async def test_calls_without_a_bound_share_what_there_is(upstream: Upstream, limited: Any) -> None:
    await in_database(ready_engine, upstream.url, "tiny", served=[{"id": "tiny", "context_length": None}])
    project_id = await in_database(limited, tokens_per_minute=3_000)
    gate = asyncio.Event()

    async def script(_: Any, writer: Any) -> None:
        await gate.wait()
        writer.write(answer("Hello"))

    upstream.script = script
    calls = [asyncio.create_task(collect(gateway.stream(asked_by(project_id)))) for _ in range(3)]
    await until(lambda: len(upstream.requests) == 3)
    gate.set()
    assert [one[0] for one in await asyncio.gather(*calls)] == ["Hello"] * 3
    assert [asked.body["max_tokens"] for asked in upstream.requests] == [750] * 3


async def test_a_bound_of_almost_nothing_is_refused_instead(upstream: Upstream, limited: Any) -> None:
    await in_database(ready_engine, upstream.url, "tiny", served=[{"id": "tiny", "context_length": None}])
    project_id = await in_database(limited, tokens_per_minute=2_000)
    upstream.answers(answer(*"a" * 1_797))
    await collect(gateway.stream(asked_by(project_id, max_tokens=1_900)))  # 1,800 tokens with its prompt
    with pytest.raises(InferenceError, match="tokens per min") as caught:
        await collect(gateway.stream(asked_by(project_id)))
    assert (caught.value.code, len(upstream.requests)) == ("rate_limit_exceeded", 1)


async def test_a_prompt_that_seems_to_fill_the_context_gets_no_tiny_bound(upstream: Upstream, limited: Any) -> None:
    await in_database(ready_engine, upstream.url, "tiny")  # 512 tokens
    project_id = await in_database(limited, tokens_per_minute=10_000)
    await collect(gateway.stream(asked_by(project_id, "word " * 300)))
    assert "max_tokens" not in upstream.requests[-1].body, "the engine knows better"


async def test_the_calls_of_one_request_take_the_places_there_are(upstream: Upstream, limited: Any) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    project_id = await in_database(limited, concurrent_calls=2)
    asked = asked_by(project_id)
    for number in (1, 5):
        calls = await gateway.in_turns([gateway.stream(asked) for _ in range(number)], asked.attribution)
        assert [one[0] for one in await asyncio.gather(*map(collect, calls))] == ["Hello"] * number
    assert await in_database(used, project_id) == {"tokens": 0, "calls": 0}


@pytest.mark.parametrize(
    ("text", "at_least"),
    [
        ("!?#$%&*+-/<=>@^~{}[]|" * 100, 2_100),
        ("1234567890" * 100, 1_000),
        ("\u4f60\u597d\uff0c\u4e16\u754c" * 100, 500),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467" * 10, 60),
        ("aGVsbG8gd29ybGQ" * 100, 1_000),
        ("hello world, how are you?\n" * 100, 700),
    ],
)
def test_estimates_are_rather_too_high(text: str, at_least: int) -> None:
    assert at_least <= prompt_tokens(request_for(text)) <= 2 * len(text.encode())
