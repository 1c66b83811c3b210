"""Real answers of models, chats, texts continued, embedded and judged, and every chunk, are what our document says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from inference.api.rendering import Choice, Style, heading, render_chat
from inference.chat import Finished, TextDelta, ToolCallDelta, Usage
from inference.models import RegisteredModel, StoredCompletion
from sovereign.accounts import services
from sovereign.accounts.models import Project
from sovereign.accounts.scopes import ALL_SCOPES
from sovereign.core.ids import new_id
from tests.contract.test_answers import FUNCTION, SCHEMA
from tests.contract.validation import Contract

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registered")]

HELLO = [{"role": "user", "content": "Hello?"}]
COMPLETION = "/chat/completions/{completion_id}"
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
MESSAGES = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "See"}, PICTURE], "name": "Ada"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "x"},
    {"role": "assistant", "function_call": CALL["function"]},
    {"role": "function", "name": "weather", "content": None},
    {"role": "user", "content": "And?"},
]
CHATS: list[dict[str, Any]] = [
    {},
    {"n": 2, "logprobs": True, "top_logprobs": 2, "stop": "x", "seed": 1},
    {"tools": [FUNCTION], "tool_choice": "auto", "parallel_tool_calls": False},
    {"functions": [{"name": "weather"}], "function_call": {"name": "weather"}},
    {"messages": MESSAGES, "response_format": SCHEMA | {"json_schema": {"name": "a", "schema": {}}}},
]


@pytest.fixture
def contract(document: Any) -> Contract:
    return Contract(document)


@pytest.fixture
def ask(api: APIClient, contract: Contract) -> Callable[..., Any]:
    """``ask(method, template, body, **ids)``: the checked body of the answer."""

    def make(method: str, template: str, body: Any = None, *, status: int = 200, **ids: str) -> Any:
        sent = json.dumps(body) if body is not None else ""
        answer = api.generic(method, f"/v1{template.format(**ids)}", sent, content_type="application/json")
        assert answer.status_code == status, answer.content
        return contract.check(method, template, answer)

    return make


def chunks_of(api: APIClient, path: str, body: dict[str, Any]) -> list[Any]:
    answer = api.post(f"/v1{path}", {**body, "stream": True}, format="json")
    assert answer["Content-Type"].startswith("text/event-stream"), answer.content
    *frames, done = answer.content.decode().removesuffix("\n\n").split("\n\n")
    assert done == "data: [DONE]"
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


def stored(project: Project) -> StoredCompletion:
    choice = Choice()
    for delta in (TextDelta("Hi"), ToolCallDelta(0, "call_1", "weather", "{}"), Finished("stop", Usage(1, 1))):
        choice.add(delta)
    answer = render_chat(heading("chatcmpl-", "tiny"), [choice], Style())
    request = {"tools": [FUNCTION], "tool_choice": "auto", "response_format": SCHEMA, "temperature": 0.5, "user": "u"}
    return StoredCompletion.objects.create(
        id=new_id("chatcmpl-"), project=project, model="tiny", messages=MESSAGES, request=request, answer=answer
    )


def look_at_model_calls(ask: Callable[..., Any], project: Project) -> None:
    """Every operation that has to do with models."""
    for body in CHATS:
        ask("POST", "/chat/completions", {"model": "tiny", "messages": HELLO, **body})
    ask("POST", "/chat/completions", {"model": "nobody", "messages": HELLO}, status=404)
    ask("POST", "/chat/completions", {"model": "tiny", "messages": []}, status=400)
    ids = {"completion_id": stored(project).id}
    stored(project)
    assert len(ask("GET", "/chat/completions")["data"]) == 2
    ask("GET", COMPLETION, **ids)
    assert len(ask("GET", f"{COMPLETION}/messages", **ids)["data"]) == len(MESSAGES)
    ask("POST", COMPLETION, {"metadata": {"a": "b"}}, **ids)
    ask("DELETE", COMPLETION, **ids)
    ask("GET", COMPLETION, status=404, **ids)
    for body in ({"prompt": "x"}, {"prompt": [[1], [2]], "n": 2, "logprobs": 1}):
        ask("POST", "/completions", {"model": "tiny", **body})
    for encoding in ("float", "base64"):
        ask("POST", "/embeddings", {"model": "tiny", "input": ["a", "b"], "encoding_format": encoding})
    ask("POST", "/moderations", {"model": "tiny", "input": "x"})
    ask("POST", "/moderations", {"input": "x"}, status=404)
    ask("GET", "/models")
    ask("GET", "/models/{model}", model="tiny")
    ask("GET", "/models/{model}", status=404, model="nobody/here")


def look_at_a_deletion(contract: Contract, client_of: Callable[[str], APIClient], project: Project) -> None:
    """Of a model, which needs a key of the house's."""
    RegisteredModel.objects.create(name="old", created_at="2026-01-01T00:00:00Z")
    _, secret = services.create_api_key(project=project, name="house", scopes=sorted(ALL_SCOPES))
    contract.check("DELETE", "/models/{model}", client_of(secret).delete("/v1/models/old"))


def test_every_operation_of_models(
    ask: Callable[..., Any], contract: Contract, client_of: Callable[[str], APIClient], project: Project
) -> None:
    look_at_model_calls(ask, project)
    look_at_a_deletion(contract, client_of, project)


def test_every_chunk(api: APIClient, contract: Contract) -> None:
    usage = {"stream_options": {"include_usage": True}}
    for body in CHATS:
        for options in ({}, usage):
            for chunk in chunks_of(api, "/chat/completions", {"model": "tiny", "messages": HELLO, **body, **options}):
                contract.validate(chunk, {"$ref": "#/components/schemas/ChatChunkObject"})
    for options in ({"logprobs": 1}, usage):
        for chunk in chunks_of(api, "/completions", {"model": "tiny", "prompt": "x", **options}):
            contract.validate(chunk, {"$ref": "#/components/schemas/CompletionObject"})
