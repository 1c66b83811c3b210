"""Strangers' patterns are read while nobody waits: another writer is not held up meanwhile, whichever way they come."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from runs.evaluations import services
from runs.evaluations.checks import patterns
from runs.evaluations.models import EvaluationCase, EvaluationSet
from sovereign.accounts.models import User
from sovereign.accounts.principals import Principal
from tests.evaluations.test_admin import page, visitor

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = "/api/v1/evaluations"
CHECKS = [{"type": "regex", "pattern": "Paris|Lutetia"}]
CASE = {"input": "The capital of France?", "checks": CHECKS}


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch, principal: Principal, evaluation: EvaluationSet) -> list[str]:
    """What somebody else wrote, to the same set, each time that patterns were being read."""
    written: list[str] = []
    carried_out = patterns._carried_out

    def write() -> None:
        try:
            services.update_set(principal=principal, set_id=evaluation.id, description=f"{len(written)}")
        finally:
            connection.close()

    def while_somebody_writes(*asked: Any) -> Any:
        with ThreadPoolExecutor(1) as elsewhere:
            begun = elsewhere.submit(write)
            told = carried_out(*asked)
            begun.result(timeout=90)  # a writer that is held up gives up by itself before, and says so
        written.append(evaluation.id)
        return told

    monkeypatch.setattr(patterns, "_carried_out", while_somebody_writes)
    return written


@pytest.mark.parametrize(
    ("way", "body"),
    [
        ("", CASE),
        ("/import", {"format": "csv", "content": "input,regex\nWho?,Me|You\n"}),
        ("/from_run", {"run_id": "run_0", "checks": CHECKS}),
    ],
)
def test_over_the_api(
    api: APIClient, evaluation: EvaluationSet, others: list[str], way: str, body: dict[str, Any]
) -> None:
    answer = api.post(f"{ROOT}/{evaluation.id}/cases{way}", body, format="json")
    assert answer.status_code == (404 if way == "/from_run" else 200), answer.content
    assert len(others) == 1


def test_of_a_case_that_is_changed(
    api: APIClient, evaluation: EvaluationSet, others: list[str], add_case: Callable[..., Any]
) -> None:
    address = f"{ROOT}/{evaluation.id}/cases/{add_case().id}"
    assert api.put(address, {"checks": CHECKS}, format="json").status_code == 200
    assert len(others) == 1
    assert api.put(address, {"name": "b"}, format="json").status_code == 200
    assert len(others) == 1  # what was read when it was written is not read again


def test_on_the_pages(alice: User, evaluation: EvaluationSet, others: list[str]) -> None:
    client: Client = visitor(alice)
    form = {"set": evaluation.pk, "name": "", "input": "Who?", "messages": "", "reference": "", "variables": "{}"}
    form["checks"] = '[{"type": "regex", "pattern": "Me|You"}]'
    assert client.post(page("evaluationcase", "add"), form).status_code == 302
    assert len(others) == 1
    case = EvaluationCase.objects.get()
    assert client.post(page("evaluationcase", "change", case.pk), form).status_code == 302
    assert len(others) == 2
    file = SimpleUploadedFile("cases.csv", b"input,regex\nWho?,Me\n")
    assert client.post(page("evaluationset", "import", evaluation.pk), {"file": file}).status_code == 302
    assert (len(others), EvaluationCase.objects.count()) == (3, 2)
