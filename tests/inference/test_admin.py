"""The registry in the admin: seen by staff, changed by superusers, its secrets shown to nobody."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from inference import services
from inference.models import Engine, ModelAlias, ModelFallback, ModelPrice, RegisteredModel
from sovereign.accounts.models import AuditEvent, User
from tests.inference.helpers import ready_engine, supervised_engine

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
        assert engine.provider is not None
        assert engine.provider.sealed_key not in text


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


def test_a_superuser_deletes_engines_that_are_supervised_here(
    engine: Engine, root: User, client_for: Callable[[User], Client]
) -> None:
    ours = supervised_engine()
    actions = {"action": "delete_selected", "_selected_action": ours.pk, "post": "yes"}
    client_for(root).post(page("engine"), actions)
    assert list(Engine.objects.all()) == [engine]
    assert AuditEvent.objects.filter(action="engine.deleted", object_id=ours.pk).exists()
    assert client_for(root).post(page("engine", "delete", engine.pk), {"post": "yes"}).status_code == 403
    client_for(root).post(page("engine"), {**actions, "_selected_action": engine.pk})
    assert list(Engine.objects.all()) == [engine], "it goes with its provider"


def fallback_form(model: RegisteredModel, *chosen: tuple[int, RegisteredModel], aliases: str = "") -> dict[str, Any]:
    """What the page of a model posts: fallbacks in their order, and perhaps a new alias."""
    rows = list(ModelFallback.objects.filter(model=model).order_by("position"))
    form: dict[str, Any] = {
        "aliases-TOTAL_FORMS": 1 if aliases else 0,
        "aliases-INITIAL_FORMS": 0,
        "fallbacks-TOTAL_FORMS": len(chosen),
        "fallbacks-INITIAL_FORMS": len(rows),
    }
    for number, (order, fallback) in enumerate(chosen):
        row = {"order": order, "fallback": fallback.pk, "model": model.pk, "id": ""}
        if number < len(rows):
            row["id"] = rows[number].pk
        form |= {f"fallbacks-{number}-{name}": value for name, value in row.items()}
    if aliases:
        form |= {"aliases-0-alias": aliases, "aliases-0-model": model.pk, "aliases-0-id": ""}
    return form


def chain(name: str) -> list[str]:
    found = ModelFallback.objects.filter(model__name=name).order_by("position")
    return list(found.values_list("fallback__name", flat=True))


def test_fallbacks_are_put_in_order_and_circles_refused(root: User, client_for: Callable[[User], Client]) -> None:
    services.register_models(names=[(name, "", None) for name in ("alpha", "beta", "gamma")])
    alpha, beta, gamma = RegisteredModel.objects.order_by("name")
    client = client_for(root)
    address = page("registeredmodel", "change", alpha.pk)
    assert client.post(address, fallback_form(alpha, (2, beta), (1, gamma))).status_code == 302
    assert chain("alpha") == ["gamma", "beta"]
    assert client.post(address, fallback_form(alpha, (3, gamma), (1, beta))).status_code == 302
    assert chain("alpha") == ["beta", "gamma"]
    circle = client.post(page("registeredmodel", "change", beta.pk), fallback_form(beta, (1, alpha)))
    assert "would lead back to it" in unescape(circle.content.decode())
    itself = client.post(address, fallback_form(alpha, (1, alpha)))
    assert "would lead back to it" in unescape(itself.content.decode())
    assert chain("beta") == []
    assert AuditEvent.objects.filter(action="model.fallbacks_set", user_id=root.pk).count() == 2


def test_a_model_gets_an_alias_on_its_page(root: User, client_for: Callable[[User], Client]) -> None:
    services.register_models(names=[("alpha", "", None)])
    model = RegisteredModel.objects.get()
    form = fallback_form(model, aliases="house")
    client_for(root).post(page("registeredmodel", "change", model.pk), form)
    assert ModelAlias.objects.get().alias == "house"
    assert client_for(root).get(page("registeredmodel", "change", model.pk)).status_code == 200


def test_a_served_model_is_not_deleted(engine: Engine, root: User, client_for: Callable[[User], Client]) -> None:
    client, alpha = client_for(root), RegisteredModel.objects.get(name="alpha")
    answer = client.post(page("registeredmodel", "delete", alpha.pk), {"post": "yes"}, follow=True)
    assert "being served" in unescape(answer.content.decode())
    services.mark_down(engine_id=engine.id, reason="gone")
    client.post(page("registeredmodel", "delete", alpha.pk), {"post": "yes"})
    assert not RegisteredModel.objects.filter(name="alpha").exists()
    assert AuditEvent.objects.filter(action="model.deleted", user_id=root.pk).exists()


def test_a_price_is_typed_for_a_million_tokens(
    engine: Engine, root: User, bob: User, client_for: Callable[[User], Client]
) -> None:
    form = {
        "model": "alpha", "provider": engine.provider_id, "valid_from": "2026-11-01",
        "prompt_price": "0.15", "cached_price": "0.075", "completion_price": "0.6",
    }  # fmt: skip
    client = client_for(root)
    assert client.post(page("modelprice", "add"), form).status_code == 302
    price = ModelPrice.objects.get()
    assert (price.prompt, price.cached, price.completion) == (150, 75, 600)
    shown = client.get(page("modelprice", "change", price.pk)).content.decode()
    assert 'value="0.15"' in shown
    twice = client.post(page("modelprice", "add"), form, follow=True)
    assert "already" in twice.content.decode()
    assert client.post(page("modelprice", "change", price.pk), {**form, "cached_price": ""}).status_code == 302
    price.refresh_from_db()
    assert price.cached is None
    for address in (page("modelprice"), page("modelprice", "change", price.pk)):
        page_of_staff = client_for(bob).get(address)
        assert (page_of_staff.status_code, "0.15" in page_of_staff.content.decode()) == (200, True)
    assert client_for(bob).post(page("modelprice", "change", price.pk), form).status_code == 403
    client.post(page("modelprice", "delete", price.pk), {"post": "yes"})
    assert not ModelPrice.objects.exists()
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert actions >= {"model_price.created", "model_price.changed", "model_price.deleted"}


@pytest.mark.parametrize("value", ["-1", "0.0001", "1e12", "free"])
def test_prices_that_are_none(value: str, root: User, client_for: Callable[[User], Client]) -> None:
    form = {"model": "alpha", "valid_from": "2026-11-01", "prompt_price": value, "completion_price": "1"}
    assert client_for(root).post(page("modelprice", "add"), form).status_code == 200
    assert not ModelPrice.objects.exists()
