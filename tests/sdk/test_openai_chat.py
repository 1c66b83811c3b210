"""Chats, models, embeddings and moderations as official clients use them, against real processes."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.sdk.test_openai_node import node, values, versions
from tests.support.client import tokens, unique
from tests.support.processes import Stack, Upstream, eventually

pytestmark = pytest.mark.sdk

TOOLS: Any = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}]
STRICT: Any = [
    {
        "type": "function",
        "function": {
            "name": "look_up",
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {"number": {"type": "integer"}},
                "required": ["number"],
                "additionalProperties": False,
            },
        },
    }
]


class Verdict(BaseModel):
    answer: int


def said(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_a_chat(sdk: openai.OpenAI) -> None:
    got = sdk.chat.completions.create(model="fake", messages=said("[tokens=12]"))
    [choice] = got.choices
    assert (choice.message.content, choice.message.role, choice.finish_reason) == (tokens(12), "assistant", "stop")
    assert choice.message.annotations == []
    assert got.usage is not None
    assert got.usage.completion_tokens == 12
    assert got._request_id is not None
    several = sdk.chat.completions.create(model="gpt-4o", messages=said("[tokens=2]"), n=3)
    assert [choice.message.content for choice in several.choices] == [tokens(2)] * 3


def test_a_stream(sdk: openai.OpenAI) -> None:
    options: Any = {"include_usage": True}
    stream = sdk.chat.completions.create(
        model="fake", messages=said("[tokens=300]"), stream=True, stream_options=options
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == tokens(300)
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 300


def test_the_stream_helper(sdk: openai.OpenAI) -> None:
    with sdk.chat.completions.stream(model="fake", messages=said("[tokens=9]")) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert kinds.count("content.delta") >= 9
    assert kinds[-1] == "content.done"
    assert final.choices[0].message.content == tokens(9)


def test_parse(sdk: openai.OpenAI) -> None:
    got = sdk.chat.completions.parse(model="fake", messages=said('[text={"answer":42}]'), response_format=Verdict)
    assert got.choices[0].message.parsed == Verdict(answer=42)


def test_tools_whole_and_streamed(sdk: openai.OpenAI) -> None:
    asked = said("[tool=look_up calls=2]")
    [choice] = sdk.chat.completions.create(model="fake", messages=asked, tools=STRICT).choices
    assert choice.finish_reason == "tool_calls"
    calls = choice.message.tool_calls or []
    assert [call.type for call in calls] == ["function"] * 2
    assert [call.function.arguments for call in calls if call.type == "function"] == ['{"number": 0}', '{"number": 1}']
    with sdk.chat.completions.stream(model="fake", messages=asked, tools=STRICT) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
    assert [event.parsed_arguments for event in done] == [{"number": 0}, {"number": 1}]
    outputs = [{"role": "tool", "tool_call_id": call.id, "content": "42"} for call in calls]
    message: Any = choice.message  # as clients send it back: with all of its fields
    again: Any = [*asked, message, *outputs]
    [after] = sdk.chat.completions.create(model="fake", messages=again, tools=STRICT).choices
    assert after.message.content == tokens(10)


def test_stored_chats(sdk: openai.OpenAI) -> None:
    mark = f"stored-{unique()}"
    made = [
        sdk.chat.completions.create(
            model="fake", messages=said(f"[tokens={n}]"), store=True, metadata={"mark": mark}, stream=False
        )
        for n in (1, 2, 3)
    ]
    found = list(sdk.chat.completions.list(metadata={"mark": mark}, limit=2))
    assert [one.id for one in found] == [one.id for one in made]
    assert sdk.chat.completions.retrieve(made[0].id).choices[0].message.content == tokens(1)
    with openai.OpenAI(base_url=sdk.base_url, api_key=sdk.api_key) as loose:  # it says that all are the assistant's
        [message] = loose.chat.completions.messages.list(made[1].id)
    assert (message.role, message.content) == ("user", "[tokens=2]")
    changed: Any = sdk.chat.completions.update(made[1].id, metadata={"mark": "other"})
    assert changed.metadata == {"mark": "other"}
    assert sdk.chat.completions.delete(made[2].id).deleted
    assert [one.id for one in sdk.chat.completions.list(metadata={"mark": mark})] == [made[0].id]


def test_models(sdk: openai.OpenAI) -> None:
    names = [model.id for model in sdk.models.list()]
    assert "fake" in names
    assert sdk.models.retrieve("gpt-4o-mini").id == "gpt-4o-mini"
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("no/such/model")
    with pytest.raises(openai.PermissionDeniedError):
        sdk.models.delete("fake")


def test_what_no_model_here_can(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="No model of this server can judge texts"):
        sdk.moderations.create(input="Hello")
    with pytest.raises(openai.BadRequestError):
        sdk.embeddings.create(model="fake", input="Hello")
    with pytest.raises(openai.NotFoundError):
        sdk.chat.completions.create(model="no-such-model", messages=said("Hello"))


def test_failures_have_their_class(sdk: openai.OpenAI) -> None:
    for status, kind in ((400, openai.BadRequestError), (429, openai.RateLimitError)):
        with pytest.raises(kind):
            sdk.chat.completions.create(model="fake", messages=said(f"[error={status}]"))
    with pytest.raises(openai.APIError, match="closed the connection"):
        list(sdk.chat.completions.create(model="fake", messages=said("[drop=3]"), stream=True))


def test_leaving_a_stream_frees_the_engine(sdk: openai.OpenAI, upstream: Upstream) -> None:
    key = f"left-{unique()}"
    stream = sdk.chat.completions.create(model="fake", messages=said(f"[tokens=9 hang=5 key={key}]"), stream=True)
    next(iter(stream))
    stream.close()
    eventually(lambda: [one["outcome"] for one in upstream.stats(key)["requests"]] == ["aborted"])


async def test_without_blocking(async_sdk: openai.AsyncOpenAI) -> None:
    async with async_sdk.chat.completions.stream(model="fake", messages=said("[tokens=5]")) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == tokens(5)


@versions
def test_openai_node_chats(server: Stack, version: str) -> None:
    text = f"[tokens=5] {unique()}"
    told = node(server, version, "chat", text)
    assert values(told, "whole") == values(told, "streamed") == [tokens(5)]
    assert "fake" in values(told, "model")
    if version != "4":
        assert values(told, "kept") == values(told, "said") == values(told, "deleted") == [True]


@versions
def test_openai_node_runs_tools(server: Stack, version: str) -> None:
    told = node(server, version, "chatTools", "[tool=look_up]")
    assert values(told, "called") == ["look_up"]
    assert values(told, "final") == [tokens(10)]
