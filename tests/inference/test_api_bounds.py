"""What one request can make this server hold: answers, repeated bodies, what a slow reader leaves, stored chats."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from inference import gateway
from inference.api import answering, conversation, pump, stored
from inference.api.pump import Pump, weight
from inference.api.rendering import Choice
from inference.calls import CompletionRequest
from inference.chat import Delta, Finished, InferenceError, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from inference.models import StoredCompletion
from inference.services import completions
from sovereign.accounts.models import Project
from tests.inference.asking import Asker
from tests.inference.conftest import Upstream, answer, in_database, until
from tests.inference.helpers import ready_engine

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/v1/chat/completions"
END = Finished("stop", Usage(1, 1))


@pytest.fixture
async def asker(upstream: Upstream, api_key: str) -> Asker:
    await in_database(ready_engine, upstream.url, "tiny")
    return Asker(api_key)


def entry(others: int = 0) -> dict[str, Any]:
    token = {"token": "H", "logprob": -0.5, "bytes": [72]}
    return {**token, "top_logprobs": [token] * others}


def saying(monkeypatch: pytest.MonkeyPatch, *deltas: Delta, name: str = "stream") -> None:
    async def stream(_: Any) -> AsyncGenerator[Delta, None]:
        for delta in deltas:
            yield delta

    monkeypatch.setattr(gateway, name, stream)


# ------------------------------------------------------------------------------------------------ whole answers


async def test_an_answer_is_held_up_to_a_limit(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "MOST_HELD", 20_000)
    saying(monkeypatch, *[TextDelta("x" * 1_000)] * 10, END)
    assert (await asker.chat()).status == 200
    got = await asker.chat(n=2)
    assert (got.status, got.error["code"]) == (400, "answer_too_large")
    assert "fewer" in got.error["message"]
    assert (await asker.chat(n=2, stream=True)).chunks[-1] == "[DONE]"
    kept = (await asker.chat(n=2, stream=True, store=True)).chunks
    assert kept[-1]["error"]["code"] == "answer_too_large"
    assert await in_database(StoredCompletion.objects.count) == 0


async def test_a_continued_text_is_held_up_to_a_limit(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "MOST_HELD", 20_000)
    monkeypatch.setattr(gateway, "check_model", lambda name, **_: None)
    saying(monkeypatch, *[TextDelta("x", [entry(5)])] * 10, END, name="complete")
    assert (await asker.post("/v1/completions", model="tiny", prompt="x", logprobs=5)).status == 200
    got = await asker.post("/v1/completions", model="tiny", prompt="x", logprobs=5, n=10)
    assert (got.status, got.error["code"]) == (400, "answer_too_large")


async def test_logprobs_are_kept_as_they_are_sent() -> None:
    """As objects, those of a token with twenty others would take some ten thousand bytes."""
    choice = Choice()
    held = sum(choice.add(TextDelta("H", [entry(20)])) for _ in range(100))
    assert held < 100 * 1_600
    assert weight(TextDelta("H", [entry(20)])) > 8_000


async def test_an_answer_with_logprobs_is_whole(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    saying(monkeypatch, TextDelta("H", [entry(1)]), TextDelta("HH", [entry(), entry(2)]), END)
    made = (await asker.chat(logprobs=True, store=True)).body
    assert made["choices"][0]["logprobs"] == {"content": [entry(1), entry(), entry(2)], "refusal": None}
    assert (await asker.get(f"{PATH}/{made['id']}")).body["choices"] == made["choices"]


# ---------------------------------------------------------------------------------------------- repeated bodies


async def test_a_large_request_cannot_be_sent_often(
    asker: Asker, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "MOST_SENT", 4_000)
    assert (await asker.chat("x" * 1_500, n=2)).status == 200
    sent = len(upstream.requests)
    got = await asker.chat("x" * 1_500, n=3)
    assert (got.status, got.error["param"]) == (400, "n")
    assert len(upstream.requests) == sent


async def test_a_large_prompt_cannot_be_sent_often(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "MOST_SENT", 8_000)
    monkeypatch.setattr(gateway, "check_model", lambda name, **_: None)
    saying(monkeypatch, END, name="complete")
    for body, status in (
        ({"prompt": ["x" * 1_500] * 2, "n": 2}, 200),
        ({"prompt": ["x" * 1_500] * 2, "n": 3}, 400),
        ({"prompt": ["x"] * 3, "suffix": "x" * 1_500}, 200),
        ({"prompt": ["x"] * 6, "suffix": "x" * 1_500}, 400),
    ):
        assert (await asker.post("/v1/completions", model="tiny", **body)).status == status


async def test_seeds_go_on_after_the_largest(asker: Asker, upstream: Upstream) -> None:
    assert (await asker.chat(n=3, seed=2**63 - 2)).status == 200
    assert sorted(asked.body["seed"] for asked in upstream.requests) == [0, 2**63 - 2, 2**63 - 1]


async def test_the_best_of_none_is_what_is_made_anyway(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[CompletionRequest] = []

    async def complete(request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        asked.append(request)
        yield END

    monkeypatch.setattr(gateway, "complete", complete)
    monkeypatch.setattr(gateway, "check_model", lambda name, **_: None)
    got = await asker.post("/v1/completions", model="tiny", prompt="x", best_of=0, n=2, seed=2**63 - 1)
    assert (got.status, len(got.body["choices"])) == (200, 2)
    assert [request.seed for request in asked] == [2**63 - 1, 0]


# ------------------------------------------------------------------------------------------------- slow readers


@pytest.mark.parametrize(
    "delta",
    [
        TextDelta("x" * 100_000),
        ReasoningDelta("x" * 100_000),
        ToolCallDelta(0, None, None, "x" * 100_000),
        TextDelta("x", [entry(20)] * 12),
    ],
)
async def test_what_waits_for_a_reader_is_bounded_in_bytes(delta: Delta) -> None:
    given = 0

    async def engine() -> AsyncGenerator[Delta, None]:
        nonlocal given
        while given < 100:
            given += 1
            yield delta
        yield END

    reading = Pump([engine()])
    await until(lambda: given)
    assert given == 3  # 100,000 bytes each, of 256 KiB
    taken = 0
    while bunch := await reading.next():
        assert sum(weight(one) for _, one in bunch) <= pump.HEAVY + weight(delta)
        taken += len(bunch)
    assert taken == 101
    await reading.close()


async def test_a_source_that_ends_too_early_has_failed() -> None:
    async def engine() -> AsyncGenerator[Delta, None]:
        yield TextDelta("x")

    reading = Pump([engine()])
    assert len(await reading.next()) == 1
    with pytest.raises(InferenceError, match="in the middle"):
        await reading.next()
    await reading.close()


async def test_an_answer_that_is_not_finished_is_none(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    saying(monkeypatch, TextDelta("x"))
    assert (await asker.chat()).status == 500
    assert (await asker.chat(stream=True)).chunks[-1]["error"]["type"] == "server_error"


# ------------------------------------------------------------------------------------------------- stored chats


async def test_what_is_too_large_is_not_stored(
    asker: Asker, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "MOST_STORED", 2_000)
    monkeypatch.setattr(stored, "MOST_ANSWERED", 2_000)
    got = await asker.chat("x" * 2_000, store=True)
    assert (got.status, got.error["param"], got.error["code"]) == (400, "store", "too_large_to_store")
    assert upstream.requests == []
    assert (await asker.chat("x" * 2_000)).status == 200
    upstream.answers(answer("x" * 2_000))
    got = await asker.chat(store=True)
    assert (got.status, got.error["code"]) == (400, "too_large_to_store")
    last = (await asker.chat(store=True, stream=True)).chunks[-1]
    assert last["error"]["code"] == "too_large_to_store"
    assert await in_database(StoredCompletion.objects.count) == 0


async def test_the_oldest_of_a_project_are_forgotten(
    asker: Asker, charlies_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completions, "MOST_KEPT", 3)
    others = (await Asker(charlies_key).chat(store=True)).body["id"]
    made = [(await asker.chat(store=True)).body["id"] for _ in range(5)]
    assert [one["id"] for one in (await asker.get(PATH)).body["data"]] == made[2:]
    assert [one["id"] for one in (await Asker(charlies_key).get(PATH)).body["data"]] == [others]


async def test_a_list_has_no_more_than_can_be_held(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [(await asker.chat(store=True)).body["id"] for _ in range(4)]
    sizes = await in_database(lambda: [len(str(row.answer)) for row in StoredCompletion.objects.all()])
    monkeypatch.setattr(stored, "MOST_LISTED", int(2.9 * max(sizes)))

    async def page(query: str) -> tuple[list[str], bool]:
        got = (await asker.get(f"{PATH}?{query}")).body
        return [one["id"] for one in got["data"]], got["has_more"]

    assert await page("") == (made[:2], True)
    assert await page(f"after={made[1]}") == (made[2:], False)
    assert await page("limit=1") == (made[:1], True)
    assert await page("limit=0") == ([], True)
    monkeypatch.setattr(stored, "MOST_LISTED", 1)
    assert await page("order=desc") == (made[3:], True)


def test_a_list_reads_no_messages(api_key: str) -> None:
    StoredCompletion.objects.create(project=Project.objects.get(), model="tiny", messages=[{}], answer={"id": "x"})
    with CaptureQueriesContext(connection) as queries:
        got = Client().get(PATH, headers={"authorization": f"Bearer {api_key}"})
    assert (got.status_code, len(got.json()["data"])) == (200, 1)
    asked = [query["sql"] for query in queries if "inference_storedcompletion" in query["sql"]]
    assert len(asked) == 2
    assert not any('"messages"' in sql for sql in asked)


KEYS = ["k", "1", "-1", "0", "a.b", 'a"b', "a'b", "x\\y", "[0]", "$", "é\u2028", "a%b", "n__isnull", "*", "#-1"]


@pytest.mark.parametrize("key", KEYS)
async def test_metadata_are_found_whatever_their_keys_look_like(asker: Asker, key: str) -> None:
    made = (await asker.chat(store=True, metadata={key: 'it\'s "é" 1', "z": "1"})).body["id"]
    await asker.chat(store=True, metadata={"z": 'it\'s "é" 1'})
    for value, ids in (('it\'s "é" 1', [made]), ("other", [])):
        got = await asker.get(f"{PATH}?metadata[{quote(key)}]={quote(value)}")
        assert got.status == 200, got.content
        assert [one["id"] for one in got.body["data"]] == ids
    assert [one["id"] for one in (await asker.get(f"{PATH}?metadata[z]=1")).body["data"]] == [made]
