"""The pages of evaluations: what they show, what their buttons do, and whom they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from assistants import services as assistants
from assistants.models import Assistant, AssistantVersion
from runs.evaluations import services
from runs.evaluations.models import EvaluationCase, EvaluationResult, EvaluationRun, EvaluationSet
from runs.models import Run
from runs.services.creation import create_thread_and_run
from sovereign.accounts import services as accounts
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role
from tests.web.conftest import EVIL, EVIL_MARKS
from threads.models import Message
from threads.services import add_messages, lock_threads

pytestmark = pytest.mark.django_db


def page(model: str, view: str, *args: str) -> str:
    return reverse(f"admin:evaluations_{model}_{view}", args=[quote(arg) for arg in args])


def told(answer: Any) -> str:
    return " ".join(message.message for message in get_messages(answer.wsgi_request))


def visitor(user: User) -> Client:
    client = Client(headers={"Accept": "text/html,application/xhtml+xml"})
    client.force_login(user)
    return client


@pytest.fixture
def client(alice: User, project: Project) -> Client:
    return visitor(alice)


@pytest.fixture
def bobs(bob: User) -> Client:
    """An analyst's browser."""
    return visitor(bob)


@pytest.fixture
def run(
    principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any], version: AssistantVersion
) -> EvaluationRun:
    add_case()
    return services.start_run(principal=principal, set_id=evaluation.id, version="1")


@pytest.fixture
def answered(principal: Principal, assistant: Assistant) -> Run:
    """A run with an answer."""
    thread = {"messages": [{"role": "user", "content": "The capital of France?"}]}
    made = create_thread_and_run(principal=principal, assistant_id=assistant.id, thread=thread).run
    add_messages(lock_threads([made.thread_id])[made.thread_id], [{"role": "assistant", "content": "Paris."}])
    Message.objects.filter(thread_id=made.thread_id, role="assistant").update(run_id=made.id)
    Run.objects.filter(pk=made.pk).update(status="completed")
    return made


def set_form(project: Project, **changes: Any) -> dict[str, Any]:
    return {"name": "Capitals", "project": project.pk, "assistant": "", "description": "", **changes}


def test_a_set_is_made_changed_and_deleted(client: Client, alice: User, project: Project, assistant: Assistant) -> None:
    form = set_form(project, assistant=assistant.pk, gate_staging="80")
    made = client.post(page("evaluationset", "add"), form)
    owner = EvaluationSet.objects.get()
    assert made["Location"] == page("evaluationset", "change", owner.pk)
    assert (owner.assistant, owner.gates, owner.created_by_user) == (assistant, {"staging": 0.8}, alice.pk)
    shown = client.get(made["Location"]).content.decode()
    assert 'value="80"' in shown
    assert "It has no cases yet" in shown
    changed = client.post(made["Location"], {**form, "gate_staging": "", "gate_production": "95", "name": "Cities"})
    assert changed.status_code == 302
    owner.refresh_from_db()
    assert (owner.name, owner.gates) == ("Cities", {"production": 0.95})
    listed = client.get(page("evaluationset", "changelist")).content.decode()
    assert "production 95%" in listed
    assert client.post(page("evaluationset", "delete", owner.pk), {"post": "yes"}).status_code == 302
    assert not EvaluationSet.objects.exists()


def test_an_analyst_cannot_open_a_gate(
    bobs: Client, alice: User, principal: Principal, evaluation: EvaluationSet
) -> None:
    alices = visitor(alice)
    services.update_set(principal=principal, set_id=evaluation.id, gates={"production": 0.9})
    address = page("evaluationset", "change", evaluation.pk)
    form = {"name": "Mine", "assistant": evaluation.assistant_id, "description": "", "gate_production": "0"}
    assert bobs.post(address, form).status_code == 302
    evaluation.refresh_from_db()
    assert (evaluation.name, evaluation.gates) == ("Mine", {"production": 0.9})
    form["project"] = evaluation.project_id
    assert alices.post(address, {**form, "gate_production": "50"}).status_code == 302  # whoever came before
    evaluation.refresh_from_db()
    assert evaluation.gates == {"production": 0.5}
    assert "Missing scopes" in told(bobs.post(page("evaluationset", "delete", evaluation.pk), {"post": "yes"}))
    assert EvaluationSet.objects.exists()


def test_a_case_is_made_changed_and_deleted(client: Client, evaluation: EvaluationSet) -> None:
    form = {
        "set": evaluation.pk, "name": "", "input": "The capital of France?", "messages": "", "reference": "Paris",
        "checks": '[{"type": "contains", "values": ["Paris"]}]', "variables": "{}",
    }  # fmt: skip
    made = client.post(page("evaluationcase", "add"), form)
    assert made["Location"] == page("evaluationset", "change", evaluation.pk)
    case = EvaluationCase.objects.get()
    assert (case.name, case.checks[0]["values"]) == ("The capital of France?", ["Paris"])
    address = page("evaluationcase", "change", case.pk)
    assert "The capital of France?</textarea>" in client.get(address).content.decode()
    said = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hi."},
            {"role": "user", "content": "And of Spain?"}]  # fmt: skip
    assert client.post(address, {**form, "input": "", "messages": json.dumps(said)}).status_code == 302
    case.refresh_from_db()
    assert case.messages == said
    assert "And of Spain?" in client.get(page("evaluationset", "change", evaluation.pk)).content.decode()
    assert client.post(page("evaluationcase", "delete", case.pk), {"post": "yes"}).status_code == 302
    evaluation.refresh_from_db()
    assert (evaluation.cases.count(), evaluation.revision) == (0, 3)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"input": ""}, "input", "either 'input' or 'messages'"),
        ({"checks": "[{"}, "checks", "valid JSON"),
        ({"checks": '[{"type": "magic"}]'}, "checks", "Invalid value: 'magic'"),
        ({"checks": '[{"type": "regex", "pattern": "("}]'}, "checks", "this regular expression cannot be used"),
        ({"checks": "", "reference": ""}, "checks", "needs 'checks'"),
        ({"variables": '{"a": 1}'}, "variables", "expected a string"),
    ],
)
def test_what_is_wrong_with_a_case_stands_at_its_field(
    client: Client, evaluation: EvaluationSet, changes: dict[str, str], field: str, words: str
) -> None:
    form = {"set": evaluation.pk, "name": "", "input": "Who?", "reference": "Me.", "checks": "", "variables": "{}"}
    answer = client.post(page("evaluationcase", "add"), {**form, "messages": "", **changes})
    assert answer.status_code == 200
    assert words in answer.context["adminform"].form.errors[field][0]
    assert not EvaluationCase.objects.exists()


def test_the_cases_of_a_gate_are_changed_by_those_who_promote(
    client: Client, bobs: Client, principal: Principal, evaluation: EvaluationSet, add_case: Any, answered: Run
) -> None:
    case = add_case()
    form = {"name": "Easy", "input": "Who?", "reference": "Me.", "checks": "", "variables": "{}", "messages": ""}
    owner, address = page("evaluationset", "change", evaluation.pk), page("evaluationcase", "change", case.pk)
    assert "Add a case" in bobs.get(owner).content.decode()
    services.update_set(principal=principal, set_id=evaluation.id, gates={"production": 0.9})
    shown = bobs.get(owner).content.decode()
    assert "only who may promote changes its cases" in shown
    assert "Add a case" not in shown
    assert 'name="_save"' not in bobs.get(address).content.decode()
    assert bobs.post(address, form).status_code == 403
    assert bobs.post(page("evaluationcase", "delete", case.pk), {"post": "yes"}).status_code == 403
    added = bobs.post(page("evaluationcase", "add"), {**form, "set": evaluation.pk})
    assert "only who may promote" in str(added.context["adminform"].form.non_field_errors())
    run_page = reverse("admin:runs_run_change", args=[quote(answered.pk)])
    assert "Capitals</option>" not in bobs.get(run_page).content.decode()
    assert "Capitals</option>" in client.get(run_page).content.decode()
    case.refresh_from_db()
    assert (case.name, evaluation.cases.count()) == ("The capital of France?", 1)
    assert client.post(address, form).status_code == 302


def test_a_file_of_cases_is_taken(client: Client, evaluation: EvaluationSet) -> None:
    address = page("evaluationset", "import", evaluation.pk)
    file = SimpleUploadedFile("cases.csv", b"input;contains\nOne?;1\nTwo?;2\n")
    assert "2 cases were added" in told(client.post(address, {"file": file}))
    lines = SimpleUploadedFile("cases.jsonl", b'{"input": "Three?", "reference": "3"}\n')
    assert "1 cases were added" in told(client.post(address, {"file": lines, "replace": "1"}))
    assert [str(case) for case in evaluation.cases.all()] == ["Three?"]
    for wrong, words in ((b"a,b\n1,2\n", "a column 'a'"), (b"\xff\xfe", "not text in UTF-8")):
        assert words in told(client.post(address, {"file": SimpleUploadedFile("cases.csv", wrong)}))
    assert "Choose a file" in told(client.post(address))
    assert AuditEvent.objects.filter(action="evaluation.import_cases_refused").count() == 3
    assert client.get(address).status_code == 403


def test_a_set_is_run_and_the_run_called_off(
    client: Client, evaluation: EvaluationSet, assistant: Assistant, add_case: Callable[..., Any]
) -> None:
    address = page("evaluationset", "start", evaluation.pk)
    assert "has no cases" in told(client.post(address, {"against": f"{assistant.pk} draft"}))
    add_case()
    shown = client.get(page("evaluationset", "change", evaluation.pk)).content.decode()
    assert f'value="{assistant.pk} draft"' in shown
    begun = client.post(address, {"against": f"{assistant.pk} draft"})
    run = EvaluationRun.objects.get()
    assert begun["Location"] == page("evaluationrun", "change", run.pk)
    assert "is being run against version 1 already" in told(client.post(address, {"against": ""}))
    shown = client.get(begun["Location"]).content.decode()
    assert "0 of 1 are done" in shown
    assert "Call it off" in shown
    assert "was called off" in told(client.post(page("evaluationrun", "cancel", run.pk)))
    assert "Cannot cancel" in told(client.post(page("evaluationrun", "cancel", run.pk)))
    assert "Call it off" not in client.get(begun["Location"]).content.decode()
    assert client.get(page("evaluationrun", "changelist")).status_code == 200


def test_answers_stand_beside_those_of_the_previous_version(
    client: Client, principal: Principal, assistant: Assistant, evaluation: EvaluationSet, run: EvaluationRun
) -> None:
    verdict = {"type": "exact", "passed": False, "detail": EVIL, "score": None}
    run.results.update(status="passed", answer="It was Paris.")
    EvaluationRun.objects.filter(pk=run.pk).update(status="completed", passed=1)
    assistants.update_assistant(principal=principal, assistant_id=assistant.id, instructions="Worse.")
    newer = services.start_run(principal=principal, set_id=evaluation.id)
    newer.results.update(status="failed", answer=EVIL, verdicts=[verdict], error=EVIL)
    EvaluationRun.objects.filter(pk=newer.pk).update(status="completed", failed=1)
    shown = client.get(page("evaluationrun", "change", newer.pk)).content.decode()
    assert "Beside version 1, of which 1 of 1 passed" in shown
    assert "It was Paris." in shown
    assert "Broken: <strong>1</strong>" in shown
    assert not any(mark in shown for mark in EVIL_MARKS)
    alone = client.get(page("evaluationrun", "change", run.pk)).content.decode()
    assert "No earlier version was run" in alone
    assert (
        "Beside version 2"
        in client.get(page("evaluationrun", "change", run.pk), {"against": newer.pk}).content.decode()
    )
    assert client.get(page("evaluationrun", "change", run.pk), {"against": "evrun_0"}).status_code == 302


def test_what_people_wrote_is_escaped_on_the_page_of_a_set(
    client: Client, principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any]
) -> None:
    add_case(EVIL, reference=EVIL)
    services.update_set(principal=principal, set_id=evaluation.id, name=EVIL, description=EVIL)
    case = EvaluationCase.objects.get()
    for address in (
        page("evaluationset", "change", evaluation.pk),
        page("evaluationset", "changelist"),
        page("evaluationcase", "change", case.pk),
    ):
        shown = client.get(address).content.decode()
        assert not any(mark in shown for mark in EVIL_MARKS), address


# ------------------------------------------------------------------------------------------ the page of a run


def test_an_answer_becomes_a_case_with_one_click(
    client: Client, evaluation: EvaluationSet, answered: Run, assistant: Assistant
) -> None:
    shown = client.get(reverse("admin:runs_run_change", args=[quote(answered.pk)])).content.decode()
    assert f'<option value="{evaluation.pk}">Capitals</option>' in shown
    address = reverse("admin:runs_run_case", args=[quote(answered.pk)])
    made = client.post(address, {"evaluation": evaluation.pk})
    case = EvaluationCase.objects.get()
    assert made["Location"] == page("evaluationcase", "change", case.pk)
    assert (case.reference, case.source_run_id) == ("Paris.", answered.pk)
    assert "No evaluation found" in told(client.post(address, {"evaluation": "eval_0"}))
    assert AuditEvent.objects.filter(action="evaluation.add_case_refused", object_id=answered.pk).exists()
    assert client.get(address).status_code == 403


def test_several_runs_become_cases_at_once(client: Client, evaluation: EvaluationSet, answered: Run) -> None:
    chosen = {"action": "make_cases", "_selected_action": [answered.pk]}
    assert "1 cases were made" in told(client.post(reverse("admin:runs_run_changelist"), chosen))
    EvaluationSet.objects.all().delete()
    assert "has no evaluation yet" in told(client.post(reverse("admin:runs_run_changelist"), chosen))
    assert AuditEvent.objects.filter(action="evaluation.add_case_refused", object_id=answered.pk).exists()


# ------------------------------------------------------------------------------------------ rights


def test_outsiders_and_viewers_get_nowhere(
    charlie: User, project: Project, evaluation: EvaluationSet, run: EvaluationRun, answered: Run
) -> None:
    viewer = User.objects.create_user("vera", is_staff=True)
    accounts.add_member(project=project, user=viewer, role=Role.VIEWER)
    case = EvaluationCase.objects.get()
    addresses = [
        page("evaluationset", "change", evaluation.pk),
        page("evaluationcase", "change", case.pk),
        page("evaluationrun", "change", run.pk),
    ]
    for address in addresses:
        assert visitor(charlie).get(address).status_code in (302, 404), address
    posts = {
        page("evaluationset", "start", evaluation.pk): {},
        page("evaluationset", "import", evaluation.pk): {},
        page("evaluationrun", "cancel", run.pk): {},
        reverse("admin:runs_run_case", args=[quote(answered.pk)]): {"evaluation": evaluation.pk},
    }
    for address, data in posts.items():
        assert visitor(charlie).post(address, data).status_code in (302, 404), address
        assert visitor(viewer).post(address, data).status_code in (302, 403, 404), address
    run.refresh_from_db()
    assert run.status == "queued"
    assert (EvaluationRun.objects.count(), EvaluationCase.objects.count()) == (1, 1)


def test_an_analyst_does_not_see_what_somebody_keeps_to_themselves(
    bobs: Client, client: Client, evaluation: EvaluationSet, run: EvaluationRun, assistant: Assistant
) -> None:
    assert "Capitals" in bobs.get(page("evaluationset", "changelist")).content.decode()
    Assistant.objects.filter(pk=assistant.pk).update(visibility="private")
    for model in ("evaluationset", "evaluationrun"):
        assert "Capitals" not in bobs.get(page(model, "changelist")).content.decode()
        assert "Capitals" in client.get(page(model, "changelist")).content.decode()
    assert bobs.get(page("evaluationrun", "change", run.pk)).status_code == 302
    assert bobs.post(page("evaluationset", "start", evaluation.pk), {}).status_code == 404
    assert EvaluationResult.objects.get().status == "waiting"
