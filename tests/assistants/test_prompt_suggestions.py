"""``…/{id}/prompts/suggestions``: prompts of the library that an assistant may want, with the reasons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from assistants import suggestions
from assistants.api.lifecycle.prompt_objects import PromptSuggestionObject
from assistants.models import Assistant
from assistants.prompts.models import Prompt
from tests.assistants.calling import Caller, person, tiny
from tests.assistants.linking import a_prompt

__all__ = ["person", "tiny"]

pytestmark = pytest.mark.django_db

INVOICES = "Questions of customers about invoices and refunds are answered politely."


@pytest.fixture
def caller(person: Callable[[str], Caller]) -> Caller:
    return person("analyst")


@pytest.fixture
def helper(caller: Caller) -> str:
    """An assistant of the type support that is about invoices."""
    made = caller.made(name="Billing desk", type="support", instructions="Help customers with invoices and refunds.")
    identifier: str = made["id"]
    return identifier


def suggested(caller: Caller, assistant_id: str, **query: Any) -> dict[str, dict[str, Any]]:
    found = caller.get(f"{assistant_id}/prompts/suggestions", **query)["data"]
    scores = [one["score"] for one in found]
    assert scores == sorted(scores, reverse=True)
    return {one["name"]: one for one in found}


def test_nothing_is_suggested_of_an_empty_library(caller: Caller, helper: str) -> None:
    assert caller.get(f"{helper}/prompts/suggestions") == {
        "object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False,
    }  # fmt: skip


def test_what_fits_best_comes_first_and_says_why(caller: Caller, helper: str) -> None:
    best = a_prompt(caller.principal, "Refunds", INVOICES, type="support", tags=["billing"], language="en")
    a_prompt(caller.principal, "Escalation", "Hand over to a colleague.", type="support")
    a_prompt(caller.principal, "Invoices", INVOICES, type="creative")
    a_prompt(caller.principal, "Sonnets", "Write of the sea in fourteen lines.", type="creative")
    found = suggested(caller, helper)
    assert next(iter(found)) == "Refunds"
    assert set(found) == {"Refunds", "Escalation", "Invoices"}
    assert list(found["Refunds"]) == list(PromptSuggestionObject().fields)
    assert found["Refunds"]["id"] == best.id
    assert (found["Refunds"]["tags"], found["Refunds"]["language"]) == (["billing"], "en")
    by_type = "It is for assistants of the type support, as this one is."
    assert found["Escalation"]["reasons"] == [by_type]
    assert found["Escalation"]["score"] >= suggestions.TYPE
    assert by_type in found["Refunds"]["reasons"]
    (words,) = found["Invoices"]["reasons"]
    assert words.startswith("Both speak of ")
    assert {"invoices", "refunds"} <= set(words.removesuffix(".").replace(" and ", ", ").split(", "))


def test_words_are_found_without_a_model_too(caller: Caller, helper: str, settings: Any) -> None:
    settings.SOVEREIGN = replace(settings.SOVEREIGN, embedder="none")
    a_prompt(caller.principal, "Invoices", INVOICES, type="creative")
    a_prompt(caller.principal, "Sonnets", "Write of the sea in fourteen lines.", type="creative")
    assert set(suggested(caller, helper)) == {"Invoices"}


def test_meaning_counts_where_words_differ(caller: Caller, settings: Any) -> None:
    made = caller.made(instructions="You are a friendly assistant. Answer briefly.")["id"]
    a_prompt(caller.principal, "Concise", "You are a kind helper that replies in few words.")
    near = suggested(caller, made)
    settings.SOVEREIGN = replace(settings.SOVEREIGN, embedder="none")
    far = suggested(caller, made)
    assert near["Concise"]["score"] > far["Concise"]["score"] + 0.05


class Nearness:
    """An embedder by which every prompt is so near to the assistant."""

    def __init__(self, cosine: float) -> None:
        self.cosine = cosine

    def embed(self, texts: list[str]) -> list[list[float]]:
        return [[1.0, 0.0], *([self.cosine, (1 - self.cosine**2) ** 0.5] for _ in texts[1:])]


@pytest.mark.parametrize("cosine", [-1.0, 0.0, 0.15, 0.19, 0.21, 0.33, 0.49, 0.51, 1.0])
def test_nothing_is_suggested_without_a_reason(
    cosine: float, caller: Caller, helper: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suggestions, "local_embedder", lambda: Nearness(cosine))
    for kind in ("creative", "general", "support"):
        a_prompt(caller.principal, f"Words {kind}", INVOICES, type=kind)
        a_prompt(caller.principal, f"None {kind}", "Write of the sea.", type=kind)
    found = suggested(caller, helper, limit="20")
    assert all(one["reasons"] for one in found.values())
    assert ("None creative" in found) == (cosine * suggestions.NEARNESS >= suggestions.LEAST)


def test_prompts_of_every_type_are_for_everybody_but_less(caller: Caller, helper: str) -> None:
    for kind in ("support", "general", "creative"):
        a_prompt(caller.principal, kind, INVOICES, type=kind)
    found = suggested(caller, helper)
    assert list(found) == ["support", "general", "creative"]
    assert "It is for assistants of every type." in found["general"]["reasons"]


def test_what_others_have_is_suggested_sooner(caller: Caller, helper: str) -> None:
    plain, popular = (a_prompt(caller.principal, name, "Hand over.", type="support") for name in ("Plain", "Popular"))
    for kind in ("support", "creative"):
        other = caller.made(type=kind)["id"]
        for placing in ({"kind": "primary"}, {"kind": "secondary"}):  # twice the same assistant counts once
            assert caller.post(f"{other}/prompts", prompt_id=popular.id, **placing).status_code == 200
        assert caller.post(f"{other}/prompts", prompt_id=plain.id, enabled=False).status_code == 200
    found = suggested(caller, helper)
    assert list(found) == ["Popular", "Plain"]
    assert "2 other assistants have it, 1 of the type support." in found["Popular"]["reasons"]
    assert not any("other" in reason for reason in found["Plain"]["reasons"])


def test_others_private_assistants_do_not_count(caller: Caller, helper: str, person: Callable[[str], Caller]) -> None:
    prompt = a_prompt(caller.principal, "Hand over", "Hand over.", type="support")
    hidden = caller.made(visibility="private")["id"]
    caller.post(f"{hidden}/prompts", prompt_id=prompt.id)
    assert "Another assistant has it." in suggested(caller, helper)["Hand over"]["reasons"]
    assert "Another assistant has it." not in suggested(person("viewer"), helper)["Hand over"]["reasons"]


def test_what_it_has_is_not_suggested(caller: Caller, helper: str) -> None:
    prompt = a_prompt(caller.principal, "Refunds", INVOICES, type="support")
    assert set(suggested(caller, helper)) == {"Refunds"}
    caller.post(f"{helper}/prompts", prompt_id=prompt.id, enabled=False)
    assert suggested(caller, helper) == {}


def test_the_newest_version_is_read(caller: Caller, helper: str) -> None:
    a_prompt(caller.principal, "P", "Write of the sea.", INVOICES, type="creative")
    a_prompt(caller.principal, "Q", INVOICES, "Write of the sea.", type="creative")
    assert set(suggested(caller, helper)) == {"P"}


def test_there_are_as_many_as_are_asked_for(caller: Caller, helper: str) -> None:
    for number in range(7):
        a_prompt(caller.principal, f"P{number}", "Hand over.", type="support")
    assert len(suggested(caller, helper)) == suggestions.USUAL == 5
    page = caller.get(f"{helper}/prompts/suggestions", limit="7")
    assert (len(page["data"]), page["has_more"]) == (7, False)
    page = caller.get(f"{helper}/prompts/suggestions", limit="2")
    assert (len(page["data"]), page["has_more"]) == (2, True)
    assert caller.ask(f"{helper}/prompts/suggestions", limit="21").status_code == 400


def test_another_projects_library_is_not_looked_at(
    caller: Caller, helper: str, charlies_project: Any, charlie: Any
) -> None:
    prompt = a_prompt(caller.principal, "Refunds", INVOICES, type="support")
    Prompt.objects.filter(pk=prompt.pk).update(project=charlies_project)
    assert suggested(caller, helper) == {}


def test_an_assistant_of_which_nothing_is_said_gets_suggestions_by_type(caller: Caller) -> None:
    a_prompt(caller.principal, "Anything", "Hand over.")
    made = caller.made()["id"]
    Assistant.objects.filter(pk=made).update(name=None)
    assert list(suggested(caller, made)) == ["Anything"]


def test_it_asks_a_fixed_number_of_questions(caller: Caller, helper: str, django_assert_max_num_queries: Any) -> None:
    for number in range(9):
        a_prompt(caller.principal, f"P{number}", INVOICES, type="support")
    with django_assert_max_num_queries(3):  # the assistant, the prompts, the uses
        assert len(suggested(caller, helper, limit="20")) == 9
