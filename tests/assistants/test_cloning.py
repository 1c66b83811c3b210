"""Assistants that are made from others: what a clone has, and how they descend from each other."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from rest_framework.test import APIClient

from assistants import services
from assistants.models import Assistant, PromptLink
from assistants.prompts import services as prompts
from assistants.prompts.models import Prompt
from assistants.services import versions
from sovereign.accounts.models import AuditEvent
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from tests.assistants.calling import Caller, caller, person, tiny

__all__ = ["caller", "person", "tiny"]

pytestmark = pytest.mark.django_db

FUNCTION = {"type": "function", "function": {"name": "f", "description": None, "parameters": {}, "strict": False}}
FIELDS: dict[str, Any] = {
    "name": "Guide",
    "description": "Knows the way.",
    "instructions": "Be brief.",
    "tools": [FUNCTION],
    "temperature": 0.5,
    "top_p": 0.9,
    "reasoning_effort": "low",
    "response_format": {"type": "json_object"},
    "metadata": {"team": "blue"},
    "type": "support",
    "tags": ["a", "b"],
    "suggestions": ["Where?"],
    "personality": "Dry.",
    "context_memory_size": 7,
    "capabilities": ["tools"],
    "default_max_tokens": 300,
    "retrieval": "before",
    "server_tools": [{"type": "calculator"}],
}
#: what a clone has of its own
OWN = {"id", "name", "status", "created_at", "updated_at", "parent_id", "based_on", "created_by_key", "created_by_user"}
OWN |= {"parent_version_id", "offered_over_mcp"}


def test_a_clone_is_the_same_but_for_what_is_its_own(caller: Caller) -> None:
    source = caller.made(**FIELDS, status="active", offered_over_mcp=True)
    clone = caller.post(f"{source['id']}/clone").json()
    assert {name: clone[name] for name in clone if name not in OWN} == {
        name: source[name] for name in source if name not in OWN
    }
    assert (clone["name"], clone["status"], clone["parent_id"]) == ("Guide (copy)", "draft", source["id"])
    assert (clone["parent_version_id"], clone["based_on"], clone["offered_over_mcp"]) == (None, None, False)
    recorded = AuditEvent.objects.get(action="assistant.cloned")
    assert (recorded.object_id, recorded.details) == (source["id"], {"clone": clone["id"], "version": None})
    caller.put(clone["id"], {"instructions": "Be long."})
    assert caller.get(source["id"])["instructions"] == "Be brief."


def test_a_clone_may_be_otherwise(caller: Caller, api: APIClient) -> None:
    source = caller.made(**FIELDS)
    changes = {"name": "B", "description": None, "tags": ["c"], "type": "creative", "visibility": "private",
               "metadata": {"x": "y"}}  # fmt: skip
    clone = caller.post(f"{source['id']}/clone", changes).json()
    assert {name: clone[name] for name in changes} == changes
    assert clone["instructions"] == "Be brief."


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"status": "active"}, 400, "status"),
        ({"name": 5}, 400, "name"),
        ({"model": "no-such"}, 404, "model"),
        ({"version": "1"}, 404, None),
        ({"version": True}, 400, "version"),
        ({"version": 1}, 404, None),
        ({"version": 0}, 400, "version"),
        ({"version": "asstv_x"}, 404, None),
        ({"tags": [" "]}, 400, "tags"),
        ({"tool_resources": {"file_search": {"vector_store_ids": ["vs_x"]}}}, 404, None),
    ],
)
def test_what_cannot_be_cloned_leaves_nothing(caller: Caller, body: Any, status: int, param: str | None) -> None:
    source = caller.made()
    answer = caller.post(f"{source['id']}/clone", body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    assert Assistant.objects.count() == 1


def test_the_longest_name_has_room_for_being_a_copy(caller: Caller) -> None:
    source = caller.made(name="x" * 256)
    name = caller.post(f"{source['id']}/clone").json()["name"]
    assert (len(name), name[-7:]) == (256, " (copy)")
    nameless = caller.post(f"{caller.made()['id']}/clone").json()
    assert nameless["name"] is None


def _prompt(principal: Principal, name: str, text: str) -> Prompt:
    return prompts.create_prompt(principal=principal, name=name, template=text)


def test_the_prompts_come_along(person: Any) -> None:
    analyst = person("analyst")
    source = analyst.made(name="Guide")
    project_id = analyst.principal.project_id
    first, second = (_prompt(analyst.principal, name, f"I am {name}.") for name in ("one", "two"))
    row = {"project_id": project_id, "assistant_id": source["id"]}
    PromptLink.objects.create(**row, prompt=first, kind="primary", priority=5, conditions={"language": ["de"]})
    PromptLink.objects.create(**row, prompt=second, kind="secondary", label="production", is_enabled=False)
    clone = analyst.post(f"{source['id']}/clone").json()
    fields = ("prompt_id", "version_id", "label", "kind", "priority", "weight", "conditions", "is_enabled")
    links = [PromptLink.objects.of(one["id"]).order_by("id") for one in (source, clone)]
    assert list(links[0].values(*fields)) == list(links[1].values(*fields))
    assert links[1].count() == 2
    assert set(links[0].values_list("id", flat=True)).isdisjoint(links[1].values_list("id", flat=True))


def test_a_version_is_cloned_as_it_was(person: Any) -> None:
    analyst = person("analyst")
    source = analyst.made(name="Guide", instructions="First.", temperature=0.5)
    prompt = _prompt(analyst.principal, "one", "I am one.")
    link = PromptLink.objects.create(
        project_id=analyst.principal.project_id, assistant_id=source["id"], prompt=prompt, kind="secondary"
    )
    version = versions.publish(principal=analyst.principal, assistant_id=source["id"])
    link.delete()
    analyst.put(source["id"], {"instructions": "Second.", "temperature": 1.5})
    for named in ("1", version.id):
        clone = analyst.post(f"{source['id']}/clone", version=named).json()
        assert (clone["instructions"], clone["temperature"]) == ("First.", 0.5)
        assert (clone["parent_id"], clone["parent_version_id"]) == (source["id"], version.id)
        assert PromptLink.objects.of(clone["id"]).get().version_id == version.content["prompts"][0]["version_id"]
    draft = analyst.post(f"{source['id']}/clone").json()
    assert (draft["instructions"], draft["parent_version_id"]) == ("Second.", None)
    assert not PromptLink.objects.of(draft["id"]).exists()


def test_a_version_whose_prompts_are_gone_is_not_cloned(person: Any) -> None:
    analyst = person("analyst")
    source = analyst.made(name="Guide")
    prompt = _prompt(analyst.principal, "one", "I am one.")
    link = PromptLink.objects.create(
        project_id=analyst.principal.project_id, assistant_id=source["id"], prompt=prompt, kind="primary"
    )
    versions.publish(principal=analyst.principal, assistant_id=source["id"])
    link.delete()
    prompt.delete()
    answer = analyst.post(f"{source['id']}/clone", version="1")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "prompt_missing", "version")
    assert "one" in error["message"]
    assert Assistant.objects.count() == 1


# ------------------------------------------------------------------------------------------------ lineage


def names(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["name"] for entry in entries]


def test_a_lineage_goes_up_and_down(caller: Caller) -> None:
    root = caller.made(name="Root")
    left, right = (caller.post(f"{root['id']}/clone", name=name).json() for name in ("Left", "Right"))
    leaf = caller.post(f"{left['id']}/clone", name="Leaf").json()
    whole = caller.get(f"{root['id']}/lineage")
    assert (whole["object"], whole["assistant"]["name"], whole["has_more"]) == ("assistant.lineage", "Root", False)
    assert (names(whole["ancestors"]), names(whole["descendants"])) == ([], ["Left", "Right", "Leaf"])
    seen = caller.get(f"{leaf['id']}/lineage")
    assert (names(seen["ancestors"]), seen["descendants"]) == (["Left", "Root"], [])
    assert seen["ancestors"][0] == {
        "id": left["id"], "object": "assistant.relative", "name": "Left", "status": "draft", "parent_id": root["id"],
        "parent_version_id": None, "created_at": left["created_at"],
    }  # fmt: skip
    assert caller.listed(parent_id=root["id"]) == {"Left", "Right"}
    assert names(caller.get(f"{right['id']}/lineage")["ancestors"]) == ["Root"]


def test_a_parent_that_was_deleted_ends_the_lineage(caller: Caller) -> None:
    root = caller.made(name="Root")
    child = caller.post(f"{root['id']}/clone", name="Child").json()
    leaf = caller.post(f"{child['id']}/clone", name="Leaf").json()
    caller.delete(child["id"])
    assert caller.get(f"{leaf['id']}/lineage")["ancestors"] == []
    assert caller.get(f"{root['id']}/lineage")["descendants"] == []
    assert caller.get(leaf["id"])["parent_id"] == child["id"]


def test_a_parent_may_be_given_and_taken_away(caller: Caller) -> None:
    one, other = caller.made(name="One"), caller.made(name="Other")
    assert caller.put(one["id"], {"parent_id": other["id"]}).json()["parent_id"] == other["id"]
    assert caller.put(one["id"], {"parent_id": None}).json()["parent_id"] is None
    assert caller.made(parent_id=one["id"])["parent_id"] == one["id"]


def test_a_circle_is_refused(caller: Caller) -> None:
    root = caller.made(name="Root")
    child = caller.post(f"{root['id']}/clone").json()
    leaf = caller.post(f"{child['id']}/clone").json()
    for descendant in (root, child, leaf):
        answer = caller.put(root["id"], {"parent_id": descendant["id"], "name": "Changed"})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (400, "circular_lineage", "parent_id")
    assert caller.get(root["id"])["name"] == "Root"
    assert caller.get(root["id"])["parent_id"] is None
    assert AuditEvent.objects.filter(action="assistant.update_refused", object_id=root["id"]).count() == 3


def test_a_parent_has_to_be_one_that_is_seen(caller: Caller, person: Any, outsider: APIClient) -> None:
    made = caller.made()
    foreign = outsider.post("/api/v1/assistants", {"model": "tiny"}, format="json").json()["id"]
    hidden = person("analyst").made(visibility="private")["id"]
    for parent in (foreign, hidden, "asst_unknown"):
        for answer in (caller.put(made["id"], {"parent_id": parent}), caller.post("", model="tiny", parent_id=parent)):
            assert (answer.status_code, answer.json()["error"]["param"]) == (404, "parent_id")
    assert caller.get(made["id"])["parent_id"] is None


@pytest.mark.django_db(transaction=True)
def test_two_parents_at_once_close_no_circle(caller: Caller) -> None:
    """Each of them alone would be right."""
    one, other = caller.made(name="One"), caller.made(name="Other")
    pairs = [(one["id"], other["id"]), (other["id"], one["id"])]
    together = threading.Barrier(len(pairs))

    def descend(child: str, parent: str) -> str:
        together.wait()
        try:
            services.change_assistant(principal=caller.principal, assistant_id=child, parent_id=parent)
        except ApiError as error:
            return str(error.code)
        finally:
            connections.close_all()
        return ""

    with ThreadPoolExecutor(len(pairs)) as pool:
        codes = list(pool.map(lambda pair: descend(*pair), pairs))
    assert sorted(codes) == ["", "circular_lineage"]
    assert Assistant.objects.filter(parent_id__isnull=False).count() == 1
