"""Stored chat completions: kept where that is asked for, listed, noted on, deleted, and nobody else's business."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from inference import gateway
from inference.chat import Finished, TextDelta, Usage
from inference.models import StoredCompletion
from sovereign.accounts.models import AuditEvent
from tests.inference.asking import Asker
from tests.inference.conftest import Upstream, answer, in_database, until
from tests.inference.helpers import ready_engine

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/v1/chat/completions"


@pytest.fixture
async def asker(upstream: Upstream, api_key: str) -> Asker:
    await in_database(ready_engine, upstream.url, "tiny", "other")
    return Asker(api_key)


async def stored(asker: Asker, text: str = "Hi", **body: Any) -> dict[str, Any]:
    made = await asker.chat(text, store=True, **body)
    assert made.status == 200, made.content
    kept: dict[str, Any] = made.body
    return kept


async def count() -> int:
    return await in_database(StoredCompletion.objects.count)


async def test_nothing_is_kept_unless_that_is_asked_for(asker: Asker) -> None:
    await asker.chat()
    await asker.chat(store=False)
    assert await count() == 0


async def test_what_is_kept_is_the_answer_and_its_request(asker: Asker) -> None:
    made = await stored(asker, metadata={"a": "b"}, temperature=0.5, user="u-1")
    got = (await asker.get(f"{PATH}/{made['id']}")).body
    assert got == {
        **made,
        "request_id": None,
        "tool_choice": None,
        "seed": None,
        "top_p": 1.0,
        "temperature": 0.5,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "input_user": "u-1",
        "tools": None,
        "response_format": None,
        "metadata": {"a": "b"},
    }
    row = await in_database(StoredCompletion.objects.get)
    assert row.messages == [{"role": "user", "content": "Hi"}]
    assert "messages" not in row.request


async def test_a_streamed_answer_is_kept_before_the_stream_ends(asker: Asker, upstream: Upstream) -> None:
    upstream.answers(answer("Hel", "lo"))
    chunks = (await asker.chat(stream=True, store=True, n=2)).chunks
    got = (await asker.get(f"{PATH}/{chunks[0]['id']}")).body
    assert [choice["message"]["content"] for choice in got["choices"]] == ["Hello", "Hello"]
    assert got["usage"]["completion_tokens"] == 4


async def test_what_was_not_finished_is_not_kept(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    going_on = asyncio.Event()

    async def held(_: Any) -> Any:
        yield TextDelta("a")
        await going_on.wait()
        yield Finished("stop", Usage(1, 1))

    monkeypatch.setattr(gateway, "stream", held)
    body = {"model": "tiny", "stream": True, "store": True, "messages": [{"role": "user", "content": "?"}]}
    connection = asker.connection("POST", PATH, body)
    answering = asyncio.create_task(connection.through(asker.handler))
    await until(lambda: connection.writes)
    connection.leave()
    await answering
    assert await count() == 0


async def test_lists_are_oldest_first_and_filtered(asker: Asker) -> None:
    names = [(await stored(asker, metadata={"n": str(n % 2), "a b]": "c"}))["id"] for n in range(4)]
    other = (await stored(asker, model="other"))["id"]

    async def ids(query: str = "") -> list[str]:
        got = await asker.get(f"{PATH}{query}")
        assert got.status == 200, got.content
        return [one["id"] for one in got.body["data"]]

    assert await ids() == [*names, other]
    assert await ids("?order=desc&limit=2") == [other, names[3]]
    assert await ids(f"?after={names[1]}") == [names[2], names[3], other]
    assert await ids("?model=other") == [other]
    assert await ids("?metadata%5Bn%5D=1") == [names[1], names[3]]
    assert await ids("?metadata[n]=1&metadata[a%20b%5D]=c&limit=1") == [names[1]]
    assert await ids("?metadata[n]=2") == []
    assert await ids("?metadata[n__isnull]=1") == []
    page = (await asker.get(f"{PATH}?limit=2")).body
    assert (page["object"], page["has_more"]) == ("list", True)
    assert (page["first_id"], page["last_id"]) == (names[0], names[1])


async def test_the_messages_of_one(asker: Asker) -> None:
    parts = [{"type": "text", "text": "See"}]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": parts, "name": "Ada"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "And?"},
    ]
    made = await stored(asker, messages=messages)
    got = (await asker.get(f"{PATH}/{made['id']}/messages")).body
    assert [one["id"] for one in got["data"]] == [f"{made['id']}-{index}" for index in range(4)]
    assert got["data"][0] == {
        "id": f"{made['id']}-0",
        "role": "system",
        "content": "Be brief.",
        "name": None,
        "refusal": None,
        "content_parts": None,
    }
    assert (got["data"][1]["content"], got["data"][1]["content_parts"]) == (None, parts)
    assert (got["has_more"], got["last_id"]) == (False, f"{made['id']}-3")
    page = (await asker.get(f"{PATH}/{made['id']}/messages?order=desc&limit=2&after={made['id']}-3")).body
    assert [one["role"] for one in page["data"]] == ["assistant", "user"]
    assert page["has_more"] is True
    assert (await asker.get(f"{PATH}/{made['id']}/messages?after=nothing")).status == 400


async def test_metadata_is_replaced_and_nothing_else(asker: Asker) -> None:
    made = await stored(asker, metadata={"a": "b"})
    changed = await asker.post(f"{PATH}/{made['id']}", metadata={"c": "d"})
    assert (changed.status, changed.body["metadata"]) == (200, {"c": "d"})
    assert changed.body["choices"] == made["choices"]
    assert (await asker.post(f"{PATH}/{made['id']}", metadata=None)).body["metadata"] == {}
    assert (await asker.post(f"{PATH}/{made['id']}", model="x")).status == 400
    assert (await asker.post(f"{PATH}/{made['id']}")).error["code"] == "missing_required_parameter"


async def test_what_is_deleted_is_gone_and_noted(asker: Asker) -> None:
    made = await stored(asker)
    gone = await asker.ask("DELETE", f"{PATH}/{made['id']}")
    assert gone.body == {"object": "chat.completion.deleted", "id": made["id"], "deleted": True}
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/messages")):
        got = await asker.ask(method, f"{PATH}/{made['id']}{path}")
        assert (got.status, got.error["message"]) == (404, f"No chat completion found with id '{made['id']}'.")
    events = await in_database(lambda: list(AuditEvent.objects.values_list("action", "object_id")))
    assert ("chat_completion.deleted", made["id"]) in events


async def test_another_project_sees_nothing(asker: Asker, charlies_key: str) -> None:
    made = await stored(asker)
    charlie = Asker(charlies_key)
    assert (await charlie.get(PATH)).body["data"] == []
    for method, body in (("GET", None), ("POST", {"metadata": {}}), ("DELETE", None)):
        assert (await charlie.ask(method, f"{PATH}/{made['id']}", body)).status == 404
    assert (await charlie.get(f"{PATH}/{made['id']}/messages")).status == 404
    assert await count() == 1
