"""Tools in the admin: what a run's calls did, consent by those who may, and the list of every use."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from runs.events import EventLog
from runs.models import Run, RunStep, ToolUse
from runs.services import calls
from runs.services.recorder import Recorder
from sovereign.accounts import services
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.scopes import Role
from tests.web.conftest import EVIL, EVIL_MARKS
from threads.models import Message

pytestmark = pytest.mark.django_db

USES = "/admin/runs/tooluse/"
ARGUMENTS = {"title": "Review\u202e\U000e0041\u3164", "room": 2**60}
REQUEST = {"server_label": "calendar", "name": "add_event", "arguments": ARGUMENTS}


def address(view: str, run: Run) -> str:
    return reverse(f"admin:runs_run_{view}", args=[quote(run.pk)])


def function(call_id: str, name: str, arguments: str, output: str | None = None) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments, "output": output}}


def entry(tool: str, **more: Any) -> dict[str, Any]:
    return {"tool": tool, "arguments": {"given": {}}, "state": "asked", **more}


def use(run: Run, call_id: str, **fields: Any) -> ToolUse:
    described = {"kind": "calculator", "tool": "calculator", "outcome": "ok", "milliseconds": 12, **fields}
    return ToolUse.objects.create(
        call_id=call_id, project=run.project, run_id=run.pk, assistant_id=run.assistant_id, thread_id=run.thread_id,
        user_id=run.created_by_user, **described,
    )  # fmt: skip


@pytest.fixture
def client(alice: User, project: Project, visit: Callable[[User], Client]) -> Client:
    return visit(alice)


@pytest.fixture
def waiting(run: Run) -> Run:
    """A run whose only call waits for somebody's consent."""
    return wait(run, [function("call_1", "calendar__add_event", "{}")])


def wait(run: Run, waiting_calls: list[dict[str, Any]]) -> Run:
    Run.objects.filter(pk=run.pk).update(status="in_progress")
    run.refresh_from_db()
    details = {"type": "tool_calls", "tool_calls": waiting_calls}
    asked = {
        call["id"]: entry("calendar__add_event", approval="needed", request=REQUEST)
        for call in waiting_calls
        if call["id"] == "call_1"
    }
    step = RunStep.objects.create(run=run, position=1, type="tool_calls", step_details=details, asked=asked)
    with EventLog() as log:
        calls.close(Recorder(log, run), step_id=step.pk)
    return run


def answer(client: Client, run: Run, **fields: str) -> str:
    response = client.post(address("answer", run), {name.replace("_", "-", 1): value for name, value in fields.items()})
    assert response.status_code == 302
    return " ".join(map(str, get_messages(response.wsgi_request)))


def test_calls_are_shown_with_what_was_asked_what_came_and_how_long_it_took(client: Client, run: Run) -> None:
    code = {"input": "print(6 * 7)", "outputs": [
        {"type": "logs", "logs": "forty-two"}, {"type": "image", "image": {"file_id": "file-plot"}}]}  # fmt: skip
    shown = [
        {"id": "call_1", "type": "code_interpreter", "code_interpreter": code},
        function("call_2", "calculator", '{"of":"6*7"}', '{"error": "No."}'),
        function("call_3", "look_up", "{}", "sunny"),
    ]
    asked = {"call_1": entry("code_interpreter"), "call_2": entry("calculator", approval="refused", reason="Not now")}
    RunStep.objects.create(
        run=run, position=1, type="tool_calls", asked=asked, step_details={"type": "tool_calls", "tool_calls": shown}
    )
    use(run, "call_1", tool="code_interpreter", kind="code_interpreter", milliseconds=1234)
    use(run, "call_2", outcome="refused", milliseconds=0)
    content = client.get(address("change", run)).content.decode()
    for part in ("print(6 * 7)", "forty-two", "1.234 s", "refused: Not now", "Refused by a person", "sunny",
                 "the application&#x27;s own", "&quot;of&quot;: &quot;6*7&quot;"):  # fmt: skip
        assert part in content, part
    assert f'<img src="{reverse("admin:knowledge_file_download", args=["file-plot"])}"' in content


def test_images_of_a_conversation_are_shown(client: Client, run: Run) -> None:
    Message.objects.filter(thread=run.thread_id).update(
        content=[{"type": "image_file", "image_file": {"file_id": "file-plot", "detail": "auto"}}]
    )
    page = client.get(reverse("admin:threads_thread_change", args=[quote(run.thread_id)])).content.decode()
    assert f'<img src="{reverse("admin:knowledge_file_download", args=["file-plot"])}"' in page


def test_a_call_that_waits_is_approved(client: Client, waiting: Run, alice: User) -> None:
    page = client.get(address("change", waiting)).content.decode()
    for part in (
        "A call waits for approval",
        f"It waits for somebody&#x27;s approval, until {waiting.expires_at:%H:%M} UTC.",
        f"Until {waiting.expires_at:%H:%M} UTC: then the run is over",
        "add_event",
        "calendar",
        r"Review\u202e\u{e0041}\u3164",
        str(2**60),
    ):
        assert part in page, part
    assert "the run goes on" in answer(client, waiting, answer_call_1="approve")
    waiting.refresh_from_db()
    step = RunStep.objects.get(run=waiting)
    assert (waiting.status, waiting.required_action) == ("queued", None)
    assert step.asked["call_1"]["approval"] == "given"
    event = AuditEvent.objects.get(action="run.call_approved")
    assert (event.user_id, event.object_id, event.details) == (alice.pk, waiting.pk, {"tool": "calendar__add_event"})
    assert "A call waits" not in client.get(address("change", waiting)).content.decode()
    assert "do not accept tool outputs" in answer(client, waiting, answer_call_1="approve")


def test_a_refusal_has_its_reason(client: Client, waiting: Run) -> None:
    answer(client, waiting, answer_call_1="refuse", reason_call_1="Not today")
    kept = RunStep.objects.get(run=waiting).asked["call_1"]
    assert (kept["approval"], kept["reason"]) == ("refused", "Not today")
    assert AuditEvent.objects.filter(action="run.call_refused").exists()


@pytest.mark.parametrize("fields", [{}, {"answer_call_1": "perhaps"}])
def test_what_is_not_answered_changes_nothing(client: Client, waiting: Run, fields: dict[str, str]) -> None:
    assert "Approve or refuse each" in answer(client, waiting, **fields)
    waiting.refresh_from_db()
    assert waiting.status == "requires_action"


def test_where_the_application_has_to_answer_nothing_is_offered(client: Client, run: Run) -> None:
    wait(run, [function("call_1", "calendar__add_event", "{}"), function("call_2", "look_up", "{}")])
    page = client.get(address("change", run)).content.decode()
    assert "The application that began this run has to answer" in page
    assert "to give the result of look_up and for somebody&#x27;s approval" in page
    assert "answer-call_1" not in page
    assert "Expected tool outputs" in answer(client, run, answer_call_1="approve")


@pytest.mark.parametrize("arguments", ['{"city": ', "[1]", json.dumps(REQUEST)])
def test_an_applications_function_is_no_request_whatever_it_is_called(client: Client, run: Run, arguments: str) -> None:
    """Models call functions that nobody described, too."""
    wait(run, [function("call_2", "mcp_approval_request", arguments)])
    page = client.get(address("change", run)).content.decode()
    assert "It waits for the application to give the result of mcp_approval_request, until" in page
    assert "A call waits" not in page
    assert "answer-call_2" not in page


def test_runs_that_wait_for_a_person_are_found(client: Client, run: Run) -> None:
    runs = "/admin/runs/run/"
    wait(run, [function("call_2", "look_up", "{}")])
    assert quote(run.pk) not in client.get(f"{runs}?waits=approval").content.decode()
    assert quote(run.pk) in client.get(runs).content.decode()
    RunStep.objects.filter(run=run).delete()
    wait(run, [function("call_1", "calendar__add_event", "{}")])
    assert quote(run.pk) in client.get(f"{runs}?waits=approval").content.decode()


@pytest.mark.parametrize(("role", "status"), [("viewer", 302), ("analyst", 302), (None, 404)])
def test_who_may_answer(
    role: str | None, status: int, waiting: Run, project: Project, charlie: User, visit: Callable[[User], Client]
) -> None:
    person = charlie
    if role is not None:
        person = User.objects.create_user("dora")
        services.add_member(project=project, user=person, role=Role(role))
    response = visit(person).post(address("answer", waiting), {"answer-call_1": "approve"})
    waiting.refresh_from_db()
    assert response.status_code == status
    assert waiting.status == ("queued" if role == "analyst" else "requires_action")
    assert visit(person).get(address("answer", waiting)).status_code in (302, 405)


def test_uses_are_listed_and_filtered(client: Client, run: Run) -> None:
    use(run, "call_1")
    use(run, "call_2", kind="mcp", tool="calendar__add_event", outcome="timeout")
    for query, calculator, calendar in (
        ("", True, True),
        ("kind=mcp", False, True),
        ("outcome__exact=ok", True, False),
        (f"assistant_id={run.assistant_id}", True, True),
        ("assistant_id=asst_other", False, False),
        ("q=calculator", True, False),
        ("q=call_2", False, True),
    ):
        rows = client.get(f"{USES}?{query}").content.decode().partition("result_list")[2]
        assert (("0.012 s" in rows and ">calculator<" in rows), (">calendar__add_event<" in rows)) == (
            calculator, calendar
        ), query  # fmt: skip
    page = client.get(reverse("admin:runs_tooluse_change", args=[quote(ToolUse.objects.all()[0].pk)]))
    assert "alice" in page.content.decode()
    assert client.get(f"{USES}add/").status_code == 403


def test_uses_are_seen_by_those_who_see_usage(
    run: Run, project: Project, charlie: User, visit: Callable[[User], Client]
) -> None:
    use(run, "call_1")
    assert ">calculator<" not in visit(charlie).get(USES).content.decode()
    for role, status in (("analyst", 403), ("admin", 200)):
        person = User.objects.create_user(role)
        services.add_member(project=project, user=person, role=Role(role))
        assert visit(person).get(USES).status_code == status


def test_what_models_and_tools_wrote_stands_escaped(client: Client, run: Run) -> None:
    code = {"input": EVIL, "outputs": [{"type": "logs", "logs": EVIL}, {"type": "image", "image": {"file_id": EVIL}}]}
    shown = [{"id": "call_2", "type": "code_interpreter", "code_interpreter": code}]
    asked = {"call_2": entry(EVIL, approval="refused", reason=EVIL)}
    RunStep.objects.create(
        run=run, position=2, type="tool_calls", asked=asked, step_details={"type": "tool_calls", "tool_calls": shown}
    )
    request = {"server_label": EVIL, "name": EVIL, "arguments": {EVIL: EVIL}}
    wait(run, [function("call_1", EVIL, EVIL)])
    step = RunStep.objects.get(run=run, position=1)
    step.asked["call_1"]["request"] = request
    step.save()
    with EventLog() as log:
        Run.objects.filter(pk=run.pk).update(status="in_progress")
        run.refresh_from_db()
        calls.close(Recorder(log, run), step_id=step.pk)
    use(run, "call_2", tool=EVIL[:64], kind="mcp")
    for page in (address("change", run), USES):
        content = client.get(page).content.decode()
        assert "&lt;script&gt;" in content, page
        for mark in EVIL_MARKS:
            assert mark not in content, page
