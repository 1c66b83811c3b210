"""The admin's page of limits: superusers limit projects, and a project's own people its keys within that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from sovereign.accounts import services
from sovereign.accounts.models import ApiKey, AuditEvent, Limit, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ALL_SCOPES, ROLE_SCOPES, Role
from sovereign.accounts.services import quotas
from sovereign.accounts.services.quotas import Demand, Limits, Subject
from sovereign.core.errors import ApiError

pytestmark = pytest.mark.django_db

ADD = reverse("admin:accounts_limit_add")
LIST = reverse("admin:accounts_limit_changelist")


@pytest.fixture
def key(api_key: str) -> ApiKey:
    return ApiKey.objects.get()


@pytest.fixture
def visit(alice: User, project: Project) -> Callable[[User], Client]:
    def make(user: User) -> Client:
        user.refresh_from_db()
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def owner(visit: Callable[[User], Client], alice: User) -> Client:
    return visit(alice)


@pytest.fixture
def root(visit: Callable[[User], Client]) -> Client:
    return visit(User.objects.create_superuser("root"))


def page(row: Limit, view: str = "change") -> str:
    return reverse(f"admin:accounts_limit_{view}", args=[row.pk])


def told(answer: Any) -> str:
    return " ".join(map(str, get_messages(answer.wsgi_request)))


def of_project(project: Project, **limits: int) -> Limit:
    row = services.set_project_limits(project=project, limits=Limits(**limits))
    assert row is not None
    return row


# ------------------------------------------------------------------------------------------------- in the browser


def test_an_owner_limits_a_key_and_it_is_written_down(owner: Client, alice: User, key: ApiKey) -> None:
    assert key.name in owner.get(ADD).content.decode()
    assert owner.post(ADD, {"key": key.pk, "requests_per_minute": 60}).status_code == 302
    row = Limit.objects.get()
    assert (row.key, row.project_id, row.requests_per_minute, row.tokens_per_day) == (key, key.project_id, 60, None)
    owner.post(page(row), {"requests_per_minute": 30, "concurrent_calls": 2})
    assert owner.post(page(row, "delete"), {"post": "yes"}).status_code == 302
    assert not Limit.objects.exists()
    events = AuditEvent.objects.about(key).filter(action="api_key.limits_changed").order_by("pk")
    assert [(event.user_id, event.project_id) for event in events] == [(alice.pk, key.project_id)] * 3
    assert [event.details for event in events] == [
        {"before": {}, "limits": {"requests_per_minute": 60}},
        {"before": {"requests_per_minute": 60}, "limits": {"requests_per_minute": 30, "concurrent_calls": 2}},
        {"before": {"requests_per_minute": 30, "concurrent_calls": 2}, "limits": {}},
    ]


def test_a_superuser_limits_a_project_and_its_owner_only_sees_it(root: Client, owner: Client, project: Project) -> None:
    assert root.post(ADD, {"project": project.pk, "tokens_per_day": 1000}).status_code == 302
    row = Limit.objects.get()
    assert (row.key, row.project, row.tokens_per_day) == (None, project, 1000)
    assert AuditEvent.objects.filter(action="project.limits_changed", project=project, user_id__gt=0).exists()
    content = owner.get(page(row)).content.decode()
    assert "0 of 1,000" in content
    assert 'name="tokens_per_day"' not in content
    assert owner.post(page(row), {"tokens_per_day": 5}).status_code == 403
    assert owner.post(page(row, "delete"), {"post": "yes"}).status_code == 403
    owner.post(LIST, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert Limit.objects.get().tokens_per_day == 1000
    assert root.post(page(row), {"tokens_per_day": 2000}).status_code == 302
    assert root.post(page(row, "delete"), {"post": "yes"}).status_code == 302
    assert not Limit.objects.exists()


def test_who_is_no_superuser_gets_no_whole_project(owner: Client, project: Project, key: ApiKey) -> None:
    assert 'name="project"' not in owner.get(ADD).content.decode()
    answer = owner.post(ADD, {"project": project.pk, "requests_per_minute": 5})
    assert answer.status_code == 200
    assert "This field is required." in answer.content.decode()
    assert not Limit.objects.exists()


def test_a_key_has_no_more_than_its_project(owner: Client, project: Project, key: ApiKey) -> None:
    of_project(project, requests_per_minute=60)
    answer = owner.post(ADD, {"key": key.pk, "requests_per_minute": 61, "tokens_per_minute": 10**6})
    refused = answer.context["adminform"].form.errors
    words = "Invalid 'requests_per_minute': the project has 60, and a key of it can have no more."
    assert refused == {"requests_per_minute": [words]}, "at its field, and what was typed stands there"
    assert not Limit.objects.exclude(key=None).exists()
    assert owner.post(ADD, {"key": key.pk, "requests_per_minute": 60, "tokens_per_minute": 10**6}).status_code == 302
    of_project(project, requests_per_minute=10)
    assert Limit.objects.get(key=key).requests_per_minute == 60, "both apply, so that it need not be touched"


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "Nothing is limited."),
        ({"requests_per_minute": 0}, "expected a number from 1 to"),
        ({"requests_per_minute": -1}, "greater than or equal to 0"),
        ({"concurrent_calls": 1001}, "expected a number from 1 to 1000"),
        ({"tokens_per_day": 10**13}, "expected a number from 1 to"),
        ({"tokens_per_day": "x"}, "Enter a whole number."),
    ],
)
def test_numbers_that_are_none(owner: Client, key: ApiKey, form: dict[str, Any], words: str) -> None:
    answer = owner.post(ADD, {"key": key.pk, **form})
    assert words in (answer.content.decode() if answer.status_code == 200 else told(answer))
    assert not Limit.objects.exists()


def test_a_key_and_another_project_do_not_go_together(
    root: Client, key: ApiKey, charlies_project: Project, project: Project
) -> None:
    answer = root.post(ADD, {"key": key.pk, "project": charlies_project.pk, "requests_per_minute": 5})
    assert "This key belongs to another project." in answer.content.decode()
    assert "Choose a key." in root.post(ADD, {"requests_per_minute": 5}).content.decode()
    assert root.post(ADD, {"key": key.pk, "requests_per_minute": 5}).status_code == 302
    assert root.post(ADD, {"project": project.pk, "requests_per_minute": 5}).status_code == 302
    twice = root.post(ADD, {"project": project.pk, "requests_per_minute": 5})
    assert twice.status_code == 200
    assert Limit.objects.count() == 2


def test_an_outsider_sees_and_does_nothing(
    visit: Callable[[User], Client], charlie: User, bob: User, project: Project, key: ApiKey
) -> None:
    row = of_project(project, requests_per_minute=60)
    services.set_key_limits(key=key, limits=Limits(requests_per_minute=7))
    outsider = visit(charlie)
    assert key.name not in outsider.get(ADD).content.decode()
    assert "Alice" not in outsider.get(LIST).content.decode()
    refused = outsider.post(ADD, {"key": key.pk, "requests_per_minute": 1})
    assert "not one of the available choices" in refused.content.decode()
    for client in (outsider, visit(bob)):  # Bob is an analyst: he manages no keys
        for limit in (row, Limit.objects.get(key=key)):
            assert client.get(page(limit)).status_code in (302, 403)
            assert client.post(page(limit), {"requests_per_minute": 1}).status_code in (302, 403)
    assert visit(bob).get(LIST).status_code == 403
    assert sorted(Limit.objects.values_list("requests_per_minute", flat=True)) == [7, 60]


def test_the_list_shows_what_is_used_now(
    owner: Client, project: Project, key: ApiKey, django_assert_max_num_queries: Any
) -> None:
    of_project(project, requests_per_minute=1000, concurrent_calls=8)
    services.set_key_limits(key=key, limits=Limits(requests_per_minute=60, tokens_per_minute=90_000))
    subjects = Subject("key", key.pk), Subject("project", project.pk)
    quotas.reserve([Demand(subjects, tokens=12_345), Demand(subjects)])
    with django_assert_max_num_queries(12):
        content = owner.get(LIST).content.decode()
    for text in ("the whole project", str(key), "2 of 60", "2 of 1,000", "12,345 of 90,000", "2 of 8"):
        assert text in content, text


# ------------------------------------------------------------------------------------------------- the services


@pytest.mark.parametrize(("role", "allowed"), [("owner", True), ("admin", True), ("analyst", False), ("viewer", False)])
def test_who_may_limit_a_key(key: ApiKey, role: str, allowed: bool) -> None:
    principal = Principal(project_id=key.project_id, user_id=1, role=role, scopes=ROLE_SCOPES[role])
    wanted = Limits(requests_per_minute=1)
    if allowed:
        assert services.set_key_limits(key=key, limits=wanted, principal=principal) is not None
        return
    with pytest.raises(ApiError, match="keys:manage"):
        services.set_key_limits(key=key, limits=wanted, principal=principal)


def test_another_projects_key_is_unknown(key: ApiKey, charlies_project: Project) -> None:
    stranger = Principal(project_id=charlies_project.pk, user_id=1, role=Role.OWNER, scopes=ALL_SCOPES)
    with pytest.raises(ApiError) as refused:
        services.set_key_limits(key=key, limits=Limits(requests_per_minute=1), principal=stranger)
    assert refused.value.status == 404


def test_the_same_limits_again_are_no_change(project: Project, key: ApiKey) -> None:
    for _ in range(2):
        of_project(project, requests_per_minute=5)
        services.set_key_limits(key=key, limits=Limits(requests_per_minute=5))
        services.set_key_limits(key=key, limits=Limits(requests_per_minute=5))
    assert AuditEvent.objects.filter(action__endswith="limits_changed").count() == 2
    services.set_key_limits(key=key, limits=Limits())
    assert services.set_key_limits(key=key, limits=Limits()) is None
    assert AuditEvent.objects.filter(action__endswith="limits_changed").count() == 3


def test_limits_of_what_is_gone(project: Project) -> None:
    gone = Project(id="proj_gone")
    with pytest.raises(ApiError, match="No project found"):
        services.set_project_limits(project=gone, limits=Limits(requests_per_minute=5))
