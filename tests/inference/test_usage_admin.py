"""Usage in the admin: for those who may see it, of their projects, and never to be written."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from inference.admin.usage import money
from inference.models import UsageRecord
from sovereign.accounts import services
from sovereign.accounts.models import ApiKey, Project, User
from sovereign.accounts.scopes import Role

pytestmark = pytest.mark.django_db

LIST = "/admin/inference/usagerecord/"
TOTALS = LIST + "totals/"


def record(project: Project | None, **changes: Any) -> UsageRecord:
    instant = timezone.now() - timedelta(days=changes.pop("age", 0))
    values = {"model": "big", "outcome": "stop", "cost": 2_500_000, "prompt_tokens": 7, "completion_tokens": 5}
    values |= {"day": instant.date(), "created_at": instant, "project_id": project.pk if project else None}
    return UsageRecord.objects.create(**{**values, **changes})


def visit(user: User) -> Client:
    client = Client(headers={"Accept": "text/html"})
    client.force_login(user)
    return client


@pytest.fixture
def owner(alice: User, project: Project) -> Client:
    alice.refresh_from_db()
    return visit(alice)


def page(client: Client, address: str) -> str:
    response = client.get(address, follow=False)
    assert response.status_code == 200
    return response.content.decode()


def test_the_calls_of_a_project_are_listed(owner: Client, project: Project) -> None:
    row = record(project, model="the-model")
    content = page(owner, LIST)
    assert "the-model" in content
    assert "0.0025" in content
    assert "7 in, 5 out" in content
    assert project.name.replace("'", "&#x27;") in content
    shown = page(owner, reverse("admin:inference_usagerecord_change", args=[row.pk]))
    assert row.pk in shown
    assert 'name="_save"' not in shown


def test_nothing_of_another_project_is_seen(owner: Client, charlie: User, project: Project) -> None:
    theirs = Project.objects.get(name="Charlie's")
    row = record(theirs, model="their-model")
    house = record(None, model="nobodys-model")
    for address in (LIST, TOTALS, TOTALS + "?by=project", TOTALS + "?by=model"):
        content = page(owner, address)
        assert "their-model" not in content
        assert "nobodys-model" not in content
        assert "Charlie" not in content
    for other in (row, house):
        assert owner.get(reverse("admin:inference_usagerecord_change", args=[other.pk])).status_code in (302, 403, 404)


def test_an_analyst_may_not_see_it(bob: User, project: Project) -> None:
    client = visit(bob)
    assert client.get(LIST).status_code == 403
    assert client.get(TOTALS).status_code == 403
    services.set_role(membership=bob.memberships.get(), role=Role.ADMIN)
    assert client.get(TOTALS).status_code == 200


def test_nobody_writes_it(owner: Client, project: Project) -> None:
    row = record(project)
    for address in ("add/", f"{row.pk}/delete/"):
        assert owner.get(LIST + address).status_code == 403
    assert owner.post(f"{LIST}{row.pk}/change/", {"model": "x"}).status_code == 403


def test_totals_are_by_what_was_asked(owner: Client, project: Project) -> None:
    key = ApiKey.objects.create(project=project, name="The app", lookup="l", digest="d")
    today = record(project, key_id=key.pk).day
    record(project, model="small", assistant_id="asst_1", outcome="server_error")
    record(project, age=40, model="former")
    assert "big" in page(owner, TOTALS)
    assert "former" not in page(owner, TOTALS)
    assert "The app" in page(owner, TOTALS + "?by=key")
    assert "asst_1" in page(owner, TOTALS + "?by=assistant")
    assert project.name.replace("'", "&#x27;") in page(owner, TOTALS + "?by=project")
    assert str(today) in page(owner, TOTALS + "?by=day")
    first = (timezone.now() - timedelta(days=50)).date()
    assert "former" in page(owner, f"{TOTALS}?by=model&first={first}")
    assert "0.005" in page(owner, TOTALS), "of all"


@pytest.mark.parametrize(
    "query", ["?by=outcome", "?by=", "?first=2026-99-99&last=x", "?first=2026-05-01&last=2026-04-01"]
)
def test_what_cannot_be_read_is_not_taken_for_something(owner: Client, project: Project, query: str) -> None:
    record(project)
    page(owner, TOTALS + query)


def test_money_is_exact() -> None:
    assert [money(nano) for nano in (0, 1, 150, 10**9, 2_500_000_000, 123_456_789_012)] == [
        *("0", "0.000000001", "0.00000015", "1", "2.5", "123.456789012")
    ]
