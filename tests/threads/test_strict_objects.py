"""Every object of assistants, threads and messages as the official SDK checks it when it is told to be strict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from openai._models import validate_type
from openai.types.beta import Assistant, AssistantDeleted, Thread, ThreadDeleted
from openai.types.beta.threads import Message, MessageDeleted
from rest_framework.test import APIClient

from inference.models import RegisteredModel
from sovereign.accounts import credentials
from threads import services
from threads.api.objects import INCOMPLETE_REASONS

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:deprecated|The Assistants API is deprecated:DeprecationWarning"),
]

SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}}
ASSISTANTS: list[dict[str, Any]] = [
    {},
    {"name": "n", "description": "d", "instructions": "i", "metadata": {"k": "v"}},
    {"temperature": 0, "top_p": 1, "reasoning_effort": "high"},
    {"response_format": "auto"},
    {"response_format": {"type": "text"}},
    {"response_format": {"type": "json_object"}},
    {"response_format": SCHEMA},
    {"tools": [{"type": "code_interpreter"}, {"type": "file_search"}, {"type": "function", "function": {"name": "f"}}]},
    {"tools": [{"type": "file_search", "file_search": {"max_num_results": 3, "ranking_options": {"ranker": "auto"}}}]},
    {"tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {}, "strict": True}}]},
]
CONTENTS: list[Any] = [
    "text",
    [{"type": "text", "text": "x"}],
    [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}, {"type": "text", "text": "x"}],
]
WRITTEN: list[list[dict[str, Any]]] = [
    [],
    [{"type": "refusal", "refusal": "No."}],
    [{"type": "image_file", "image_file": {"file_id": "file-x", "detail": "auto"}}],
    [
        {
            "type": "text",
            "text": {
                "value": "【4:0†a.txt】 and sandbox:/mnt/data/x.csv",
                "annotations": [
                    {
                        "type": "file_citation",
                        "text": "【4:0†a.txt】",
                        "start_index": 0,
                        "end_index": 11,
                        "file_citation": {"file_id": "file-x"},
                    },
                    {
                        "type": "file_path",
                        "text": "sandbox:/mnt/data/x.csv",
                        "start_index": 16,
                        "end_index": 39,
                        "file_path": {"file_id": "file-y"},
                    },
                ],
            },
        }
    ],
]

Post = Callable[..., dict[str, Any]]


@pytest.fixture
def post(api: APIClient) -> Post:
    def send(path: str, **body: Any) -> dict[str, Any]:
        answer = api.post(f"/v1/{path}", body, format="json")
        assert answer.status_code == 200, answer.content
        made: dict[str, Any] = answer.json()
        return made

    return send


def strict(kind: Any, value: Any) -> None:
    """Raises what ``_strict_response_validation`` raises, and whatever the SDK does not know by name is noticed."""
    validated = validate_type(type_=kind, value=value)
    assert isinstance(validated, kind)


def strict_list(kind: Any, page: dict[str, Any]) -> None:
    assert (page["object"], isinstance(page["has_more"], bool)) == ("list", True)
    assert page["data"]
    for item in page["data"]:
        strict(kind, item)


@pytest.mark.parametrize("fields", ASSISTANTS)
def test_assistants(post: Post, api: APIClient, fields: dict[str, Any]) -> None:
    RegisteredModel.objects.create(name="tiny", created_at=timezone.now())
    made = post("assistants", model="tiny", **fields)
    strict(Assistant, made)
    strict(Assistant, post(f"assistants/{made['id']}", name=None))
    strict(Assistant, api.get(f"/v1/assistants/{made['id']}").json())
    strict_list(Assistant, api.get("/v1/assistants").json())
    strict(AssistantDeleted, api.delete(f"/v1/assistants/{made['id']}").json())


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_threads_and_what_clients_say(post: Post, api: APIClient, content: Any, role: str) -> None:
    message = {"role": role, "content": content, "metadata": {"k": "v"}}
    thread = post("threads", messages=[message], metadata={"k": "v"})
    strict(Thread, thread)
    path = f"threads/{thread['id']}"
    strict(Thread, post(path, metadata=None, tool_resources={"code_interpreter": {"file_ids": []}}))
    strict(Thread, api.get(f"/v1/{path}").json())
    said = post(f"{path}/messages", **message)
    strict(Message, said)
    strict(Message, post(f"{path}/messages/{said['id']}", metadata={}))
    strict(Message, api.get(f"/v1/{path}/messages/{said['id']}").json())
    strict_list(Message, api.get(f"/v1/{path}/messages").json())
    strict(MessageDeleted, api.delete(f"/v1/{path}/messages/{said['id']}").json())
    strict(ThreadDeleted, api.delete(f"/v1/{path}").json())


@pytest.mark.parametrize("content", WRITTEN)
@pytest.mark.parametrize("reason", [None, *INCOMPLETE_REASONS])
def test_what_assistants_say(api: APIClient, api_key: str, content: Any, reason: str | None) -> None:
    thread = services.create_thread(principal=credentials.principal_of_key(api_key))
    services.open_message(thread, message_id="msg_x", run_id="run_x", assistant_id="asst_x")
    path = f"/v1/threads/{thread.id}/messages"
    strict(Message, api.get(f"{path}/msg_x").json())
    services.close_message("msg_x", content=content, incomplete_reason=reason)
    strict(Message, api.get(f"{path}/msg_x").json())
    strict_list(Message, api.get(f"{path}?run_id=run_x").json())


def test_the_check_finds_what_is_wrong(post: Post) -> None:
    thread = post("threads")
    for name in ("id", "object", "created_at"):
        with pytest.raises(ValueError, match="validation error"):
            strict(Thread, {**thread, name: None})
