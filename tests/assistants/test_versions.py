"""Versions of assistants: published, kept as they were, compared, and brought back."""

from __future__ import annotations

import pytest

from assistants.models import Assistant, AssistantVersion, LifeStatus
from assistants.resolution import resolve
from assistants.services import versions
from sovereign.accounts.models import AuditEvent
from sovereign.accounts.principals import Principal
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
