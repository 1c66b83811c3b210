"""Lists of assistants: pages, filters, and how many there are of each type."""

from __future__ import annotations

import pytest

from assistants.kinds import AssistantType
from tests.assistants.calling import Caller, caller, tiny

__all__ = ["caller", "tiny"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def several(caller: Caller) -> Caller:
    caller.made(name="A", type="support", tags=["energy", "de"])
    caller.made(name="B", type="support", status="active", tags=["energy"])
    caller.made(name="C", type="creative", visibility="private", tags=['q"uote', "ener"])
    caller.made(name="D", tags=["100%", "Größe", "a,b"])
    return caller


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, "ABCD"),
        ({"type": "support"}, "AB"),
        ({"type": "support", "status": "draft"}, "A"),
        ({"status": "active"}, "B"),
        ({"visibility": "private"}, "C"),
        ({"tag": "energy"}, "AB"),
        ({"tag": ["energy", "de"]}, "A"),
        ({"tag": "ener"}, "C"),
        ({"tag": 'q"uote'}, "C"),
        ({"tag": " Größe "}, "D"),
        ({"tag": "100%"}, "D"),
        ({"tag": "a,b"}, "D"),
        ({"tag": "%"}, ""),
        ({"tag": "' OR 1=1 --"}, ""),
        ({"model": "tiny"}, "ABCD"),
        ({"model": "tin"}, ""),
        ({"parent_id": "asst_x"}, ""),
    ],
)
def test_a_list_is_filtered(several: Caller, query: dict[str, str], found: str) -> None:
    assert several.listed(**query) == set(found)


@pytest.mark.parametrize("field", ["type", "status", "visibility"])
def test_a_filter_by_what_does_not_exist_is_refused(caller: Caller, field: str) -> None:
    answer = caller.ask(**{field: "rocket"})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, field, "invalid_value")


def test_pages(several: Caller) -> None:
    first = several.get(limit=2, order="asc")
    assert [entry["name"] for entry in first["data"]] == ["A", "B"]
    assert first["has_more"] is True
    second = several.get(limit=2, order="asc", after=first["last_id"])
    assert [entry["name"] for entry in second["data"]] == ["C", "D"]
    assert second["has_more"] is False
    assert [entry["name"] for entry in several.get(limit=2)["data"]] == ["D", "C"]
    assert several.ask(limit=101).json()["error"]["param"] == "limit"


def test_types_are_told_with_their_numbers(several: Caller) -> None:
    listed = several.get("types")
    assert [entry["id"] for entry in listed["data"]] == AssistantType.values
    numbers = {entry["id"]: entry["assistants"] for entry in listed["data"] if entry["assistants"]}
    assert numbers == {"support": 2, "creative": 1, "general": 1}
    assert (listed["object"], listed["first_id"], listed["has_more"]) == ("list", "general", False)
    assert listed["data"][3] == {
        "id": "task_oriented", "object": "assistant.type", "name": "Task-oriented", "assistants": 0,
    }  # fmt: skip
