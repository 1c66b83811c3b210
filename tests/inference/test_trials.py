"""The test button: one short question through the gateway, at a provider's own engine or at any that has the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from inference import gateway, services
from inference.admin import testing
from inference.admin.testing import Asked
from inference.chat import EngineUnavailable, InferenceError
from inference.models import Engine, RegisteredModel, UsageRecord
from sovereign.accounts.models import AuditEvent, User
from tests.inference.conftest import Upstream, answer, collect, in_database, request_for
from tests.inference.helpers import ready_engine
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db(transaction=True)


def page(engine: Engine) -> str:
    return reverse("admin:inference_provider_test_model", args=[engine.provider_id])


@pytest.fixture(autouse=True)
def awaited(settings: Any) -> None:
    settings.MIDDLEWARE = ["tests.support.later.Awaiting", *settings.MIDDLEWARE]


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_superuser("root")


@pytest.fixture
def client_for() -> Callable[[User], Client]:
    def make(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return make


def asked(engine: Engine | None, model: str = "tiny", **changes: Any) -> Asked:
    return Asked(**{"model": model, "makes_vectors": False, "engine_id": engine and engine.pk, "user_id": 7, **changes})


async def test_the_engine_that_is_meant_is_asked_and_no_other(upstream: Upstream) -> None:
    other = Upstream()
    await other.start()
    try:
        await in_database(ready_engine, other.url, "tiny", name="other")
        engine = await in_database(ready_engine, upstream.url, "tiny")
        for _ in range(3):
            assert await testing._text(asked(engine)) == "Hello"
        assert (len(upstream.requests), other.requests) == (3, [])
        assert upstream.requests[0].body["max_tokens"] == testing.MOST_TOKENS
    finally:
        await other.stop()


async def test_another_engine_or_a_fallback_is_no_answer_of_the_one_that_is_meant(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    down = await in_database(ready_engine, "http://127.0.0.1:9/v1", "tiny", name="other")
    await in_database(services.mark_down, engine_id=down.pk, reason="It is away.")
    with pytest.raises(EngineUnavailable):
        await collect(gateway.stream(request_for(), engine_id=down.pk))
    assert upstream.requests == []


async def test_what_the_call_took_is_written_down_for_who_tested(upstream: Upstream) -> None:
    upstream.answers(answer("Hel", "lo"))
    engine = await in_database(ready_engine, upstream.url, "tiny")
    begun = engine.since
    await testing._text(asked(engine))
    call = await in_database(testing._call, asked(engine), begun)
    assert call is not None
    assert (call["where"], call["tokens"], call["outcome"]) == ("upstream", "3 in, 2 out", "stop")
    row = await in_database(UsageRecord.objects.get)
    assert (row.purpose, row.user_id, row.project_id) == ("test", "7", None)


def test_the_page_asks_and_shows_the_answer_as_text(
    root: User, client_for: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, client = ready_engine("http://127.0.0.1:9/v1", "tiny", "other"), client_for(root)
    change = reverse("admin:inference_provider_change", args=[engine.provider_id])
    assert page(engine) in client.get(change).content.decode()

    async def text(asked: Asked) -> str:
        assert (asked.model, asked.engine_id, asked.user_id) == ("other", engine.pk, root.pk)
        return EVIL

    monkeypatch.setattr(testing, "_text", text)
    shown = client.post(page(engine), {"model": "other"}).content.decode()
    assert "other answers" in shown
    assert not [mark for mark in EVIL_MARKS if mark in shown]
    assert AuditEvent.objects.get(action="provider.tested").details == {"name": "upstream", "model": "other"}


async def test_what_the_gateway_says_for_those_who_run_the_house_is_the_reason(upstream: Upstream) -> None:
    engine = await in_database(ready_engine, "http://127.0.0.1:9/v1", "tiny")
    with pytest.raises(InferenceError) as failed:
        await testing._text(asked(engine))
    assert "127.0.0.1:9" in failed.value.detail


def test_the_page_says_why_nothing_answered(
    root: User, client_for: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, client = ready_engine("http://127.0.0.1:9/v1", "tiny"), client_for(root)

    async def text(asked: Asked) -> str:
        raise InferenceError("The engine is away.", detail=f"10.0.0.5 is away. {EVIL}")

    monkeypatch.setattr(testing, "_text", text)
    shown = client.post(page(engine), {"model": "tiny"}).content.decode()
    assert "tiny did not answer" in shown
    assert "10.0.0.5 is away." in shown
    assert not [mark for mark in EVIL_MARKS if mark in shown]
    shown = client.post(
        page(engine), {"model": "foreign"}
    ).content.decode()  # which it does not serve: nothing is asked
    assert "did not answer" not in shown
    assert AuditEvent.objects.filter(action="provider.tested").count() == 1


def test_a_model_is_tested_on_its_page_by_superusers_alone(
    bob: User, root: User, client_for: Callable[[User], Client]
) -> None:
    engine = ready_engine("http://127.0.0.1:9/v1", "tiny")
    model = RegisteredModel.objects.get(name="tiny")
    address = reverse("admin:inference_registeredmodel_test_model", args=[model.pk])
    for client in (Client(), client_for(bob)):
        for where in (address, page(engine)):
            assert client.get(where).status_code in (302, 403)
            assert client.post(where, {"model": "tiny"}).status_code in (302, 403)
    assert not AuditEvent.objects.filter(action__endswith=".tested").exists()
    assert "<option>tiny</option>" in client_for(root).get(address).content.decode()
    assert client_for(root).get(address.replace(model.pk, "model_none")).status_code == 404


# the engines now


def test_pages_of_engines_providers_and_models_show_how_engines_do(
    bob: User, client_for: Callable[[User], Client]
) -> None:
    engine = ready_engine("http://127.0.0.1:9/v1", "tiny", running=2, waiting=1, cache_usage=0.375, latency_ms=120)
    services.mark_down(engine_id=engine.pk, reason=f"It was away. {EVIL}")
    services.record_probe(
        engine=engine, served=engine.served, capabilities={}, token=True,
        load={"running": 2, "waiting": 1, "cache_usage": 0.375, "latency_ms": 120},
    )  # fmt: skip
    model, client = RegisteredModel.objects.get(name="tiny"), client_for(bob)
    for address in (
        reverse("admin:inference_engine_changelist"),
        reverse("admin:inference_engine_change", args=[engine.pk]),
        reverse("admin:inference_provider_change", args=[engine.provider_id]),
        reverse("admin:inference_registeredmodel_change", args=[model.pk]),
    ):
        shown = client.get(address).content.decode()
        assert 'id="engines-now" data-refresh="5"' in shown
        for words in ("2 running, 1 waiting", "120 ms", "38 % used", "It was away."):
            assert words in shown, (address, words)
        assert not [mark for mark in EVIL_MARKS if mark in shown]
