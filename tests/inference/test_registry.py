"""What engines report about themselves, and what people are told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from inference import gateway, services
from inference.chat import Capabilities
from inference.engines.status import engine_status
from inference.models import Engine, RegisteredModel
from tests.inference.helpers import age, provider_engine, ready_engine, supervised_engine

pytestmark = pytest.mark.django_db

URL = "http://127.0.0.1:9100/v1"


def test_an_engine_is_ready_once_a_token_was_seen() -> None:
    engine = provider_engine(URL)
    served = [{"id": "alpha", "context_length": 512}]
    services.record_probe(engine=engine, served=served, capabilities={}, token=False)
    assert not gateway.availability("alpha").ready
    services.record_probe(engine=engine, served=served, capabilities={"continuation": True}, token=True)
    found = gateway.availability("alpha")
    assert found.ready
    assert found.capabilities == Capabilities(continuation=True, context_length=512)
    assert list(RegisteredModel.objects.values_list("name", "context_length")) == [("alpha", 512)]


def test_an_engine_that_fails_is_down_since_its_first_failure() -> None:
    engine = ready_engine(URL, "alpha")
    services.mark_down(engine_id=engine.id, reason="127.0.0.1:9100 refused the connection.")
    age(engine, since=600)
    since = engine.since
    services.mark_down(engine_id=engine.id, reason="127.0.0.1:9100 refused the connection again.")
    engine.refresh_from_db()
    assert (engine.state, engine.since, engine.failures) == ("down", since, 2)
    found = gateway.availability("alpha")
    expected = f"No engine serves 'alpha': the provider {engine.name} is down since {since:%H:%M} UTC."
    assert (found.ready, found.reason) == (False, expected)
    assert found.capabilities.context_length == 512


def test_a_model_whose_engine_is_down_passes_the_door() -> None:
    engine = ready_engine(URL, "alpha")
    services.mark_down(engine_id=engine.id, reason="It is gone.")
    gateway.check_model("alpha")


def test_a_down_engine_that_works_again_is_ready_from_now_on() -> None:
    engine = ready_engine(URL, "alpha")
    services.mark_down(engine_id=engine.id, reason="It is gone.")
    age(engine, since=600)
    services.record_probe(engine=engine, served=engine.served, capabilities={}, token=True)
    before = engine.since
    engine.refresh_from_db()
    assert (engine.state, engine.reason, engine.failures) == ("ready", "", 0)
    assert engine.since > before


def test_reports_about_an_address_that_was_replaced_change_nothing() -> None:
    old = ready_engine(URL, "alpha")
    provider_engine("http://127.0.0.1:9200/v1")
    services.record_probe(engine=old, served=old.served, capabilities={}, token=True)
    services.mark_down(engine_id=old.id, reason="old", base_url=old.base_url)
    engine = Engine.objects.get()
    assert (engine.state, engine.base_url, engine.served) == ("loading", "http://127.0.0.1:9200/v1", [])


def test_the_same_address_again_keeps_what_is_known() -> None:
    engine = ready_engine(URL, "alpha", key="k")
    provider_engine(f"{URL}/", key="k")
    assert Engine.objects.get().state == "ready"
    provider_engine(URL, key="other")
    assert Engine.objects.get().state == "loading"
    assert Engine.objects.get().pk == engine.pk


def test_one_monitor_claims_a_probe() -> None:
    engine = provider_engine(URL)
    second = timedelta(seconds=1)
    assert services.claim_probe(engine_id=engine.id, interval=second)
    assert not services.claim_probe(engine_id=engine.id, interval=second)
    age(engine, probed_at=2)
    assert services.claim_probe(engine_id=engine.id, interval=second)


def test_a_token_of_real_traffic_is_recorded_at_most_every_five_seconds() -> None:
    engine = ready_engine(URL, "alpha")
    age(engine, last_token_at=3)
    before = engine.last_token_at
    services.record_token(engine_id=engine.id)
    engine.refresh_from_db()
    assert engine.last_token_at == before
    age(engine, last_token_at=6)
    services.record_token(engine_id=engine.id)
    engine.refresh_from_db()
    assert engine.last_token_at is not None
    assert before is not None
    assert engine.last_token_at > before


def test_what_people_are_told_while_the_engine_loads() -> None:
    engine = supervised_engine()
    age(engine, since=40)
    engine.refresh_from_db()
    # the minute it began, not the seconds since: the reason is stored with every waiting run
    assert gateway.availability("gpt-4o").reason == f"The engine is loading alpha since {engine.since:%H:%M} UTC."


def test_what_people_are_told_when_a_supervised_engine_is_down() -> None:
    engine = supervised_engine(state="down", reason="It ran out of memory. Next try in 4 s.")
    expected = f"The engine of alpha is down since {engine.since:%H:%M} UTC: It ran out of memory. Next try in 4 s."
    assert gateway.availability("alpha").reason == expected


def test_an_engine_whose_supervisor_died_a_minute_ago_is_not_asked() -> None:
    engine = supervised_engine(state="ready", base_url="http://127.0.0.1:9/v1")
    assert gateway.availability("alpha").ready
    age(engine, heartbeat_at=70)
    assert gateway.availability("alpha").ready, "it may be adopted"
    age(engine, heartbeat_at=80)
    found = gateway.availability("alpha")
    assert (found.ready, "lost its supervisor" in found.reason) == (False, True)
    assert [status["state"] for status in engine_status()] == ["down"]


def test_what_people_are_told_without_any_engine() -> None:
    services.register_models(names=[("alpha", "", None)])
    assert gateway.availability("alpha").reason == "No engine serves 'alpha': none is configured or running."
    assert gateway.availability("gpt-4o").reason == "No engine serves 'alpha': none is configured or running."
    assert gateway.availability("nobody").reason == "The model 'nobody' does not exist"


def test_a_model_that_no_running_engine_has() -> None:
    ready_engine(URL, "alpha")
    services.register_models(names=[("beta", "", None)])
    assert gateway.availability("beta").reason == "No engine serves 'beta'."


def test_a_supervisor_that_starts_again_replaces_its_row_and_forgotten_ones() -> None:
    old = supervised_engine()
    forgotten = services.open_engine(name="x", source="", context_length=None, supervisor_id="sup_2", key="k")
    age(forgotten, heartbeat_at=7_200)
    other = services.open_engine(name="y", source="", context_length=None, supervisor_id="sup_3", key="k")
    new = services.open_engine(name="alpha", source="/m", context_length=9, supervisor_id="sup_1", key="k")
    assert set(Engine.objects.values_list("id", flat=True)) == {other.id, new.id}
    assert old.id != new.id
    assert RegisteredModel.objects.get(name="alpha").source == "/m"


def test_a_supervisors_report_moves_since_only_with_the_state() -> None:
    engine = supervised_engine()
    age(engine, since=100)
    services.report_engine(engine_id=engine.id, state="loading", reason="Loading the weights.", base_url="http://h/v1")
    since = engine.since
    engine.refresh_from_db()
    assert (engine.since, engine.reason, engine.base_url) == (since, "Loading the weights.", "http://h/v1")
    assert services.report_engine(engine_id=engine.id, state="ready", reason="", base_url="http://h/v1", token=True)
    engine.refresh_from_db()
    assert engine.since > since
    assert engine.last_token_at is not None
    services.close_engine(engine_id=engine.id)
    assert not services.report_engine(engine_id=engine.id, state="ready", reason="", base_url="")


def test_ready_engines_come_first_in_the_status() -> None:
    supervised_engine()
    ready_engine(URL, "alpha")
    found = engine_status()
    assert [(status["name"], status["state"]) for status in found] == [
        ("127.0.0.1:9100", "ready"),
        ("alpha", "loading"),
    ]
    assert found[0]["model"] == "alpha"


@pytest.mark.parametrize("field", ["state", "kind"])
def test_the_database_refuses_states_and_kinds_that_do_not_exist(field: str) -> None:
    engine = supervised_engine()
    with pytest.raises(IntegrityError), transaction.atomic():
        Engine.objects.filter(pk=engine.pk).update(**{field: "odd"})
