"""Everybody links prompts at once: weights never exceed what there is, and no link points to a deleted prompt."""

from __future__ import annotations

import pytest

from assistants.models import Assistant, PromptLink
from assistants.prompts.models import Prompt
from assistants.prompts.services import delete_prompt, remove_label
from assistants.services import links
from sovereign.accounts.principals import Principal
from tests.assistants.linking import a_prompt
from tests.assistants.test_versions_at_once import CLIENTS, at_once

pytestmark = pytest.mark.django_db(transaction=True)


def test_weights_do_not_exceed_100(analyst: Principal, assistant: Assistant) -> None:
    prompt = a_prompt(analyst, "Greeting")

    def link(_: int) -> str:
        links.link_prompt(principal=analyst, assistant_id=assistant.id, prompt_id=prompt.id, weight=40)
        return "linked"

    assert at_once(link) == ["linked"] * 2 + ["weights_do_not_add_up"] * (CLIENTS - 2)
    assert sum(PromptLink.objects.values_list("weight", flat=True)) == 80


def test_a_prompt_is_linked_or_deleted(analyst: Principal, assistant: Assistant) -> None:
    prompt = a_prompt(analyst, "Greeting")

    def act(number: int) -> str:
        if number % 2:
            delete_prompt(principal=analyst, prompt_id=prompt.id)
            return "deleted"
        links.link_prompt(principal=analyst, assistant_id=assistant.id, prompt_id=prompt.id)
        return "linked"

    answers = at_once(act)
    if Prompt.objects.exists():
        assert answers == ["in_use"] * (CLIENTS // 2) + ["linked"] * (CLIENTS // 2)
        assert PromptLink.objects.count() == CLIENTS // 2
    else:
        assert answers == ["None"] * (CLIENTS - 1) + ["deleted"]  # 404 has no code
        assert not PromptLink.objects.exists()


def test_a_label_that_is_meant_is_there(analyst: Principal, assistant: Assistant) -> None:
    prompt = a_prompt(analyst, "Greeting", labels=["production"])
    made = links.link_prompt(principal=analyst, assistant_id=assistant.id, prompt_id=prompt.id)

    def act(number: int) -> str:
        if number % 2:
            remove_label(principal=analyst, prompt_id=prompt.id, name="production")
            return "removed"
        links.update_link(principal=analyst, assistant_id=assistant.id, name=made.id, label="production")
        return "meant"

    answers = at_once(act)
    made.refresh_from_db()
    assert (made.label == "production") == prompt.labels.exists() == ("meant" in answers) == ("removed" not in answers)
