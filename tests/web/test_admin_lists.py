"""Every list of the admin, with fifty rows: it takes twenty queries at most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db import models
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from assistants.models import Assistant
from sovereign.accounts.admin.lists import MOST_COUNTED, BoundedPaginator
from sovereign.accounts.models import Project, User
from threads.models import Thread

pytestmark = pytest.mark.django_db

ROWS = 50
MOST_QUERIES = 20
#: what the database asks of rows besides their types, by model
GIVEN: dict[str, Callable[[Project, int], dict[str, Any]]] = {
    "accounts.apikey": lambda project, n: {"lookup": f"{n:08}", "digest": f"{n:064}"},
    "accounts.project": lambda project, n: {"name": f"Project {n}"},
    "alerts.alert": lambda project, n: {"state": "resolved", "resolved_at": timezone.now()},
    "alerts.alertrule": lambda project, n: {"metric": "error_rate"},
    "assistants.deployment": lambda project, n: {"status": "superseded", "environment": "testing"},
    "catalog.mcpserver": lambda project, n: {"url": f"https://mcp-{n}.example.org/mcp"},
    "conversations.conversation": lambda project, n: {"thumb": "up", "score": 4},
    "inference.engine": lambda project, n: {"kind": "vllm", "provider": None},
    "inference.usagerecord": lambda project, n: {"project_id": project.pk},
}
FOR_SUPERUSERS = ("accounts.project",)  # of which others see their own only


class Maker:
    """Rows of any model: of what is required something, of a foreign key one parent for all unless it is unique."""

    def __init__(self, project: Project, user: User) -> None:
        self.project = project
        self.parents: dict[type[models.Model], models.Model] = {Project: project, User: user}

    def rows(self, model: type[models.Model], count: int) -> list[models.Model]:
        return [self.row(model, number) for number in range(count)]

    def row(self, model: type[models.Model], number: int) -> models.Model:
        given = GIVEN.get(model._meta.label_lower, lambda project, n: {})(self.project, number)
        values = {
            field.name: self.value(field, number)
            for field in model._meta.concrete_fields
            if field.name not in given and self.is_wanted(field)
        }
        return model._base_manager.create(**values, **given)

    @staticmethod
    def is_wanted(field: Any) -> bool:
        if field.is_relation:
            return not field.null or field.one_to_one or field.related_model is not User
        return not (field.null or field.has_default() or field.primary_key or getattr(field, "auto_now_add", False))

    def value(self, field: Any, number: int) -> Any:
        if field.is_relation:
            return self.parent(field, number)
        if field.choices:
            return field.choices[0][0]
        if isinstance(field, models.DateTimeField):
            return timezone.now()
        if isinstance(field, models.DateField):
            return timezone.now().date()
        if isinstance(field, models.JSONField):
            return {}
        if isinstance(field, models.BooleanField):
            return False
        if isinstance(field, models.CharField | models.TextField):
            return f"{field.name}-{number}"[: field.max_length]
        return number

    def parent(self, field: Any, number: int) -> Any:
        model = field.related_model
        if model is field.model:
            return None
        if field.unique or model is Thread:
            return self.row(model, number)
        if model not in self.parents:
            self.parents[model] = self.row(model, 0)
        return self.parents[model]


def lists() -> Iterator[Any]:
    for model, page in admin.site._registry.items():
        yield pytest.param(model, page, id=model._meta.label_lower)


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_superuser("root")


@pytest.mark.parametrize(("model", "page"), list(lists()))
def test_a_list_of_fifty_takes_few_queries(
    model: type[models.Model], page: Any, project: Project, alice: User, root: User, visit: Callable[[User], Client],
    django_assert_max_num_queries: Any, remembered_registry: Callable[[], None],
) -> None:  # fmt: skip
    before = model._base_manager.count()
    Maker(project, alice).rows(model, ROWS)
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    client = visit(root if model._meta.label_lower in FOR_SUPERUSERS else alice)
    if client.get(address).status_code == 403:
        client = visit(root)
    remembered_registry()
    with django_assert_max_num_queries(MOST_QUERIES):
        answer = client.get(address)
    assert answer.status_code == 200
    context = getattr(answer, "context_data", {})
    if "cl" in context:
        assert context["cl"].result_count >= min(ROWS, before + ROWS)


def test_rows_are_counted_to_ten_thousand(principal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sovereign.accounts.admin.lists.MOST_COUNTED", 3)
    for number in range(5):
        Thread.objects.create(project_id=principal.project_id, title=str(number))
    paginator = BoundedPaginator(Thread.objects.order_by("-id"), 2)
    assert (paginator.count, paginator.is_cut, paginator.num_pages) == (3, True, 2)
    assert MOST_COUNTED == 10_000
    few = BoundedPaginator(Thread.objects.filter(title__in=["1", "2"]).order_by("id"), 2)
    assert (few.count, few.is_cut) == (2, False)


def test_all_of_a_list_that_is_not_counted_to_its_end_cannot_be_chosen(
    principal: Any, alice: User, visit: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "Select all" said ten thousand, and the action was done to all that there were."""
    monkeypatch.setattr("sovereign.accounts.admin.lists.MOST_COUNTED", 3)
    made = [Assistant.objects.create(project_id=principal.project_id, name=f"a{n}", model="m") for n in range(5)]
    client, address = visit(alice), "/admin/assistants/assistant/"
    monkeypatch.setattr("assistants.admin.assistants.AssistantAdmin.list_per_page", 2)
    assert "Select all 3" not in client.get(address).content.decode()
    asked = {"action": "delete_selected", "_selected_action": [made[0].pk], "post": "yes"}
    answer = client.post(address, {**asked, "select_across": "1"}, follow=True)
    assert "There are more than" in answer.content.decode()
    assert Assistant.objects.count() == 5
    client.post(address, {**asked, "select_across": "0"})  # those that were chosen one by one
    assert Assistant.objects.count() == 4
    monkeypatch.setattr("sovereign.accounts.admin.lists.MOST_COUNTED", 4)
    assert "Select all 4" in client.get(address).content.decode()
    client.post(address, {**asked, "select_across": "1"})
    assert not Assistant.objects.exists()


def test_filters_offer_own_values_only(
    principal: Any, project: Project, alice: User, charlie: User, visit: Callable[[User], Client]
) -> None:
    Assistant.objects.create(project_id=project.pk, name="a", model="own-model")
    other = Project.objects.exclude(pk=project.pk).first() or Project.objects.create(name="Hidden project")
    Assistant.objects.create(project_id=other.pk, name="b", model="foreign-model")
    content = visit(alice).get("/admin/assistants/assistant/").content.decode()
    assert "?model=own-model" in content
    assert "foreign-model" not in content
    assert f"project__id__exact={other.pk}" not in content
