"""What ``/v1/chat/completions`` refuses, and in which words: nothing of it reaches an engine."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from sovereign.accounts import services as accounts
from sovereign.accounts.models import Project
from sovereign.accounts.services.quotas import Limits
from tests.inference.asking import Asker
from tests.inference.conftest import Upstream, in_database
from tests.inference.helpers import ready_engine

pytestmark = pytest.mark.django_db(transaction=True)

PICTURE = "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()
PARAMETERS = "tools[0].function.parameters"
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
async def asker(upstream: Upstream, api_key: str) -> Asker:
    await in_database(ready_engine, upstream.url, "tiny")
    return Asker(api_key)


USER = {"role": "user", "content": "Hi"}
TOOL = {"role": "tool", "tool_call_id": "call_1", "content": "x"}
CALLS = {
    "role": "assistant",
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
STRICT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def strict(**changes: Any) -> list[dict[str, Any]]:
    schema = {name: value for name, value in {**STRICT, **changes}.items() if value is not None}
    return [{"type": "function", "function": {"name": "f", "strict": True, "parameters": schema}}]


def form(**schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": schema}}


NOT_ALL = "'required' is required to be supplied and to be an array including every key in properties."
NOT_FALSE = "'additionalProperties' is required to be supplied and to be false."
REFUSED: list[tuple[dict[str, Any], str | None, str]] = [
    ({"messages": []}, "messages", "array too short"),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "Missing required parameter"),
    ({"messages": [{"role": "god", "content": ""}]}, "messages[0].role", "Invalid value: 'god'."),
    ({"messages": [{"role": "assistant"}]}, "messages[0].content", "expected a string, got null"),
    ({"messages": [TOOL]}, "messages.[0].role", "must be a response to a preceeding message with 'tool_calls'"),
    ({"messages": [USER, CALLS, USER]}, "messages.[1].role", "did not have response messages: call_1"),
    ({"messages": [USER, CALLS]}, "messages.[1].role", "did not have response messages: call_1"),
    (
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.org/a.png"}}]}
            ]
        },
        "messages[0].content[0].image_url.url",
        "this server fetches no addresses",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE + "!"}}]}]},
        "messages[0].content[0].image_url.url",
        "base64 cannot be decoded",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
        "messages[0].content[0].type",
        "Audio are not taken here",
    ),
    ({"modalities": ["text", "audio"]}, "modalities[1]", "Supported values are: 'text'."),
    ({"audio": {"voice": "alloy", "format": "mp3"}}, "audio", "not supported by this server"),
    ({"web_search_options": {}}, "web_search_options", "not supported by this server"),
    ({"colour": "red"}, "colour", "Unknown parameter: 'colour'."),
    ({"n": 0}, "n", "integer below minimum value"),
    ({"temperature": 2.1}, "temperature", "decimal above maximum value"),
    ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "array too long"),
    ({"logit_bias": {"5": 101}}, "logit_bias.5", "decimal above maximum value"),
    ({"logit_bias": {"x": 1}}, "logit_bias", "ids of tokens"),
    ({"top_logprobs": 2}, "top_logprobs", "only allowed when 'logprobs' is enabled"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "only allowed when 'stream' is enabled"),
    ({"metadata": {"a": "b"}}, "metadata", "only allowed when 'store' is enabled"),
    ({"tool_choice": "auto"}, "tool_choice", "only allowed when 'tools' are specified"),
    ({"parallel_tool_calls": True}, "parallel_tool_calls", "only allowed when 'tools' are specified"),
    (
        {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "x"}}},
        "tool_choice",
        "'x' not found",
    ),
    ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type", "Invalid value: 'custom'"),
    ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens", "at the same time"),
    ({"response_format": {"type": "json_object"}}, "messages", "must contain the word 'json' in some form"),
    (
        {"response_format": form(type="object")},
        "response_format",
        f"Invalid schema for response_format 'n': In context=(), {NOT_FALSE}",
    ),
    (
        {"tools": strict(additionalProperties=None)},
        PARAMETERS,
        f"Invalid schema for function 'f': In context=(), {NOT_FALSE}",
    ),
    ({"tools": strict(required=[])}, PARAMETERS, f"In context=(), {NOT_ALL} Missing 'a'."),
    ({"tools": strict(required=["a", "b"])}, PARAMETERS, f"In context=(), {NOT_ALL} Extra required key 'b' supplied."),
    ({"tools": strict(properties=None)}, PARAMETERS, "In context=(), object schema missing properties."),
    (
        {"tools": strict(properties={"a": {"type": "array", "items": {"type": "object"}}})},
        PARAMETERS,
        f"In context=('properties', 'a', 'items'), {NOT_FALSE}",
    ),
    (
        {"tools": strict(properties={"a": {"anyOf": [{"type": "null"}, {"type": ["object", "null"]}]}})},
        PARAMETERS,
        f"In context=('properties', 'a', 'anyOf', '1'), {NOT_FALSE}",
    ),
    ({"tools": [{"type": "function", "function": {"name": "f", "strict": True}}]}, PARAMETERS, NOT_FALSE),
]


@pytest.mark.parametrize(
    ("body", "param", "words"), REFUSED, ids=[orjson.dumps(body).decode()[:60] for body, _, _ in REFUSED]
)
async def test_what_is_refused(asker: Asker, upstream: Upstream, body: dict[str, Any], param: str, words: str) -> None:
    got = await asker.chat(**body)
    assert got.status == 400, got.content
    assert got.error["param"] == param
    assert words in got.error["message"]
    assert got.error["type"] == "invalid_request_error"
    assert upstream.requests == []


async def test_what_is_strict_and_what_need_not_be(asker: Asker) -> None:
    loose = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    for body in ({"tools": strict()}, {"response_format": loose}, {"response_format": form(**STRICT)}):
        assert (await asker.chat(**body)).status == 200
    said = [{"role": "user", "content": [{"type": "text", "text": "As JSON."}]}]
    assert (await asker.chat(messages=said, response_format={"type": "json_object"})).status == 200


async def test_an_unknown_model_is_a_404(asker: Asker, upstream: Upstream) -> None:
    got = await asker.chat(model="nobody/here")
    assert (got.status, got.error["code"], got.error["param"]) == (404, "model_not_found", "model")
    assert upstream.requests == []


async def test_more_answers_than_calls_that_may_run_come_one_after_the_other(
    asker: Asker, upstream: Upstream, project: Project
) -> None:
    await in_database(accounts.set_project_limits, project=project, limits=Limits(concurrent_calls=1))
    got = await asker.chat(n=3)
    assert (got.status, len(upstream.requests)) == (200, 3)
    assert [choice["message"]["content"] for choice in got.body["choices"]] == ["Hello"] * 3
