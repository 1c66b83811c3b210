"""Versions of assistants: published, kept as they were, compared, and brought back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from assistants.models import Assistant, AssistantVersion, LifeStatus
from assistants.models.assistants import INSTRUCTIONS_LENGTH
from assistants.prompts import services as prompts
from assistants.resolution import resolve
from assistants.services import links, versions
from sovereign.accounts.models import AuditEvent
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_WRITE
from sovereign.core.errors import ApiError
from tests.assistants.conftest import Change, Publish

pytestmark = pytest.mark.django_db


def test_a_version_is_the_draft_as_it_was(
    assistant: Assistant, change: Change, publish: Publish, analyst: Principal
) -> None:
    first = publish(notes="The first")
    change(instructions="Be long.")
    assert (first.number, first.notes, first.parent, first.published_by_user) == (1, "The first", None, analyst.user_id)
    kept = AssistantVersion.objects.get(pk=first.id)
    assert kept.content["instructions"] == "Be brief."
    was = resolve(assistant=assistant, environment=None, thread_id=None, variables=None, version=kept)
    assert (was.instructions, was.version_id) == ("Be brief.", first.id)
    second = publish()
    assert (second.number, second.parent_id, assistant.based_on) == (2, first.id, second.id)


def test_publishing_makes_a_draft_active(assistant: Assistant, publish: Publish) -> None:
    assert assistant.status == LifeStatus.DRAFT
    version = publish()
    assert assistant.status == LifeStatus.ACTIVE
    told = AuditEvent.objects.get(action="assistant.published")
    assert told.object_id == assistant.id
    assert told.details == {"version": version.id, "number": 1}


def test_what_has_not_changed_is_not_published_again(publish: Publish) -> None:
    publish()
    with pytest.raises(ApiError) as refused:
        publish()
    assert refused.value.code == "nothing_to_publish"
    assert AssistantVersion.objects.count() == 1


def test_who_publishes_after_somebody_else_is_told(change: Change, publish: Publish) -> None:
    publish(expected_version=0)
    change(instructions="Theirs")
    publish(expected_version=1)
    change(instructions="Mine")
    with pytest.raises(ApiError) as refused:
        publish(expected_version=1)
    assert (refused.value.status, refused.value.code) == (409, "version_conflict")
    assert "version 2 is the newest" in refused.value.message
    assert AssistantVersion.objects.count() == 2


def test_the_version_of_the_draft_is_the_newest_or_a_new_one(
    assistant: Assistant, change: Change, publish: Publish, analyst: Principal
) -> None:
    first = publish()
    assert versions.version_of_draft(principal=analyst, assistant=assistant) == first
    change(temperature=0.5)
    second = versions.version_of_draft(principal=analyst, assistant=assistant)
    assert (second.number, second.content["temperature"]) == (2, 0.5)


def test_a_draft_with_variables_that_nothing_fills_in_is_published_for_nobody_but_who_means_it(
    assistant: Assistant, change: Change, publish: Publish, analyst: Principal
) -> None:
    change(instructions="Help {{ company }}.")
    with pytest.raises(ApiError) as refused:  # who deploys or evaluates it
        versions.version_of_draft(principal=analyst, assistant=assistant)
    assert (refused.value.param, refused.value.code) == ("instructions", "unknown_variable")
    version = publish(as_written=True)
    assert versions.version_of_draft(principal=analyst, assistant=assistant) == version


@pytest.mark.parametrize(
    "instructions",
    [
        "{{" + " " * (INSTRUCTIONS_LENGTH - 3) + "x",
        "{{#" + "\t" * (INSTRUCTIONS_LENGTH - 3),
        "{{ x" + " " * (INSTRUCTIONS_LENGTH - 5) + "x",
        "{{ " + "a" * (INSTRUCTIONS_LENGTH - 3),
        "{" * INSTRUCTIONS_LENGTH,
        "{{ # " * (INSTRUCTIONS_LENGTH // 5),
    ],
    ids=["blanks", "blanks of a section", "blanks behind a name", "name", "openings", "sections"],
)
def test_the_longest_instructions_that_name_no_variable_are_published_at_once(
    change: Change, publish: Publish, instructions: str
) -> None:
    """An expression that tries every way to share the blanks out would take hours, and the whole process with it."""
    change(instructions=instructions)
    assert publish().content["instructions"] == instructions


def test_a_field_that_contents_did_not_have_yet_is_no_change(
    assistant: Assistant, publish: Publish, analyst: Principal
) -> None:
    version = publish()
    since = ("personality", "name")
    older = {name: value for name, value in version.content.items() if name not in since}
    AssistantVersion.objects.update(content=older, digest="0" * 64)
    assert versions.version_of_draft(principal=analyst, assistant=assistant) == version
    assert versions.compare(principal=analyst, assistant_id=assistant.id, version="draft").changes == []


def test_a_version_keeps_the_name_that_its_prompts_say(
    assistant: Assistant, change: Change, publish: Publish, analyst: Principal
) -> None:
    prompt = prompts.create_prompt(principal=analyst, name="Who", template="You are {{ assistant_name }}.")
    links.link_prompt(principal=analyst, assistant_id=assistant.id, prompt_id=prompt.id)
    first = publish()
    change(name="Desk")
    told = versions.compare(principal=analyst, assistant_id=assistant.id, version="draft").changes
    assert [(one.field, one.before, one.after) for one in told] == [("name", "Guide", "Desk")]
    second = publish()

    def said(version: AssistantVersion | None) -> str:
        return resolve(
            assistant=assistant, environment=None, thread_id="thread_1", variables=None, version=version
        ).instructions

    assert [said(version) for version in (first, second, None)] == [
        "You are Guide.", "You are Desk.", "You are Desk."
    ]  # fmt: skip


def test_a_name_that_no_prompt_says_makes_no_version(change: Change, publish: Publish) -> None:
    publish()
    change(name="Desk")
    with pytest.raises(ApiError) as refused:
        publish()
    assert refused.value.code == "nothing_to_publish"


def test_a_version_is_found_by_its_number_and_by_its_id(
    assistant: Assistant, publish: Publish, analyst: Principal, charlies: Principal
) -> None:
    version = publish()
    for name in (version.id, "1"):
        assert versions.get_version(principal=analyst, assistant_id=assistant.id, version=name) == version
    for name in ("2", "asstv_unknown", "0", "-1", "9" * 30, "²"):
        with pytest.raises(ApiError) as refused:
            versions.get_version(principal=analyst, assistant_id=assistant.id, version=name)
        assert refused.value.status == 404
    with pytest.raises(ApiError) as refused:
        versions.get_version(principal=charlies, assistant_id=assistant.id, version="1")
    assert refused.value.status == 404


def test_a_version_is_never_changed(publish: Publish) -> None:
    version = publish()
    version.notes = "Other"
    with pytest.raises(TypeError):
        version.save()


@pytest.mark.parametrize("weights", [(30, 30), (30, 60)])
def test_weights_that_do_not_add_up_are_not_published(
    weights: tuple[int, int], analyst: Principal, assistant: Assistant, publish: Publish
) -> None:
    for number, weight in enumerate(weights):
        prompt = prompts.create_prompt(principal=analyst, name=f"Prompt {number}", template="Be kind.")
        links.link_prompt(principal=analyst, assistant_id=assistant.id, prompt_id=prompt.id, weight=weight)
    for attempt in (publish, lambda: versions.version_of_draft(principal=analyst, assistant=assistant)):
        with pytest.raises(ApiError) as refused:
            attempt()
        assert refused.value.code == "weights_do_not_add_up"
    assert not AssistantVersion.objects.exists()


def test_a_label_that_moves_makes_the_draft_another(analyst: Principal, assistant: Assistant, publish: Publish) -> None:
    prompt = prompts.create_prompt(principal=analyst, name="Tone", template="Be kind.")
    prompts.move_label(principal=analyst, prompt_id=prompt.id, name="production", version="1")
    links.link_prompt(principal=analyst, assistant_id=assistant.id, prompt_id=prompt.id, label="production")
    first = publish()
    prompts.add_version(principal=analyst, prompt_id=prompt.id, template="Be firm.")
    with pytest.raises(ApiError) as refused:
        publish()
    assert refused.value.code == "nothing_to_publish"
    prompts.move_label(principal=analyst, prompt_id=prompt.id, name="production", version="2")
    second = publish()
    said = [
        resolve(assistant=assistant, environment=None, thread_id="thread_1", variables=None, version=kept).instructions
        for kept in (first, second)
    ]
    assert said == ["Be kind.", "Be firm."]


def test_who_may_only_deploy_may_not_publish_with_it(
    analyst: Principal, assistant: Assistant, publish: Publish, change: Change
) -> None:
    first = publish()
    deployer = replace(analyst, scopes=analyst.scopes - {ASSISTANTS_WRITE})
    assert versions.version_of_draft(principal=deployer, assistant=assistant) == first
    change(temperature=0.5)
    with pytest.raises(ApiError) as refused:
        versions.version_of_draft(principal=deployer, assistant=assistant)
    assert refused.value.status == 403


def test_publishing_asks_the_database_little(
    analyst: Principal, assistant: Assistant, publish: Publish, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    with django_assert_max_num_queries(12):
        publish()
