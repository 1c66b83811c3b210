"""The audit log as it is read: in sentences, found by who, what, when and about what."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from assistants.models import Assistant
from sovereign.accounts import audit, services
from sovereign.accounts.admin.sentences import SENTENCES, sentence
from sovereign.accounts.models import ApiKey, AuditEvent, Project, User
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db

LIST = "admin:accounts_auditevent_changelist"
MOST_QUERIES = 20


@pytest.fixture
def browser() -> Callable[[User], Client]:
    def make(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def events(project: Project, alice: User) -> dict[str, AuditEvent]:
    """By their actions; nothing else is in the log."""
    key, _ = services.create_api_key(project=project, name="Shop")
    AuditEvent.objects.all().delete()
    made = {
        "published": ("assistant.published", "assistant", "asst_1", {"number": 3}, {"user_id": alice.pk}),
        "read": ("thread.read", "thread", "thread_1", {}, {"user_id": alice.pk}),
        "created": ("run.created", "run", "run_1", {}, {"key_id": key.pk}),
        "expired": ("file.expired", "file", "file-1", {}, {}),
        "unheard": ("novelty.was_done", "novelty", "nov_1", {"name": EVIL, EVIL: [EVIL]}, {"user_id": alice.pk}),
    }
    return {
        name: AuditEvent.objects.create(
            project=project, action=action, object_type=kind, object_id=pk, details=details,
            created_at=datetime(2026, 5, day, 12, tzinfo=UTC), **who,
        )
        for day, (name, (action, kind, pk, details, who)) in enumerate(made.items(), start=1)
    }  # fmt: skip


def shown(client: Client, **query: str) -> str:
    return str(client.get(reverse(LIST), query).content.decode())


def rows(client: Client, events: dict[str, AuditEvent], **query: str) -> set[str]:
    """The names of the events that the list has."""
    page = shown(client, **query)
    return {
        name for name, event in events.items() if reverse("admin:accounts_auditevent_change", args=[event.pk]) in page
    }


def test_what_was_done_is_told_in_sentences_and_nothing_hostile_is_believed(
    events: dict[str, AuditEvent], alice: User, browser: Callable[[User], Client]
) -> None:
    page = shown(browser(alice))
    assert "published version 3 of the assistant asst_1" in page
    assert "read the thread thread_1, which is another" in page
    assert "key Shop" in page
    assert "the product" in page
    assert "was done, novelty" in page
    for content in (page, _detail(browser(alice), events["unheard"])):
        assert not [mark for mark in EVIL_MARKS if mark in content]


def _detail(client: Client, event: AuditEvent) -> str:
    return str(client.get(reverse("admin:accounts_auditevent_change", args=[event.pk])).content.decode())


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"who": "ALICE"}, {"published", "read", "unheard"}),
        ({"who": "shop"}, {"created"}),
        ({"who": "the product"}, {"expired"}),
        ({"who": "nobody"}, set()),
        ({"what": "assistant.published"}, {"published"}),
        ({"what": "thread."}, {"read"}),
        ({"what": "nonsense"}, set()),
        ({"about": "run_1"}, {"created"}),
        ({"first": "2026-05-02", "last": "2026-05-03"}, {"read", "created"}),
        ({"first": "yesterday"}, set()),
        ({"who": "alice", "last": "2026-05-01"}, {"published"}),
        ({"who": "\x00", "about": "\x00"}, set()),
        ({"last": "9999-12-31"}, set()),  # the day after it is none that there is
        ({"first": "0001-01-01"}, set()),
    ],
)
def test_events_are_found(
    query: dict[str, str], found: set[str], events: dict[str, AuditEvent], alice: User,
    browser: Callable[[User], Client],
) -> None:  # fmt: skip
    assert rows(browser(alice), events, **query) == found


def test_days_are_those_of_who_reads(
    events: dict[str, AuditEvent], alice: User, browser: Callable[[User], Client]
) -> None:
    late = events["expired"]
    AuditEvent.objects.filter(pk=late.pk).update(created_at=datetime(2026, 5, 4, 23, 30, tzinfo=UTC))
    client = browser(alice)
    assert "expired" in rows(client, events, first="2026-05-04", last="2026-05-04")
    client.cookies["timezone"] = "Europe/Berlin"
    assert "expired" not in rows(client, events, first="2026-05-04", last="2026-05-04")
    assert "expired" in rows(client, events, first="2026-05-05", last="2026-05-05")


@pytest.mark.parametrize("query", [{"first": "0001-01-01"}, {"last": "9999-12-31"}])
def test_a_day_that_no_calendar_reaches_is_refused_at_its_field(
    query: dict[str, str], alice: User, project: Project, browser: Callable[[User], Client]
) -> None:
    client = browser(alice)
    client.cookies["timezone"] = "Asia/Tokyo"
    answer = client.get(reverse(LIST), query)
    assert (answer.status_code, "Ensure this value is" in answer.content.decode()) == (200, True)


def test_another_tenants_log_is_not_found_by_any_question(
    events: dict[str, AuditEvent], charlie: User, browser: Callable[[User], Client]
) -> None:
    client = browser(charlie)
    for query in ({}, {"who": "alice"}, {"who": "Shop"}, {"about": "run_1"}, {"what": "thread."}):
        assert rows(client, events, **query) == set()
    assert "alice" not in shown(client)  # nor is she offered to be chosen
    assert client.get(reverse("admin:accounts_auditevent_change", args=[events["read"].pk])).status_code in (302, 404)


def test_what_it_was_done_to_is_named_and_linked_where_it_still_is(
    alice: User, project: Project, browser: Callable[[User], Client]
) -> None:
    key, _ = services.create_api_key(project=project, name="Shop")
    gone = ApiKey(pk="key_gone", project=project, name="Gone")
    audit.record(None, "api_key.revoked", gone, name="Gone")
    client = browser(alice)
    with CaptureQueriesContext(connection) as queries:
        page = shown(client)
    assert len(queries) <= MOST_QUERIES, [query["sql"][:160] for query in queries]
    address = reverse("admin:accounts_apikey_change", args=[key.pk.replace("_", "_5F")])
    assert page.count(f'href="{address}"') == 1
    assert "revoked the API key Gone" in page
    assert f"made the API key {key}" in page


def test_details_are_read_without_knowing_json(
    alice: User, project: Project, browser: Callable[[User], Client]
) -> None:
    before = {"requests_per_minute": 1, "since": "2026-13-45T99:00:00Z"}
    event = audit.record(None, "api_key.limits_changed", project, before=before, limits={})
    page = _detail(browser(alice), event)
    assert "<dt>Before, requests per minute</dt><dd>1</dd>" in page
    assert "2026-13-45T99:00:00Z" in page
    assert "made alice a member, as owner" in shown(browser(alice))


def test_every_sentence_can_be_said() -> None:
    for action in SENTENCES:
        assert sentence(action, "assistant", "{object} {0}", {}).strip()


def test_what_an_event_tells_of_is_named_too(
    alice: User, project: Project, browser: Callable[[User], Client], charlies_project: Project
) -> None:
    ours = Assistant.objects.create(project=project, name="Guide", model="tiny")
    theirs = Assistant.objects.create(project=charlies_project, name="Hidden", model="tiny")
    for assistant in (ours, theirs):
        event = audit.record(None, "deployment.active", ours, assistant=assistant.pk, environment="staging", version=3)
        AuditEvent.objects.filter(pk=event.pk).update(object_type="deployment", object_id="dep_1")
    page = shown(browser(alice))
    assert "put version 3 of Guide into service in staging" in page
    assert f"put version 3 of {theirs.pk} into service" in page
    assert "Hidden" not in page
