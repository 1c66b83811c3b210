"""An assistant's versions in the admin: published, compared, restored; and what is refused is said and recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from assistants.admin import changes
from assistants.differences import Change
from assistants.models import Assistant, AssistantVersion, LifeStatus
from assistants.services import update_assistant, versions
from sovereign.accounts import services
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db


def page(assistant: Assistant, version: int | str | None = None, *, restore: bool = False) -> str:
    name = "versions" if version is None else "restore" if restore else "version"
    names = [quote(assistant.pk)] if version is None else [quote(assistant.pk), version]
    return reverse(f"admin:assistants_assistant_{name}", args=names)


def own_page(assistant: Assistant) -> str:
    return reverse("admin:assistants_assistant_change", args=[quote(assistant.pk)])


def said(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def refused(answer: Any) -> dict[str, list[str]]:
    """What stands at which field of the form to publish."""
    assert answer.status_code == 200
    errors: dict[str, list[str]] = answer.context["form"].errors
    return errors


def lines(*given: str) -> list[tuple[str, list[tuple[bool, str]]]]:
    change = Change(field="instructions", title="T", kind="changed", before="a\nb", after="b", lines=list(given))
    return [(line.kind, line.pieces) for line in changes.shown([change])[0]["lines"]]


@pytest.fixture
def client(alice: User, project: Project, model: str, visit: Callable[[User], Client]) -> Client:
    return visit(alice)


@pytest.fixture
def change(principal: Principal, assistant: Assistant) -> Callable[..., None]:
    def apply(**fields: Any) -> None:
        update_assistant(principal=principal, assistant_id=assistant.pk, **fields)

    return apply


@pytest.fixture
def publish(principal: Principal, assistant: Assistant) -> Callable[..., AssistantVersion]:
    def make(**options: Any) -> AssistantVersion:
        return versions.publish(principal=principal, assistant_id=assistant.pk, **options)

    return make


Publish = Callable[..., AssistantVersion]
ChangeIt = Callable[..., None]


def test_the_page_of_an_assistant_leads_to_its_versions(client: Client, assistant: Assistant) -> None:
    assert f'href="{page(assistant)}"' in client.get(own_page(assistant)).content.decode()


def test_the_draft_is_published_with_notes(client: Client, assistant: Assistant, alice: User) -> None:
    before = client.get(page(assistant)).content.decode()
    assert "Nothing was published yet" in before
    assert "Publish version 1" in before
    answer = client.post(page(assistant), {"notes": " The first ", "expected_version": "0"})
    assert (answer.status_code, answer["Location"]) == (302, page(assistant))
    version = AssistantVersion.objects.get()
    assert (version.notes, version.published_by_user) == ("The first", alice.pk)
    after = client.get(page(assistant)).content.decode()
    assert "The draft is version 1" in after
    assert "Publish version" not in after
    assert "The first" in after
    assert "alice" in after


def test_what_the_draft_would_bring_is_shown(
    client: Client, assistant: Assistant, publish: Publish, change: ChangeIt
) -> None:
    publish()
    change(instructions="Be long.", temperature=0.5)
    shown = client.get(page(assistant)).content.decode()
    assert "The draft has 2 changes that version 1 has not" in shown
    assert "Publish version 2" in shown
    assert "<del>nothing</del> → <ins>Be long.</ins>" in shown
    assert "<del>1.0</del> → <ins>0.5</ins>" in shown


def test_who_publishes_after_somebody_else_is_told(
    client: Client, assistant: Assistant, publish: Publish, change: ChangeIt
) -> None:
    publish()
    change(instructions="Be long.")
    answer = client.post(page(assistant), {"notes": "", "expected_version": "0"})
    assert "version 1 is the newest" in refused(answer)["__all__"][0]
    assert AssistantVersion.objects.count() == 1
    told = AuditEvent.objects.get(action="assistant.publish_refused")
    assert (told.object_id, told.details["code"]) == (assistant.pk, "version_conflict")


def test_notes_have_a_limit(client: Client, assistant: Assistant) -> None:
    answer = client.post(page(assistant), {"notes": "x" * 2_001})
    assert "at most 2000" in refused(answer)["notes"][0]
    assert "x" * 2_001 in answer.content.decode(), "nothing that was typed is lost"
    assert not AssistantVersion.objects.exists()


def test_a_version_shows_what_it_changed(
    client: Client, assistant: Assistant, publish: Publish, change: ChangeIt
) -> None:
    change(instructions="Be kind.\nAnswer in one short sentence.")
    publish()
    change(instructions="Be kind.\nAnswer in two short sentences.")
    publish(notes="Longer")
    shown = client.get(page(assistant, 2)).content.decode()
    assert "Longer" in shown
    assert "Answer in <mark>one</mark> short <mark>sentence</mark>." in shown
    assert "Answer in <mark>two</mark> short <mark>sentences</mark>." in shown
    assert '<option value="1" selected>version 1</option>' in shown
    against_draft = client.get(page(assistant, 2), {"against": "draft"}).content.decode()
    assert "They are the same." in against_draft
    assert client.get(page(assistant, 1)).status_code == 200  # which has no parent


def test_a_version_is_restored(client: Client, assistant: Assistant, publish: Publish, change: ChangeIt) -> None:
    change(instructions="Before")
    publish()
    change(instructions="After")
    assert "Restore version 1" in client.get(page(assistant, 1), {"against": "draft"}).content.decode()
    answer = client.post(page(assistant, 1, restore=True))
    assert answer["Location"] == own_page(assistant)
    assistant.refresh_from_db()
    assert assistant.instructions == "Before"
    assert "The draft is what the version was" in said(answer)[0]


def test_what_cannot_be_restored_is_said_and_recorded(client: Client, assistant: Assistant, publish: Publish) -> None:
    version = publish()
    AssistantVersion.objects.update(content={**version.content, "model": "gone"})
    answer = client.post(page(assistant, 1, restore=True))
    assert answer["Location"] == f"{page(assistant, 1)}?against=draft"
    assert "the model 'gone'" in said(answer)[0]
    assert AuditEvent.objects.filter(action="assistant.restore_refused", object_id=assistant.pk).exists()


def test_an_archived_assistant_offers_neither(client: Client, assistant: Assistant, publish: Publish) -> None:
    publish()
    Assistant.objects.update(status=LifeStatus.ARCHIVED, instructions="Changed")
    shown = client.get(page(assistant)).content.decode() + client.get(page(assistant, 1)).content.decode()
    assert "Publish version" not in shown
    assert "Restore" not in shown
    assert "archived" in refused(client.post(page(assistant), {"notes": ""}))["__all__"][0]


def test_variables_that_nothing_fills_in_are_refused_until_they_are_meant(
    client: Client, assistant: Assistant, change: ChangeIt
) -> None:
    change(instructions="Help {{ company }}.", personality="{{# plan }}Sell{{/ plan }} {{ company }}")
    shown = client.get(page(assistant)).content.decode()
    assert f'href="{own_page(assistant)}#id_instructions"' in shown
    assert "{{ company }}, {{ plan }}" in shown
    answer = client.post(page(assistant), {"notes": "Of plans", "expected_version": "0"})
    assert list(refused(answer)) == ["as_written"]
    assert 'value="Of plans"' in answer.content.decode()
    assert not AssistantVersion.objects.exists()
    told = AuditEvent.objects.get(action="assistant.publish_refused")
    assert told.details["code"] == "unknown_variable"
    data = {"notes": "Of plans", "expected_version": "0", "as_written": "1"}
    assert client.post(page(assistant), data).status_code == 302
    assert AssistantVersion.objects.get().content["instructions"] == "Help {{ company }}."
    assert "as_written" not in client.get(page(assistant)).content.decode(), "there is nothing to publish"


def test_old_versions_are_a_page_further(
    client: Client, assistant: Assistant, publish: Publish, change: ChangeIt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistants.admin.versions.LISTED", 2)
    for number in range(3):
        change(instructions=f"Text {number}")
        publish()
    first = client.get(page(assistant)).content.decode()
    assert f"{page(assistant)}?below=2" in first
    assert page(assistant, 1) not in first
    assert page(assistant, 1) in client.get(page(assistant), {"below": "2"}).content.decode()
    assert client.get(page(assistant), {"below": "x" * 99}).status_code == 200


def test_texts_of_versions_are_escaped(
    client: Client, assistant: Assistant, publish: Publish, change: ChangeIt
) -> None:
    change(instructions="Before", name=EVIL[:200])
    publish(notes=EVIL)
    function = {"type": "function", "function": {"name": "f", "description": EVIL, "parameters": {}, "strict": False}}
    change(instructions=f"Before {EVIL}", tools=[function])
    publish()
    change(instructions=EVIL)
    for address in (page(assistant), page(assistant, 1), page(assistant, 2)):
        shown = client.get(address).content.decode()
        assert not any(mark in shown for mark in EVIL_MARKS)


def test_what_cannot_be_seen_is_spelt_out(client: Client, assistant: Assistant, publish: Publish) -> None:
    Assistant.objects.update(instructions="Be\u202ebrief")
    publish()
    assert "Be\\u202ebrief" in client.get(page(assistant, 1)).content.decode()


def test_others_do_not_see_the_pages(
    assistant: Assistant, publish: Publish, change: ChangeIt, charlie: User, project: Project,
    visit: Callable[[User], Client],
) -> None:  # fmt: skip
    publish()
    change(instructions="Changed")
    outsider = visit(charlie)
    for address in (page(assistant), page(assistant, 1)):
        assert outsider.get(address).status_code == 404
    for address in (page(assistant), page(assistant, 1, restore=True)):
        assert outsider.post(address).status_code == 404
    assert AssistantVersion.objects.count() == 1
    viewer = User.objects.create_user("vera")
    services.add_member(project=project, user=viewer, role=Role.VIEWER)
    assert visit(viewer).get(page(assistant)).status_code in (302, 403)  # who only reads is not in the admin


def test_unknown_versions_are_not_found(client: Client, assistant: Assistant, publish: Publish) -> None:
    publish()
    assert client.get(page(assistant, 2)).status_code == 404
    assert client.get(page(assistant, 1), {"against": "7"}).status_code == 404
    assert client.get(page(assistant, 1, restore=True)).status_code == 403  # it changes something


def test_words_are_marked_in_lines_that_are_alike() -> None:
    assert lines("-one two", "-gone", "+one three") == [
        ("removed", [(False, "one "), (True, "two")]),
        ("removed", [(False, "gone")]),
        ("added", [(False, "one "), (True, "three")]),
    ]
    assert lines("-apples", "+quite another thing") == [
        ("removed", [(False, "apples")]),
        ("added", [(False, "quite another thing")]),
    ]
    same, between = ("same", [(False, "same")]), ("place", [(False, "…")])
    assert lines("@@ -1,1 +1,1 @@", " same", "@@ -9,1 +9,1 @@", " same") == [same, between, same]


def test_lines_whose_comparison_takes_too_long_are_told_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = "one two three four five", "1 two three four 5"
    assert len(lines(f"-{before}", f"+{after}")[0][1]) > 1
    monkeypatch.setattr(changes, "MOST_STEPS", 0)
    assert lines(f"-{before}", f"+{after}") == [("removed", [(False, before)]), ("added", [(False, after)])]


def test_very_many_lines_are_cut() -> None:
    many = [f"+line {number}" for number in range(changes.LINES + 5)]
    change = Change(field="instructions", title="T", kind="added", before=None, after="many\nlines", lines=many)
    told = changes.shown([change])[0]
    assert (len(told["lines"]), told["left_out"]) == (changes.LINES, 5)
