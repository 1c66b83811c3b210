"""The registry in the admin: seen by staff, changed by superusers, its secrets shown to nobody."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from inference import services
from inference.models import Engine, ModelAlias, RegisteredModel
from sovereign.accounts.models import AuditEvent, User
from tests.inference.helpers import ready_engine

pytestmark = pytest.mark.django_db

SECRET = "sk-engine-secret-0123456789"
PAGES = ["engine", "registeredmodel", "modelalias"]


@pytest.fixture
def engine() -> Engine:
    return ready_engine("http://127.0.0.1:9100/v1", "alpha", "beta", key=SECRET)


@pytest.fixture
def client_for() -> Callable[[User], Client]:
    def make(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_superuser("root")


def page(model: str, view: str = "changelist", *args: str) -> str:
    return reverse(f"admin:inference_{model}_{view}", args=args)


def rows() -> dict[str, str]:
    model = RegisteredModel.objects.get(name="alpha")
    alias = services.add_alias(alias="house", model=model)
    return {"engine": Engine.objects.get().pk, "registeredmodel": model.pk, "modelalias": alias.pk}


@pytest.mark.parametrize("model", PAGES)
def test_staff_sees_and_cannot_change(
    model: str, engine: Engine, bob: User, client_for: Callable[[User], Client]
) -> None:
    client, row = client_for(bob), rows()[model]
    assert client.get(page(model)).status_code == 200
    assert client.get(page(model, "change", row)).status_code == 200
    assert client.post(page(model, "change", row), {"name": "x"}).status_code == 403
    assert client.get(page(model, "add")).status_code == 403
    assert client.post(page(model, "delete", row), {"post": "yes"}).status_code == 403
    actions = {"action": "delete_selected", "_selected_action": row, "post": "yes"}
    client.post(page(model), actions)
    client.post(page(model), {"action": "make_default", "_selected_action": row})
    assert (Engine.objects.count(), RegisteredModel.objects.count(), ModelAlias.objects.count()) == (1, 2, 1)
    assert not RegisteredModel.objects.filter(is_default=True).exists()


@pytest.mark.parametrize("model", PAGES)
def test_who_is_no_staff_sees_nothing(model: str, engine: Engine, client_for: Callable[[User], Client]) -> None:
    outsider = User.objects.create_user("nobody")
    assert client_for(outsider).get(page(model)).status_code == 302
    assert Client().get(page(model)).status_code == 302


def test_no_page_shows_a_key(engine: Engine, root: User, client_for: Callable[[User], Client]) -> None:
    client = client_for(root)
    for address in (page("engine"), page("engine", "change", engine.pk), page("engine", "delete", engine.pk)):
        text = client.get(address).content.decode()
        assert SECRET not in text
        assert engine.sealed_key not in text


def test_a_superuser_chooses_the_default(engine: Engine, root: User, client_for: Callable[[User], Client]) -> None:
    beta = RegisteredModel.objects.get(name="beta")
    client_for(root).post(page("registeredmodel"), {"action": "make_default", "_selected_action": beta.pk})
    assert list(RegisteredModel.objects.filter(is_default=True)) == [beta]
    assert AuditEvent.objects.get(action="model.made_default").user_id == root.pk
    both = list(RegisteredModel.objects.values_list("pk", flat=True))
    client_for(root).post(page("registeredmodel"), {"action": "make_default", "_selected_action": both})
    assert list(RegisteredModel.objects.filter(is_default=True)) == [beta]


def test_a_superuser_makes_and_deletes_an_alias(
    engine: Engine, root: User, client_for: Callable[[User], Client]
) -> None:
    client, alpha = client_for(root), RegisteredModel.objects.get(name="alpha")
    assert client.post(page("modelalias", "add"), {"alias": "gpt-4o", "model": alpha.pk}).status_code == 302
    alias = ModelAlias.objects.get()
    assert (alias.alias, alias.model) == ("gpt-4o", alpha)
    client.post(page("modelalias", "delete", alias.pk), {"post": "yes"})
    assert not ModelAlias.objects.exists()
    assert set(AuditEvent.objects.values_list("action", flat=True)) >= {"model_alias.created", "modelalias.deleted"}


def test_an_alias_that_exists_is_told(engine: Engine, root: User, client_for: Callable[[User], Client]) -> None:
    alpha = RegisteredModel.objects.get(name="alpha")
    services.add_alias(alias="house", model=alpha)
    answer = client_for(root).post(page("modelalias", "add"), {"alias": "house", "model": alpha.pk})
    assert answer.status_code == 200
    assert ModelAlias.objects.count() == 1


def test_a_superuser_deletes_engines(engine: Engine, root: User, client_for: Callable[[User], Client]) -> None:
    actions = {"action": "delete_selected", "_selected_action": engine.pk, "post": "yes"}
    client_for(root).post(page("engine"), actions)
    assert not Engine.objects.exists()
    assert AuditEvent.objects.filter(action="engine.deleted", object_id=engine.pk).exists()
