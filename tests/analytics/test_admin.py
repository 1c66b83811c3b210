"""The pages of analytics: what they show, whom, and that nothing on them runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from assistants.models import Assistant, AssistantVersion
from runs.analytics import expectations, grading
from runs.analytics.admin import pages
from runs.analytics.admin.expected import ExpectationsForm
from runs.analytics.models import Expectations, Grade
from sovereign.accounts.models import AuditEvent, Project, User
from tests.analytics.support import happened, measures
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db

OVERVIEW = "admin:analytics_grade_changelist"


@pytest.fixture(autouse=True)
def at_noon() -> Iterator[None]:
    """No day ends in the middle of a test."""
    noon = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.utils.timezone.now", lambda: noon)
        yield


def visitor(user: User) -> Client:
    client = Client(headers={"Accept": "text/html,application/xhtml+xml"})
    client.force_login(user)
    return client


@pytest.fixture
def client(alice: User, project: Project) -> Client:
    return visitor(alice)


@pytest.fixture
def bobs(bob: User) -> Client:
    """An analyst's browser."""
    return visitor(bob)


def made(project: Project, name: str, **fields: Any) -> Assistant:
    return Assistant.objects.create(project=project, name=name, model="tiny", **fields)


def ran(assistant: Assistant, days_ago: int = 0, failed: int = 0, seconds: float = 2.0, **cell: str) -> None:
    done = 20 - failed
    what = measures(
        runs=20, completed=done, failed=failed, seconds=(seconds,) * done, errors={EVIL: failed}, cost=failed * 10**9
    )
    at = timezone.now() - timedelta(days=days_ago)
    happened(assistant.project_id, at, what, assistant_id=assistant.pk, **cell)


def page(assistant: Assistant, **asked: Any) -> str:
    address = reverse("admin:analytics_assistant", args=[quote(assistant.pk)])
    return address + "?" + "&".join(f"{name}={value}" for name, value in asked.items())


def read(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def texts(html: str) -> list[str]:
    """What a page says, tag by tag."""
    return [text.strip() for text in re.findall(r">([^<>]+)<", html) if text.strip()]


def test_all_assistants_stand_side_by_side(client: Client, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad, idle = (made(project, name) for name in ("Good", "Bad", "Idle"))
    ran(good)
    ran(good, days_ago=1)
    ran(bad, failed=20)
    for assistant in (good, bad):
        grading.grade(assistant.pk, timezone.now().date())

    def order(sort: str) -> list[str]:
        html = read(client, f"{reverse(OVERVIEW)}?sort={sort}")
        return [text for text in texts(html) if text in ("Good", "Bad", "Idle")]

    assert order("") == ["Good", "Bad", "Idle"]
    assert order("error_rate") == ["Bad", "Good", "Idle"]
    assert order("grade") == ["Bad", "Good", "Idle"]
    monkeypatch.setattr(pages, "SHOWN", 1)
    assert order("grade") == ["Bad"]
    monkeypatch.undo()
    shown = texts(read(client, reverse(OVERVIEW)))
    assert {"A (100)", str(Grade.objects.get(assistant_id=bad.pk)), "60", "100.0 %"} <= set(shown)
    assert {"Analytics", "What is expected"} <= set(shown)  # the first also in the sidebar
    assert page(idle, days=30).replace("&", "&amp;") in read(client, reverse(OVERVIEW))


def test_an_assistants_page_says_how_it_does_and_why(client: Client, project: Project) -> None:
    assistant = made(project, "Guide")
    ran(assistant, failed=10, seconds=90.0)
    ran(assistant, days_ago=3)
    for day in range(2):
        grading.grade(assistant.pk, timezone.now().date() - timedelta(days=day))
    html = read(client, page(assistant))
    said = texts(html)
    assert any(text.startswith("10 of 40 runs failed (25 %") for text in said)
    assert "Look at the failed runs" in html
    assert (
        html.count("<svg") == html.count('role="img"') == html.count("<desc") == 5
    )  # runs, times, tokens, cost, grades
    assert html.count('class="sv-bar"') == 3  # two days with runs, one with a cost
    assert html.count('class="sv-bar sv-worse"') == 1
    assert f"{timezone.now():%Y-%m-%d}: 20, 10 failed" in said
    assert "25.0 %" in said
    assert not any(mark in html for mark in EVIL_MARKS)
    assert "<script>" not in html.partition('id="grade"')[2].partition('id="metrics"')[0]


def test_it_is_compared_with_another_and_with_a_version(client: Client, project: Project) -> None:
    assistant, other = made(project, "Guide"), made(project, EVIL)
    version = AssistantVersion.objects.create(
        assistant=assistant, project=project, number=1, content={}, digest="x", notes=""
    )
    ran(assistant, failed=20)
    ran(assistant, version_id=version.pk)
    ran(other)
    row = re.compile(r"<tr><th scope=\"row\">Runs that failed</th>.*?</tr>")

    def cells(**asked: str) -> list[str]:
        html = read(client, page(assistant, **asked))
        assert not any(mark in html for mark in EVIL_MARKS)
        found = row.search(html)
        assert found is not None
        return texts(found[0])

    assert cells()[:2] == ["Runs that failed", "50.0 %"]
    assert cells(against=other.pk)[-2:] == ["0.0 %", "sure"]
    assert cells(against=f"version:{version.pk}")[-2:] == ["0.0 %", "sure"]
    assert cells(version=version.pk, against=other.pk)[-2:] == ["0.0 %", "may be chance"]
    assert cells(against="asst_unknown", days="7000", version="x", environment="x") == cells()


def test_an_assistant_without_runs_has_a_page(client: Client, project: Project) -> None:
    html = read(client, page(made(project, "Idle")))
    assert "A grade needs 10" in html
    assert "Nothing happened in this time" in html
    assert "<svg" not in html.partition('id="grade"')[2]


def test_only_who_sees_an_assistant_sees_how_it_does(
    client: Client, bobs: Client, charlie: User, project: Project, alice: User, bob: User
) -> None:
    hidden = made(project, "Mine", visibility="private", created_by_user=alice.pk)
    ran(hidden)
    assert client.get(page(hidden)).status_code == 200
    assert bobs.get(page(hidden)).status_code == 404
    assert "Mine" not in texts(read(bobs, reverse(OVERVIEW)))
    graded = grading.grade(hidden.pk, timezone.now().date())
    assert graded is not None
    for which in ("change", "history", "delete"):  # Django's own pages of a row
        address = f"{reverse(OVERVIEW)}{graded.pk}/{which}/"
        assert (client.get(address).status_code, bobs.get(address).status_code) == (404, 404), which
    asking = RequestFactory().get("/")
    asking.user = bob
    assert not admin.site.get_model_admin(Grade).get_queryset(asking).exists()
    charlies = visitor(charlie)
    assert charlies.get(page(hidden)).status_code != 200
    assert charlies.get(reverse("admin:analytics_expectations", args=[project.pk])).status_code != 200
    open_to_all = made(project, "Open")
    own_page = reverse("admin:assistants_assistant_change", args=[quote(open_to_all.pk)])
    assert f'href="{page(open_to_all).rstrip("?")}"' in read(bobs, own_page)


def test_expectations_are_changed_by_those_who_promote(client: Client, bobs: Client, project: Project) -> None:
    address = reverse("admin:analytics_expectations", args=[project.pk])
    assert '<fieldset class="sv-whole" disabled>' in read(bobs, address)
    assert 'name="target_cost_per_run"' in read(client, address)
    form = {"weight_tools": "0", "target_error_rate": "0.05", "target_cost_per_run": "0.25"}
    assert "Missing scopes" in bobs.post(address, form).content.decode()
    assert AuditEvent.objects.filter(action="expectations.update_refused").count() == 1
    assert client.post(address, form).status_code == 302
    said = expectations.standards_of(project.pk)
    assert (said.weights["tools"], said.weights["speed"]) == (0, 20)
    assert (said.targets["error_rate"], said.targets["cost_per_run"]) == (0.05, 0.25)
    shown = ExpectationsForm(said)
    sent = {bound.name: "" if bound.value() is None else str(bound.value()) for bound in shown}
    assert client.post(address, sent).status_code == 302  # as a browser sends all that is there
    kept = Expectations.objects.get(project=project)
    assert (kept.weights, set(kept.targets)) == ({"tools": 0}, {"error_rate", "cost_per_run"})
    refused = client.post(address, {"target_error_rate": "2"}).content.decode()
    assert "less than or equal to 0.99" in refused
    nothing = client.post(address, {f"weight_{name}": "0" for name in said.weights}).content.decode()
    assert "One of the parts has to weigh something" in nothing
    assert expectations.standards_of(project.pk) == said
