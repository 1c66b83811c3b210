"""``/api/v1/assistants``: assistants with what the contract does not know of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants import services
from assistants.api.lifecycle.objects import WholeAssistantObject
from assistants.models import Assistant
from sovereign.accounts.models import AuditEvent
from sovereign.core.errors import ApiError
from tests.assistants.calling import ROOT, Caller, caller, tiny

__all__ = ["caller", "tiny"]

pytestmark = pytest.mark.django_db

OURS = {
    "type": "analytical",
    "status": "active",
    "visibility": "private",
    "tags": ["energy", "2026"],
    "suggestions": ["What is new?", "Compare the two."],
    "personality": "Dry.",
    "context_memory_size": 12,
    "capabilities": ["tools"],
    "default_max_tokens": 512,
    "retrieval": "before",
    "server_tools": [{"type": "calculator"}],
    "offered_over_mcp": True,
}
DEFAULTS = {
    "type": "general",
    "status": "draft",
    "visibility": "project",
    "tags": [],
    "suggestions": [],
    "personality": "",
    "context_memory_size": None,
    "capabilities": ["tools", "parallel_tool_calls", "vision"],
    "default_max_tokens": None,
    "retrieval": "auto",
    "server_tools": [],
    "functions": [],
    "offered_over_mcp": False,
    "parent_id": None,
    "parent_version_id": None,
    "based_on": None,
}


def test_only_the_model_is_required(caller: Caller, api: APIClient) -> None:
    body = caller.made()
    assistant = Assistant.objects.get()
    assert list(body) == list(WholeAssistantObject().fields)
    assert {name: body[name] for name in DEFAULTS} == DEFAULTS
    assert body["created_by_key"] == assistant.created_by_key is not None
    assert body["updated_at"] == int(assistant.updated_at.timestamp())
    assert caller.get(assistant.id) == body
    contract = api.get(f"/v1/assistants/{assistant.id}").json()
    assert {name: body[name] for name in contract} == contract
    assert not set(DEFAULTS) & set(contract)


def test_everything_given_is_kept_and_null_resets_it(caller: Caller) -> None:
    body = caller.made(name="A", **OURS)
    assert {name: body[name] for name in OURS} == OURS
    resettable = [name for name in OURS if name not in ("type", "status", "visibility")]
    reset = caller.put(body["id"], dict.fromkeys(resettable)).json()
    assert {name: reset[name] for name in resettable} == {name: DEFAULTS[name] for name in resettable}
    assert {name: reset[name] for name in ("name", "type", "status", "visibility")} == {
        "name": "A", "type": "analytical", "status": "active", "visibility": "private",
    }  # fmt: skip


def test_a_put_changes_what_is_sent_and_nothing_else(caller: Caller) -> None:
    before = caller.made(name="A", tags=["x"], instructions="Be brief.")
    after = caller.put(before["id"], {"tags": ["y"]}).json()
    assert {**after, "updated_at": 0} == {**before, "tags": ["y"], "updated_at": 0}
    assert caller.put(before["id"], {}).json()["tags"] == ["y"]


def test_what_v1_writes_leaves_our_own_fields_alone(caller: Caller, api: APIClient) -> None:
    body = caller.made(**OURS)
    answer = api.post(f"/v1/assistants/{body['id']}", {"instructions": "New."}, format="json")
    assert answer.status_code == 200
    after = caller.get(body["id"])
    assert {name: after[name] for name in OURS} == OURS
    assert after["instructions"] == "New."


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("type", "wise", "type"),
        ("type", None, "type"),
        ("status", "asleep", "status"),
        ("status", None, "status"),
        ("visibility", "secret", "visibility"),
        ("tags", "x", "tags"),
        ("tags", [5], "tags[0]"),
        ("tags", [""], "tags[0]"),
        ("tags", ["  "], "tags"),
        ("tags", ["a\nb"], "tags"),
        ("tags", ["x" * 65], "tags[0]"),
        ("tags", [str(number) for number in range(33)], "tags"),
        ("suggestions", "x", "suggestions"),
        ("suggestions", ["x" * 201], "suggestions[0]"),
        ("suggestions", ["  "], "suggestions"),
        ("suggestions", ["a\u202eb"], "suggestions"),
        ("suggestions", [str(number) for number in range(7)], "suggestions"),
        ("personality", "x" * 4_001, "personality"),
        ("personality", 5, "personality"),
        ("context_memory_size", 0, "context_memory_size"),
        ("context_memory_size", 10_001, "context_memory_size"),
        ("context_memory_size", 1.5, "context_memory_size"),
        ("capabilities", ["flight"], "capabilities[0]"),
        ("capabilities", ["tools"] * 4, "capabilities"),
        ("default_max_tokens", 255, "default_max_tokens"),
        ("default_max_tokens", True, "default_max_tokens"),
        ("server_tools", [5], "server_tools[0]"),
        ("server_tools", [{"type": "rocket"}], "server_tools[0].type"),
        ("functions", ["func_x"], None),
        ("parent_id", 5, "parent_id"),
        ("parent_id", "asst_x", "parent_id"),
        ("mood", "good", "mood"),
        ("template", "x", "template"),
    ],
)
def test_what_is_malformed_is_refused_and_changes_nothing(
    caller: Caller, field: str, value: Any, param: str | None
) -> None:
    before = caller.made(name="A")
    answer = caller.put(before["id"], {"name": "B", field: value})
    assert answer.status_code in (400, 404), answer.content
    assert answer.json()["error"]["param"] == param
    assert caller.get(before["id"]) == before


def test_suggestions_are_lines_and_kept_once(caller: Caller) -> None:
    made = caller.made(suggestions=[" What\n is  new? ", "Help me.", "What is new?"])
    assert made["suggestions"] == ["What is new?", "Help me."]


def test_an_assistant_from_before_there_were_suggestions_has_none(caller: Caller) -> None:
    made = caller.made(suggestions=["What is new?"])
    Assistant.objects.update(suggestions=None)
    assert caller.get(made["id"])["suggestions"] == []


def test_tags_are_trimmed_and_kept_once_in_their_order(caller: Caller) -> None:
    assert caller.made(tags=[" b ", "a", "b", "A"])["tags"] == ["b", "a", "A"]


def test_capabilities_are_kept_once_and_may_be_none(caller: Caller) -> None:
    assert caller.made(capabilities=["vision", "tools", "vision"])["capabilities"] == ["tools", "vision"]
    assert caller.made(capabilities=[])["capabilities"] == []


def test_the_service_checks_what_no_serializer_has_seen(caller: Caller) -> None:
    """Commands and the admin come through here, too."""
    body = caller.made()
    for field, value in (("tags", "x"), ("tags", [1]), ("capabilities", "tools"), ("capabilities", [[]]),
                         ("type", "x"), ("context_memory_size", "5"), ("personality", 5)):  # fmt: skip
        with pytest.raises(ApiError) as refusal:
            services.update_assistant(principal=caller.principal, assistant_id=body["id"], **{field: value})
        assert refusal.value.param == field


@pytest.mark.parametrize("name", ["a\x00b", "half \ud83d of one"])
def test_a_refusal_that_names_what_no_database_takes_is_recorded(caller: Caller, name: str) -> None:
    body = json.dumps({"model": "tiny", name: 1})
    refused = caller.client.generic("POST", ROOT, body, content_type="application/json")
    assert refused.status_code == 400
    assert AuditEvent.objects.filter(action="assistant.create_refused").count() == 1
