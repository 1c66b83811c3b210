"""Templates: every one is an assistant as the API would take it, and gives one that can be run."""

from __future__ import annotations

import re
from typing import Any

import pytest

from assistants.api.lifecycle.serializers import WholeAssistantRequest
from assistants.catalog import entries
from assistants.kinds import AssistantType
from assistants.models import INSTRUCTIONS_LENGTH, Assistant
from assistants.templates import FOLDER, Template, templates
from inference.models import ModelAlias
from tests.assistants.calling import Caller, caller, person, tiny

__all__ = ["caller", "person", "tiny"]

EVERY = list(templates().values())


def test_there_is_one_for_every_type_and_the_two_that_were_asked_for() -> None:
    assert {template.type for template in EVERY} == set(AssistantType.values)
    assert {"market_analyst", "infrastructure_architect"} <= set(templates())
    assert len(EVERY) == len(list(FOLDER.glob("*.json"))) >= 8
    assert [template.name for template in EVERY] == sorted(template.name for template in EVERY)


@pytest.mark.parametrize("template", EVERY, ids=lambda template: template.id)
def test_its_fields_are_in_the_normal_form(template: Template) -> None:
    assert WholeAssistantRequest.checked(template.fields, partial=True) == template.fields
    assert not {"model", "status", "visibility", "prompts"} & set(template.fields)


@pytest.mark.parametrize("template", EVERY, ids=lambda template: template.id)
def test_it_says_something(template: Template) -> None:
    instructions = template.fields["instructions"]
    assert 1_000 < len(instructions) < INSTRUCTIONS_LENGTH
    assert template.fields["personality"]
    assert template.about
    assert template.fields["description"]
    assert template.fields["tags"]
    assert not re.search(r"[{}]{2}|TODO|lorem", instructions)
    mentioned = {"calculator": "alculat", "file_search": "file|document|material"}
    tools = [*template.fields.get("tools", []), *template.fields.get("server_tools", [])]
    for tool in tools:
        assert re.search(mentioned.get(tool["type"], ""), instructions), tool


@pytest.mark.django_db
def test_they_are_listed(caller: Caller) -> None:
    listed = caller.get("templates")
    assert [entry["id"] for entry in listed["data"]] == list(templates())
    assert (listed["first_id"], listed["has_more"]) == (EVERY[0].id, False)
    analyst = next(entry for entry in listed["data"] if entry["id"] == "market_analyst")
    assert analyst["object"] == "assistant.template"
    assert analyst["assistant"]["type"] == "analytical"
    assert "name" not in analyst["assistant"]


@pytest.mark.django_db
@pytest.mark.parametrize("template", EVERY, ids=lambda template: template.id)
def test_an_assistant_is_made_from_it(caller: Caller, template: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("code_interpreter", "file_search"):
        monkeypatch.setitem(entries.reasons, kind, lambda: "")
    made = caller.post("", template=template.id, model="tiny").json()
    fields: dict[str, Any] = {name: made[name] for name in template.fields}
    assert fields == template.fields
    assert (made["status"], made["visibility"], made["model"]) == ("draft", "project", "tiny")


@pytest.mark.django_db
def test_what_is_given_beside_it_replaces_its_fields(caller: Caller) -> None:
    made = caller.post("", template="tutor", model="tiny", name="B", tags=[], default_max_tokens=None).json()
    assert (made["name"], made["tags"], made["default_max_tokens"]) == ("B", [], None)
    assert made["type"] == "educational"


@pytest.mark.django_db
def test_without_a_model_it_gets_the_default_one(caller: Caller) -> None:
    made = caller.post("", template="tutor")
    assert made.status_code == 200, made.content
    assert made.json()["model"] == "tiny"
    assert ModelAlias.objects.count() == 0


@pytest.mark.django_db
def test_where_no_model_is_known_one_has_to_be_named(caller: Caller, tiny: Any) -> None:
    tiny.delete()
    answer = caller.post("", template="tutor")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
    assert not Assistant.objects.exists()


@pytest.mark.django_db
def test_what_this_server_cannot_run_is_left_out(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(entries.reasons, "code_interpreter", lambda: "There is no sandbox.")
    monkeypatch.setitem(entries.reasons, "file_search", lambda: "")
    made = caller.post("", template="data_analyst", model="tiny").json()
    assert [tool["type"] for tool in made["tools"]] == ["file_search"]
    assert "code_interpreter" not in made["tool_resources"]


@pytest.mark.django_db
def test_an_unknown_template_is_refused(caller: Caller) -> None:
    for name in ("astrologer", "../templates", ""):
        answer = caller.post("", template=name, model="tiny")
        assert (answer.status_code, answer.json()["error"]["message"]) == (
            404, f"No template found with id '{name}'.",
        )  # fmt: skip
    assert not Assistant.objects.exists()
