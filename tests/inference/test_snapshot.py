"""The registry in memory: how long it is believed, and what ends that."""

from __future__ import annotations

import threading

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from inference import gateway, services, snapshot
from inference.gateway import routing
from inference.models import Engine, RegisteredModel
from sovereign.accounts.models import Project
from sovereign.core.errors import ApiError
from tests.inference.helpers import ready_engine, supervised_engine

pytestmark = pytest.mark.django_db(transaction=True)

URL = "http://127.0.0.1:9/v1"


@pytest.fixture(autouse=True)
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the product, only that a slow machine does not make it old."""
    monkeypatch.setattr(snapshot, "VALID", 600.0)
    snapshot.forget()


def test_what_is_in_memory_is_asked_for_nothing(project: Project) -> None:
    ready_engine(URL, "alpha")
    gateway.check_model("alpha", project_id=project.pk)
    with CaptureQueriesContext(connection) as asked:
        gateway.check_model("alpha", project_id=project.pk)
        gateway.check_model("gpt-4o", project_id=project.pk)
        assert gateway.availability("alpha", project_id=project.pk).ready
        found = routing.routes_in_memory("alpha", project.pk)
    assert len(asked) == 0
    assert found is not None
    assert [candidate.endpoint.model for candidate in found[0].candidates] == ["alpha"]
    assert routing.routes_in_memory("alpha", project.pk) == found, "worked out once"


def test_reading_it_is_a_handful_of_queries(project: Project) -> None:
    for name in ("alpha", "beta"):
        ready_engine(URL, name, name=name)
    with CaptureQueriesContext(connection) as asked:
        gateway.check_model("alpha", project_id=project.pk)
    assert len(asked) <= 7


def test_what_this_process_changes_is_known_at_once(project: Project) -> None:
    engine = ready_engine(URL, "alpha")
    assert gateway.availability("alpha", project_id=project.pk).ready
    services.mark_down(engine_id=engine.pk, reason="It burns.")
    assert not gateway.availability("alpha", project_id=project.pk).ready
    services.record_probe(engine=engine, served=engine.served, capabilities={}, token=True)
    assert gateway.availability("alpha", project_id=project.pk).ready
    services.add_alias(alias="house", model=RegisteredModel.objects.get(name="alpha"))
    gateway.check_model("house", project_id=project.pk)
    assert engine.provider is not None
    services.update_provider(provider=engine.provider, all_projects=False)
    assert gateway.meanings(["alpha", "house"], project_id=project.pk) == {"alpha": None, "house": None}


def test_what_another_process_changes_is_known_when_it_is_too_old(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ready_engine(URL, "alpha")
    assert gateway.availability("alpha", project_id=project.pk).ready
    Engine.objects.filter(pk=engine.pk).update(state="down")
    assert gateway.availability("alpha", project_id=project.pk).ready
    monkeypatch.setattr(snapshot, "VALID", 0.0)
    assert not gateway.availability("alpha", project_id=project.pk).ready


def test_a_no_is_asked_again(project: Project) -> None:
    """Another process may have made it known since."""
    engine = ready_engine(URL, "alpha")
    Engine.objects.filter(pk=engine.pk).update(state="down")
    snapshot.forget()
    assert not gateway.availability("alpha", project_id=project.pk).ready
    Engine.objects.filter(pk=engine.pk).update(state="ready")
    assert gateway.availability("alpha", project_id=project.pk).ready
    RegisteredModel.objects.create(name="beta", created_at=engine.since)
    gateway.check_model("beta", project_id=project.pk)
    with CaptureQueriesContext(connection) as asked, pytest.raises(ApiError):
        gateway.check_model("gamma", project_id=project.pk)
    assert 0 < len(asked) <= 7, "once"


def test_what_was_read_before_a_change_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    supervised_engine("alpha")
    real = snapshot.Snapshot

    def changed_meanwhile() -> snapshot.Snapshot:
        found = real()
        snapshot.forget()
        return found

    monkeypatch.setattr(snapshot, "Snapshot", changed_meanwhile)
    assert snapshot.current().models
    assert snapshot.fresh() is None


def test_nobody_waits_for_another_who_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    supervised_engine("alpha")
    old = snapshot.current()
    monkeypatch.setattr(snapshot, "fresh", lambda: None)
    with snapshot._reading:
        found: list[snapshot.Snapshot] = []
        asking = threading.Thread(target=lambda: found.append(snapshot.current()))
        asking.start()
        asking.join(60)
    assert found == [old]


def test_an_engine_is_forgotten_by_the_clock_of_the_database() -> None:
    engine = supervised_engine("alpha", state="ready", base_url=URL)
    known = snapshot.current()
    assert engine.is_ready(known.instant)
    assert known.instant >= engine.since


def test_what_is_worked_out_is_bounded(monkeypatch: pytest.MonkeyPatch, project: Project) -> None:
    monkeypatch.setattr(snapshot, "REMEMBERED", 3)
    ready_engine(URL, *(f"model-{number}" for number in range(9)))
    known = snapshot.current()
    for number in range(9):
        assert routing.routes_in_memory(f"model-{number}", project.pk) is not None
    assert len(known.worked_out) <= 3
