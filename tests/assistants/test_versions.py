"""Versions of assistants: published, kept as they were, compared, and brought back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from assistants import services
from assistants.models import Assistant, AssistantVersion, LifeStatus
from assistants.resolution import resolve
from assistants.services import versions
from inference.models import RegisteredModel
from sovereign.accounts.credentials import principal_of_membership
from sovereign.accounts.models import AuditEvent, Membership, Project, User
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError

pytestmark = pytest.mark.django_db


@pytest.fixture
def analyst(bob: User) -> Principal:
    return principal_of_membership(Membership.objects.get(user=bob))


@pytest.fixture
def charlies(charlie: User) -> Principal:
    return principal_of_membership(Membership.objects.get(user=charlie))


@pytest.fixture
def assistant(analyst: Principal) -> Assistant:
    RegisteredModel.objects.create(name="tiny", created_at=timezone.now())
    return services.create_assistant(principal=analyst, model="tiny", name="Guide", instructions="Be brief.")


@pytest.fixture
def change(analyst: Principal, assistant: Assistant) -> Callable[..., None]:
    def apply(**fields: Any) -> None:
        services.update_assistant(principal=analyst, assistant_id=assistant.id, **fields)
        assistant.refresh_from_db()

    return apply


@pytest.fixture
def publish(analyst: Principal, assistant: Assistant) -> Callable[..., AssistantVersion]:
    def make(**options: Any) -> AssistantVersion:
        made = versions.publish(principal=analyst, assistant_id=assistant.id, **options)
        assistant.refresh_from_db()
        return made

    return make


def test_a_version_is_the_draft_as_it_was(
    assistant: Assistant, change: Callable[..., None], publish: Callable[..., AssistantVersion], analyst: Principal
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


def test_publishing_makes_a_draft_active(assistant: Assistant, publish: Callable[..., AssistantVersion]) -> None:
    assert assistant.status == LifeStatus.DRAFT
    version = publish()
    assert assistant.status == LifeStatus.ACTIVE
    told = AuditEvent.objects.get(action="assistant.published")
    assert told.object_id == assistant.id
    assert told.details == {"version": version.id, "number": 1}


def test_what_has_not_changed_is_not_published_again(publish: Callable[..., AssistantVersion]) -> None:
    publish()
    with pytest.raises(ApiError) as refused:
        publish()
    assert refused.value.code == "nothing_to_publish"
    assert AssistantVersion.objects.count() == 1


def test_who_publishes_after_somebody_else_is_told(
    change: Callable[..., None], publish: Callable[..., AssistantVersion]
) -> None:
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
    assistant: Assistant, change: Callable[..., None], publish: Callable[..., AssistantVersion], analyst: Principal
) -> None:
    first = publish()
    assert versions.version_of_draft(principal=analyst, assistant=assistant) == first
    change(temperature=0.5)
    second = versions.version_of_draft(principal=analyst, assistant=assistant)
    assert (second.number, second.content["temperature"]) == (2, 0.5)


def test_a_version_is_found_by_its_number_and_by_its_id(
    assistant: Assistant, publish: Callable[..., AssistantVersion], analyst: Principal, charlies: Principal
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


def test_a_version_is_never_changed(publish: Callable[..., AssistantVersion], project: Project) -> None:
    version = publish()
    version.notes = "Other"
    with pytest.raises(TypeError):
        version.save()
