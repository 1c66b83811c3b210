"""Work under way: what is done in the background, as far as one sees it, and how it is called off."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from assistants.knowledge import embedding
from assistants.knowledge.models import File, StoreFile, VectorStore
from assistants.knowledge.services.stores import create_store
from assistants.models import Assistant
from inference import services as inference
from inference.models import ModelPull
from runs.evaluations import services as evaluations
from runs.evaluations.models import EvaluationRun
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.core.database import now
from tests.inference.helpers import provider_engine
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db

Visit = Callable[[User], Client]
MOST_QUERIES = 22  # for seven kinds of work, and what ended


@pytest.fixture
def store(principal: Principal) -> VectorStore:
    """Of four files: two are done, one is half read, one waits."""
    made = create_store(principal=principal, name=f"Handbook {EVIL}")
    space = "{}@{}/256".format(*embedding.model_meant(made.project_id) or ("none", "0" * 12))
    for number, (status, progress) in enumerate(
        [("completed", 100), ("failed", 10), ("in_progress", 50), ("in_progress", 0)]
    ):
        file = File.objects.create(
            project_id=made.project_id, purpose="assistants", filename=f"{number}.md", bytes=1, storage_key=f"k{number}"
        )
        StoreFile.objects.create(store=made, file=file, status=status, progress=progress, space=space, created_at=now())
    return made


@pytest.fixture
def evaluation(principal: Principal, assistant: Assistant) -> EvaluationRun:
    cases = evaluations.create_set(principal=principal, name="Capitals", assistant_id=assistant.pk)
    for _ in range(4):
        evaluations.create_case(principal=principal, set_id=cases.pk, input="France?", reference="Paris")
    run = evaluations.start_run(principal=principal, set_id=cases.pk)
    EvaluationRun.objects.filter(pk=run.pk).update(status="in_progress", passed=1)
    return run


@pytest.fixture
def pull(db: None) -> ModelPull:
    engine = provider_engine("http://127.0.0.1:9", name="house-ollama", kind="ollama")
    made = inference.begin_pull(provider=engine.provider, model="llama3.2:3b")
    claimed = inference.claim_pull()
    assert claimed is not None
    inference.keep_pull(claimed, "pulling 8eeb", 500, 2_000)
    return made


def page(client: Client) -> str:
    answer = client.get(reverse("work"))
    assert answer.status_code == 200
    return str(answer.content.decode())


def call_off(client: Client, kind: str, pk: str) -> int:
    return int(client.post(reverse("work-cancel"), {"kind": kind, "id": pk}).status_code)


def test_what_is_under_way_stands_there_with_how_far_it_is(
    store: VectorStore, evaluation: EvaluationRun, pull: ModelPull, engine: Any, visit: Visit
) -> None:
    engine(state="loading", reason="The weights are read.")
    client = visit(User.objects.create_superuser("root"))
    with CaptureQueriesContext(connection) as queries:
        shown = page(client)
    assert len(queries) <= MOST_QUERIES, [query["sql"][:200] for query in queries]
    assert 'id="work" data-refresh="3"' in shown
    assert "2 of 4 files are done (62 %)" in shown
    assert "1 of 4 cases are done, 1 of them passed (25 %)" in shown
    assert "llama3.2:3b into house-ollama" in shown
    assert "The weights are read." in shown
    assert not [mark for mark in EVIL_MARKS if mark in shown]


def test_a_store_that_gets_vectors_of_another_model_is_there_until_all_have_them(
    store: VectorStore, bob: User, charlie: User, visit: Visit
) -> None:
    model = (embedding.model_meant(store.project_id) or ("",))[0]
    assert model, "there is the embedder of this process"
    StoreFile.objects.update(status="completed")
    assert "Nothing is under way" in page(visit(bob))
    first, second, third, _ = StoreFile.objects.order_by("pk")
    StoreFile.objects.filter(pk__in=[first.pk, second.pk]).update(space=f"{model}@000000000000/256")  # older weights
    StoreFile.objects.filter(pk=third.pk).update(space="another-model/1024", crash_count=3)  # no worker can do it
    shown = page(visit(bob))
    assert f"2 of 4 files have vectors of {model}" in shown
    assert "(50 %)" in shown
    assert "getting other vectors" in shown
    later = now() + timedelta(hours=1)
    StoreFile.objects.filter(pk__in=[first.pk, second.pk]).update(available_at=later)
    assert "waiting for the model" in page(visit(bob))
    assert "Nothing is under way" in page(visit(charlie))


def test_another_tenants_work_is_not_there_and_cannot_be_called_off(
    store: VectorStore, evaluation: EvaluationRun, charlie: User, visit: Visit
) -> None:
    client = visit(charlie)
    shown = page(client)
    assert "Nothing is under way" in shown
    assert (call_off(client, "files", store.pk), call_off(client, "evaluations", evaluation.pk)) == (404, 404)
    evaluation.refresh_from_db()
    assert (store.files.filter(status="in_progress").count(), evaluation.is_over) == (2, False)


def test_who_is_no_staff_is_sent_to_the_login(db: None) -> None:
    nobody = Client()
    nobody.force_login(User.objects.create_user("nobody"))
    for client in (Client(), nobody):
        assert client.get(reverse("work")).status_code == 302
        assert call_off(client, "files", "vs_1") == 302


def test_files_and_evaluations_are_called_off_by_those_who_may_change_them(
    store: VectorStore, evaluation: EvaluationRun, bob: User, visit: Visit
) -> None:
    client = visit(bob)
    assert (call_off(client, "files", store.pk), call_off(client, "evaluations", evaluation.pk)) == (302, 302)
    evaluation.refresh_from_db()
    assert evaluation.status == "cancelled"
    assert sorted(store.files.values_list("status", flat=True)) == ["cancelled", "cancelled", "completed", "failed"]
    event = AuditEvent.objects.get(action="vector_store.reading_cancelled")
    assert (event.user_id, event.details) == (bob.pk, {"files": 2})
    shown = page(client)
    assert "Nothing is under way" in shown
    assert "1 of 4 cases passed" in shown  # it ended last
    assert call_off(client, "evaluations", evaluation.pk) == 302  # over already: the service says so


def test_pulls_are_seen_and_called_off_by_superusers_alone(pull: ModelPull, bob: User, visit: Visit) -> None:
    assert "llama3.2:3b" not in page(visit(bob))
    assert call_off(visit(bob), "pulls", pull.pk) == 404
    root = visit(User.objects.create_superuser("root"))
    assert "Call off: llama3.2:3b" in page(root)
    assert call_off(root, "pulls", pull.pk) == 302
    pull.refresh_from_db()
    assert pull.status == "cancelled"
    ModelPull.objects.update(error="dial tcp 10.0.0.7: refused")
    assert "10.0.0.7" in page(root)
    assert "10.0.0.7" not in page(visit(bob)), "what providers say is for those who keep them"


def test_what_ended_last_stands_first_however_long_it_took(evaluation: EvaluationRun, bob: User, visit: Visit) -> None:
    fields = {
        name: getattr(evaluation, name) for name in ("project", "set", "assistant", "version", "revision", "total")
    }
    moment = now()
    for minute in range(12):
        EvaluationRun.objects.create(
            **fields, status="completed", passed=3, created_at=moment + timedelta(minutes=minute),
            ended_at=moment + timedelta(minutes=minute),
        )  # fmt: skip
    EvaluationRun.objects.filter(pk=evaluation.pk).update(status="completed", ended_at=moment + timedelta(hours=1))
    assert "1 of 4 cases passed" in page(visit(bob))


def test_a_store_that_goes_while_the_page_is_made_is_left_out(
    store: VectorStore, bob: User, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django.db.models.query.QuerySet.in_bulk", lambda *args, **options: {})
    assert "Nothing is under way" in page(visit(bob))


@pytest.mark.parametrize(("kind", "status"), [("engines", 404), ("nothing", 404), ("", 404), ("files", 404)])
def test_what_cannot_be_called_off_is_refused(
    kind: str, status: int, project: Project, bob: User, visit: Visit
) -> None:
    assert call_off(visit(bob), kind, "x\x00") == call_off(visit(bob), kind, "x") == status
    assert visit(bob).get(reverse("work-cancel")).status_code == 403
