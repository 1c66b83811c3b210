"""``/api/v1/evaluations``: what it answers, whom it refuses, and what it says is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from assistants import services as assistants
from assistants.models import Assistant, AssistantVersion
from runs.evaluations.api.serializers import (
    CaseFromRunRequest,
    CaseRequest,
    EvaluationRequest,
    ImportRequest,
    StartRequest,
)
from runs.evaluations.models import EvaluationResult, EvaluationRun, EvaluationSet
from runs.evaluations.services import progress
from runs.models import Run
from sovereign.accounts.models import ApiKey, AuditEvent, Project
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role
from sovereign.core.database import now
from tests.evaluations.conftest import key_of

pytestmark = pytest.mark.django_db

ROOT = "/api/v1/evaluations"
CASE = {"input": "The capital of France?", "checks": [{"type": "exact", "value": "Paris"}]}


def error_of(response: Any) -> tuple[int, str | None, str | None]:
    error = response.json()["error"]
    return response.status_code, error["param"], error["code"]


@pytest.fixture
def made(api: APIClient, assistant: Assistant) -> dict[str, Any]:
    answer = api.post(ROOT, {"name": "Capitals", "assistant_id": assistant.id}, format="json")
    assert answer.status_code == 200, answer.content
    return answer.json()  # type: ignore[no-any-return]


@pytest.fixture
def started(api: APIClient, made: dict[str, Any], version: AssistantVersion) -> dict[str, Any]:
    api.post(f"{ROOT}/{made['id']}/cases", CASE, format="json")
    answer = api.post(f"{ROOT}/{made['id']}/runs", {"version": 1}, format="json")
    assert answer.status_code == 200, answer.content
    return answer.json()  # type: ignore[no-any-return]


def finished(run_id: str, *statuses: str) -> None:
    """The run is over, and its results, in order, have these statuses."""
    for position, status in enumerate(statuses, start=1):
        EvaluationResult.objects.filter(evaluation_run=run_id, position=position).update(status=status, answer=status)
    EvaluationRun.objects.filter(pk=run_id).update(
        status="completed", passed=statuses.count("passed"), failed=statuses.count("failed")
    )


def test_a_set_is_made_read_changed_listed_and_deleted(api: APIClient, assistant: Assistant) -> None:
    answer = api.post(
        ROOT,
        {"name": " Capitals ", "assistant_id": assistant.id, "gates": {"staging": 0.8, "testing": None}},
        format="json",
    ).json()
    assert (answer["object"], answer["name"], answer["gates"], answer["cases"]) == (
        "evaluation", "Capitals", {"staging": 0.8}, 0,
    )  # fmt: skip
    one = f"{ROOT}/{answer['id']}"
    assert api.get(one).json() == answer
    changed = api.put(one, {"description": "Of Europe", "gates": {"production": 1}}, format="json").json()
    assert (changed["name"], changed["description"], changed["gates"]) == ("Capitals", "Of Europe", {"production": 1.0})
    assert api.put(one, {"assistant_id": None}, format="json").json()["assistant_id"] is None
    assert [row["id"] for row in api.get(ROOT).json()["data"]] == [answer["id"]]
    assert api.get(ROOT, {"assistant_id": assistant.id}).json()["data"] == []
    assert api.delete(one).json() == {"id": answer["id"], "object": "evaluation.deleted", "deleted": True}
    assert api.get(one).status_code == 404
    actions = list(AuditEvent.objects.filter(action__startswith="evaluation.").values_list("action", flat=True))
    assert sorted(actions) == ["evaluation.created", "evaluation.deleted", "evaluation.updated", "evaluation.updated"]


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "name", "missing_required_parameter"),
        ({"name": "   "}, "name", "invalid_value"),
        ({"name": "a", "gates": {"moon": 1}}, "gates.moon", "unknown_parameter"),
        ({"name": "a", "gates": {"staging": 80}}, "gates.staging", "decimal_above_max_value"),
        ({"name": "a", "gates": []}, "gates", "invalid_type"),
        ({"name": "a", "more": 1}, "more", "unknown_parameter"),
    ],
)
def test_a_set_that_is_none_is_refused(api: APIClient, body: Any, param: str, code: str) -> None:
    assert error_of(api.post(ROOT, body, format="json")) == (400, param, code)
    assert not EvaluationSet.objects.exists()


def test_cases_are_made_read_changed_listed_and_deleted(api: APIClient, made: dict[str, Any]) -> None:
    cases = f"{ROOT}/{made['id']}/cases"
    first = api.post(cases, CASE, format="json").json()
    assert (first["object"], first["name"], first["messages"]) == (
        "evaluation.case", "The capital of France?", [{"role": "user", "content": "The capital of France?"}],
    )  # fmt: skip
    assert first["checks"] == [{"type": "exact", "value": "Paris", "case_sensitive": True}]
    second = api.post(cases, {**CASE, "name": "again"}, format="json").json()
    assert [row["id"] for row in api.get(cases, {"order": "asc"}).json()["data"]] == [first["id"], second["id"]]
    page = api.get(cases, {"limit": 1, "after": second["id"]}).json()
    assert ([row["id"] for row in page["data"]], page["has_more"]) == ([first["id"]], False)
    one = f"{cases}/{first['id']}"
    assert api.put(one, {"name": "renamed"}, format="json").json()["name"] == "renamed"
    assert api.get(one).json()["messages"] == first["messages"]
    assert api.delete(one).json()["object"] == "evaluation.case.deleted"
    assert api.get(one).status_code == 404
    assert error_of(api.post(cases, {"input": "a"}, format="json")) == (400, "checks", "missing_required_parameter")
    evaluation = api.get(f"{ROOT}/{made['id']}").json()
    assert (evaluation["cases"], evaluation["revision"]) == (1, 4)


def test_a_file_is_imported(api: APIClient, made: dict[str, Any]) -> None:
    address = f"{ROOT}/{made['id']}/cases/import"
    body = {"format": "csv", "content": "input,contains\nOne?,1\nTwo?,2\n"}
    assert api.post(address, body, format="json").json() == {
        "object": "evaluation.import", "evaluation_id": made["id"], "added": 2, "cases": 2,
    }  # fmt: skip
    assert api.post(address, {**body, "replace": True}, format="json").json()["cases"] == 2
    assert error_of(api.post(address, {**body, "format": "xls"}, format="json")) == (400, "format", "invalid_value")
    assert error_of(api.post(address, {**body, "content": "a,b\n"}, format="json"))[1] == "content"


def test_a_run_is_begun_read_listed_and_cancelled(
    api: APIClient, made: dict[str, Any], started: dict[str, Any], assistant: Assistant
) -> None:
    assert (started["object"], started["status"], started["version"]) == ("evaluation.run", "queued", 1)
    assert started["counts"] == {"total": 1, "passed": 0, "failed": 0, "errored": 0}
    one = f"{ROOT}/runs/{started['id']}"
    assert api.get(one).json() == started
    for listed in (f"{ROOT}/runs", f"{ROOT}/{made['id']}/runs"):
        assert [row["id"] for row in api.get(listed).json()["data"]] == [started["id"]]
        assert api.get(listed, {"status": "completed"}).json()["data"] == []
        assert [row["id"] for row in api.get(listed, {"assistant_id": assistant.id}).json()["data"]] == [started["id"]]
        assert error_of(api.get(listed, {"status": "gone"})) == (400, "status", "invalid_value")
    again = api.post(f"{ROOT}/{made['id']}/runs", {"version": "1"}, format="json")
    assert error_of(again) == (409, None, "evaluation_in_progress")
    assert AuditEvent.objects.filter(action="evaluation.start_run_refused", object_id=made["id"]).exists()
    (result,) = api.get(f"{one}/results").json()["data"]
    assert (result["status"], result["case"]["name"], result["run_id"]) == ("waiting", "The capital of France?", None)
    assert api.post(f"{one}/cancel").json()["status"] == "cancelled"
    assert error_of(api.post(f"{one}/cancel")) == (400, None, "invalid_status")
    assert api.get(f"{one}/results").json()["data"][0]["status"] == "cancelled"


def test_a_run_without_an_assistant_or_of_an_unknown_version_is_refused(api: APIClient, made: dict[str, Any]) -> None:
    runs = f"{ROOT}/{made['id']}/runs"
    assert error_of(api.post(runs, {}, format="json")) == (400, None, "evaluation_without_cases")
    api.post(f"{ROOT}/{made['id']}/cases", CASE, format="json")
    assert api.post(runs, {"version": "7"}, format="json").status_code == 404
    assert api.post(runs, {"assistant_id": "asst_0"}, format="json").status_code == 404
    general = api.post(ROOT, {"name": "General"}, format="json").json()
    refused = api.post(f"{ROOT}/{general['id']}/runs", {}, format="json")
    assert error_of(refused) == (400, "assistant_id", "missing_required_parameter")


def test_a_run_stands_beside_the_previous_versions(
    api: APIClient, made: dict[str, Any], started: dict[str, Any], principal: Principal, assistant: Assistant
) -> None:
    cases = f"{ROOT}/{made['id']}/cases"
    address = f"{ROOT}/runs/{started['id']}/comparison"
    alone = api.get(address).json()
    assert (alone["against"], alone["data"][0]["before"], alone["counts"]["open"]) == (None, None, 1)
    api.post(f"{ROOT}/runs/{started['id']}/cancel")
    ids = [row["id"] for row in (api.post(cases, CASE, format="json").json() for _ in range(4))]
    api.delete(f"{cases}/{api.get(cases, {'order': 'asc'}).json()['first_id']}")
    before = api.post(f"{ROOT}/{made['id']}/runs", {"version": "1"}, format="json").json()
    finished(before["id"], "passed", "failed", "passed", "passed")
    api.put(f"{cases}/{ids[2]}", {"input": "Something else?"}, format="json")
    api.delete(f"{cases}/{ids[3]}")
    api.post(cases, CASE, format="json")
    assistants.update_assistant(principal=principal, assistant_id=assistant.id, instructions="Better.")
    after = api.post(f"{ROOT}/{made['id']}/runs", {}, format="json").json()
    finished(after["id"], "failed", "passed", "failed", "passed")
    compared = api.get(f"{ROOT}/runs/{after['id']}/comparison", {"order": "asc"}).json()
    assert (compared["run"]["id"], compared["against"]["id"]) == (after["id"], before["id"])
    assert [row["change"] for row in compared["data"]] == ["broken", "fixed", "case_changed", "new"]
    assert compared["counts"] == {
        "fixed": 1, "broken": 1, "same": 0, "case_changed": 1, "new": 1, "open": 0, "gone": 1,
    }  # fmt: skip
    broken = compared["data"][0]
    assert (broken["before"]["answer"], broken["after"]["answer"]) == ("passed", "failed")
    explicit = api.get(f"{ROOT}/runs/{after['id']}/comparison", {"against": after["id"], "limit": 1}).json()
    assert (explicit["counts"]["same"], explicit["has_more"], len(explicit["data"])) == (4, True, 1)


def test_runs_of_different_sets_are_not_compared(api: APIClient, started: dict[str, Any], version: Any) -> None:
    other = api.post(ROOT, {"name": "Other", "assistant_id": version.assistant_id}, format="json").json()
    api.post(f"{ROOT}/{other['id']}/cases", CASE, format="json")
    run = api.post(f"{ROOT}/{other['id']}/runs", {"version": "1"}, format="json").json()
    refused = api.get(f"{ROOT}/runs/{run['id']}/comparison", {"against": started["id"]})
    assert error_of(refused) == (400, "against", "different_evaluations")
    assert api.get(f"{ROOT}/runs/{run['id']}/comparison", {"against": "evrun_0"}).status_code == 404


# ------------------------------------------------------------------------------------------ rights


def every_address(made: dict[str, Any], started: dict[str, Any], case: str) -> list[tuple[str, str, Any]]:
    one, run = f"{ROOT}/{made['id']}", f"{ROOT}/runs/{started['id']}"
    return [
        ("get", one, None),
        ("put", one, {"name": "b"}),
        ("get", f"{one}/cases", None),
        ("post", f"{one}/cases", CASE),
        ("get", f"{one}/cases/{case}", None),
        ("put", f"{one}/cases/{case}", {"name": "b"}),
        ("delete", f"{one}/cases/{case}", None),
        ("post", f"{one}/cases/import", {"format": "csv", "content": "input,exact\na,b\n"}),
        ("post", f"{one}/cases/from_run", {"run_id": "run_0"}),
        ("get", f"{one}/runs", None),
        ("post", f"{one}/runs", {}),
        ("get", run, None),
        ("get", f"{run}/results", None),
        ("get", f"{run}/comparison", None),
        ("post", f"{run}/cancel", None),
        ("delete", one, None),
    ]


def test_another_project_finds_nothing(
    api: APIClient, charlies_project: Project, client_of: Any, made: Any, started: Any
) -> None:
    case = api.get(f"{ROOT}/{made['id']}/cases").json()["first_id"]
    charlie = client_of(key_of(charlies_project, Role.ADMIN))
    for method, address, body in every_address(made, started, case):
        assert getattr(charlie, method)(address, body, format="json").status_code == 404, (method, address)
    assert charlie.get(ROOT).json()["data"] == []
    assert charlie.get(f"{ROOT}/runs").json()["data"] == []
    assert charlie.post(ROOT, {"name": "a", "assistant_id": made["assistant_id"]}, format="json").status_code == 404
    assert api.get(f"{ROOT}/{made['id']}/cases").json()["first_id"] == case


def test_a_viewer_reads_and_changes_nothing(
    api: APIClient, client_as: Callable[[str], APIClient], made: Any, started: Any
) -> None:
    case = api.get(f"{ROOT}/{made['id']}/cases").json()["first_id"]
    viewer = client_as(Role.VIEWER)
    for method, address, body in every_address(made, started, case):
        expected = 200 if method == "get" else 403
        assert getattr(viewer, method)(address, body, format="json").status_code == expected, (method, address)
    assert viewer.post(ROOT, {"name": "a"}, format="json").status_code == 403
    assert EvaluationSet.objects.get().name == "Capitals"
    assert not EvaluationRun.objects.exclude(status="queued").exists()


def test_an_analyst_does_all_but_decide_about_gates(
    client_as: Callable[[str], APIClient], api: APIClient, made: dict[str, Any], principal: Principal
) -> None:
    analyst = client_as(Role.ANALYST)
    other = assistants.create_assistant(principal=principal, model="tiny")
    assert analyst.post(f"{ROOT}/{made['id']}/cases", CASE, format="json").status_code == 200
    assert analyst.put(f"{ROOT}/{made['id']}", {"name": "b"}, format="json").status_code == 200
    refused = analyst.put(f"{ROOT}/{made['id']}", {"gates": {"production": 0.1}}, format="json")
    assert error_of(refused) == (403, None, "insufficient_permissions")
    assert AuditEvent.objects.filter(action="evaluation.update_refused", object_id=made["id"]).exists()
    assert analyst.post(ROOT, {"name": "a", "gates": {"production": 0.1}}, format="json").status_code == 403
    api.put(f"{ROOT}/{made['id']}", {"gates": {"production": 0.9}}, format="json")
    assert analyst.put(f"{ROOT}/{made['id']}", {"gates": {"production": 0.9}}, format="json").status_code == 200
    kept = {"gates": {"production": 0.9}}
    for moved in ({"assistant_id": None}, {"assistant_id": None, **kept}, {"assistant_id": other.id, **kept}):
        assert analyst.put(f"{ROOT}/{made['id']}", moved, format="json").status_code == 403
    assert api.get(f"{ROOT}/{made['id']}").json()["assistant_id"] == made["assistant_id"]
    assert analyst.delete(f"{ROOT}/{made['id']}").status_code == 403
    assert analyst.put(f"{ROOT}/{made['id']}", {"name": "c"}, format="json").json()["gates"] == {"production": 0.9}


def test_the_cases_of_a_gate_are_changed_by_those_who_promote(
    client_as: Callable[[str], APIClient], api: APIClient, made: dict[str, Any]
) -> None:
    analyst, cases = client_as(Role.ANALYST), f"{ROOT}/{made['id']}/cases"
    case = analyst.post(cases, CASE, format="json").json()
    api.put(f"{ROOT}/{made['id']}", {"gates": {"production": 0.9, "testing": 1}}, format="json")
    before = EvaluationSet.objects.get().revision
    file = {"format": "csv", "content": "input,exact\nEasy?,yes\n", "replace": True}
    changes = [
        analyst.post(cases, CASE, format="json"),
        analyst.post(f"{cases}/import", file, format="json"),
        analyst.post(f"{cases}/from_run", {"run_id": "run_0"}, format="json"),
        analyst.put(f"{cases}/{case['id']}", {"checks": [{"type": "regex", "pattern": "."}]}, format="json"),
        analyst.delete(f"{cases}/{case['id']}"),
    ]
    assert [error_of(answer) for answer in changes] == [(403, None, "insufficient_permissions")] * 5
    assert "before deployments to testing, production" in changes[0].json()["error"]["message"]
    assert AuditEvent.objects.filter(action="evaluation.import_cases_refused", object_id=made["id"]).exists()
    assert EvaluationSet.objects.get().revision == before
    assert analyst.post(f"{ROOT}/{made['id']}/runs", {}, format="json").status_code == 200  # trying it is for all
    assert api.post(f"{cases}/import", file, format="json").json()["cases"] == 1


@pytest.mark.parametrize("way", ["", "/from_run"])
def test_a_pattern_that_cannot_be_read_is_refused(api: APIClient, made: dict[str, Any], way: str) -> None:
    body = {"run_id": "run_0"} if way else {"input": "a"}
    wrong = {**body, "checks": [{"type": "exact", "value": "a"}, {"type": "regex", "pattern": "("}]}
    refused = api.post(f"{ROOT}/{made['id']}/cases{way}", wrong, format="json")
    assert error_of(refused) == (400, "checks[1].pattern", "invalid_pattern")
    case = api.post(f"{ROOT}/{made['id']}/cases", CASE, format="json").json()
    refused = api.put(f"{ROOT}/{made['id']}/cases/{case['id']}", {"checks": wrong["checks"]}, format="json")
    assert error_of(refused) == (400, "checks[1].pattern", "invalid_pattern")


def test_what_somebody_keeps_to_themselves_has_no_evaluations_for_others(
    api: APIClient, client_as: Callable[[str], APIClient], made: Any, started: Any, assistant: Assistant
) -> None:
    Assistant.objects.filter(pk=assistant.pk).update(visibility="private")
    case = api.get(f"{ROOT}/{made['id']}/cases").json()["first_id"]
    analyst = client_as(Role.ANALYST)
    for method, address, body in every_address(made, started, case):
        assert getattr(analyst, method)(address, body, format="json").status_code == 404, (method, address)
    assert analyst.get(ROOT).json()["data"] == analyst.get(f"{ROOT}/runs").json()["data"] == []
    assert api.get(f"{ROOT}/{made['id']}").status_code == 200


def test_what_a_key_began_does_not_outlive_it(
    api: APIClient, started: dict[str, Any], principal: Principal, project: Project
) -> None:
    run = EvaluationRun.objects.get()
    assert run.created_by_key is not None
    ApiKey.objects.filter(pk=run.created_by_key).update(revoked_at=now())
    assert progress.advance(run.id)
    run.refresh_from_db()
    assert (run.status, run.results.get().status, Run.objects.count()) == ("cancelled", "cancelled", 0)
    assert AuditEvent.objects.get(action="evaluation.run_cancelled").details["reason"] == progress.KEY_GONE


def test_whatever_takes_a_body_has_an_example_that_it_takes(client: Client) -> None:
    """``…`` in them stands for the rest of an id."""
    taken = {
        "createEvaluation": EvaluationRequest,
        "updateEvaluation": EvaluationRequest,
        "createEvaluationCase": CaseRequest,
        "updateEvaluationCase": CaseRequest,
        "importEvaluationCases": ImportRequest,
        "createEvaluationCaseFromRun": CaseFromRunRequest,
        "createEvaluationRun": StartRequest,
    }
    paths = client.get("/openapi.json").json()["paths"]
    for operation in [each for address, way in paths.items() if address.startswith(ROOT) for each in way.values()]:
        if "requestBody" in operation:
            name = operation["operationId"]
            shape = taken.pop(name)
            for example in operation["requestBody"]["content"]["application/json"]["examples"].values():
                assert shape.checked(example["value"], partial=name.startswith("update")), name
    assert not taken


def test_the_same_post_twice_begins_one_run(api: APIClient, made: dict[str, Any], version: Any) -> None:
    api.post(f"{ROOT}/{made['id']}/cases", CASE, format="json")
    answers = [
        api.post(f"{ROOT}/{made['id']}/runs", {}, format="json", headers={"Idempotency-Key": "once"}).json()
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert EvaluationRun.objects.count() == 1
