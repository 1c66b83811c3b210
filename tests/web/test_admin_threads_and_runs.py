"""Conversations and runs in the admin: to be read, by those who may, and it is noted who read."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from assistants.models import Assistant
from runs.models import Run, RunStep
from runs.services.creation import create_thread_and_run
from sovereign.accounts import services
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role
from tests.web.conftest import EVIL, EVIL_MARKS
from threads.models import Thread
from threads.services import create_thread

pytestmark = pytest.mark.django_db

LISTS = {"threads_thread": "/admin/threads/thread/", "runs_run": "/admin/runs/run/"}


def page(model: str, view: str, *args: str) -> str:
    return reverse(f"admin:{model}_{view}", args=args)


@pytest.fixture
def client(alice: User, project: Project, visit: Callable[[User], Client]) -> Client:
    return visit(alice)


def test_a_thread_is_read_as_a_conversation(client: Client, thread: Thread) -> None:
    content = client.get(page("threads_thread", "change", thread.pk)).content.decode()
    assert "Where is the station?" in content
    assert 'name="_save"' not in content


def test_reading_anothers_chat_is_noted_and_reading_ones_own_is_not(
    client: Client, bob: User, run: Run, visit: Callable[[User], Client]
) -> None:
    readings = AuditEvent.objects.filter(action="thread.read")
    for model, pk in (("threads_thread", run.thread_id), ("runs_run", run.pk)):
        client.get(page(model, "change", pk))
        assert not readings.exists()
        assert visit(bob).get(page(model, "change", pk)).status_code == 200
        event = readings.get()
        assert (event.user_id, event.object_id, event.project_id) == (bob.pk, run.thread_id, run.project_id)
        readings.delete()


def test_a_run_shows_what_it_did(client: Client, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(status="failed", last_error={"code": "server_error", "message": "It broke."})
    RunStep.objects.create(
        run=run, position=1, type="tool_calls",
        step_details={"type": "tool_calls", "tool_calls": [
            {"id": "call_1", "type": "function",
             "function": {"name": "look_up", "arguments": '{"city": "Bonn"}', "output": "sunny"}}]},
    )  # fmt: skip
    content = client.get(page("runs_run", "change", run.pk)).content.decode()
    for shown in ("It broke.", "look_up", "Bonn", "sunny", "run.created", "3 deltas, 15 characters", "4 to 6"):
        assert shown in content, shown
    assert "&quot;temperature&quot;: 1.0" in content  # the configuration it ran with
    assert page("assistants_assistant", "change", run.assistant_id.replace("_", "_5F")) in content
    assert page("threads_thread", "change", run.thread_id.replace("_", "_5F")) in content


def test_a_run_of_a_deleted_assistant_is_still_shown(client: Client, run: Run) -> None:
    Assistant.objects.all().delete()
    assert f"{run.assistant_id} (deleted)" in client.get(page("runs_run", "change", run.pk)).content.decode()
    assert client.get(LISTS["runs_run"]).status_code == 200


def test_runs_of_an_assistant_and_of_a_thread_are_listed(client: Client, run: Run, thread: Thread) -> None:
    runs = LISTS["runs_run"]
    for query, found in (
        (f"assistant_id={run.assistant_id}", True),
        ("assistant_id=asst_other", False),
        (f"thread={run.thread_id}", True),
        (f"thread={thread.pk}", False),
        ("status=queued", True),
        ("status=failed", False),
        (f"q={run.pk}", True),
        ("q=How+are", True),
        ("q=nothing", False),
    ):
        content = client.get(f"{runs}?{query}").content.decode()
        assert (page("runs_run", "change", run.pk.replace("_", "_5F")) in content) == found, query


def test_threads_are_found_by_title_person_and_origin(client: Client, thread: Thread, project: Project) -> None:
    key = Principal(project_id=project.id, key_id="key_1", scopes=frozenset({"threads:write"}))
    create_thread(principal=key, title="From a program")
    for query, chat, api in (
        ("", True, True),
        ("origin=chat", True, False),
        ("origin=api", False, True),
        ("q=station", True, False),
        ("q=alice", True, False),
        (f"q={thread.pk}", True, False),
    ):
        content = client.get(f"{LISTS['threads_thread']}?{query}").content.decode()
        assert (("Where is the station" in content), ("From a program" in content)) == (chat, api), query


@pytest.mark.parametrize("table", LISTS)
def test_nothing_can_be_written_here(table: str, client: Client, run: Run) -> None:
    pk = run.pk if table == "runs_run" else run.thread_id
    assert client.get(page(table, "add")).status_code == 403
    assert client.post(page(table, "change", pk), {"title": "x", "status": "completed"}).status_code == 403
    assert table == "threads_thread" or client.post(page(table, "delete", pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("table", LISTS)
def test_another_tenants_rows_do_not_exist(
    table: str, run: Run, charlie: User, visit: Callable[[User], Client]
) -> None:
    client = visit(charlie)
    pk = run.pk if table == "runs_run" else run.thread_id
    assert "How are you" not in client.get(LISTS[table]).content.decode()
    answer = client.get(page(table, "change", pk))
    assert answer.status_code == 302
    assert "How are you" not in " ".join(map(str, get_messages(answer.wsgi_request)))


@pytest.mark.parametrize("table", LISTS)
@pytest.mark.parametrize(("role", "status"), [("viewer", 302), ("analyst", 200), ("admin", 200), ("owner", 200)])
def test_roles_that_may_read_conversations_get_in(
    role: str, status: int, table: str, run: Run, project: Project, visit: Callable[[User], Client]
) -> None:
    person = User.objects.create_user("dora")
    services.add_member(project=project, user=person, role=Role(role))
    assert visit(person).get(LISTS[table]).status_code == status


def test_runs_are_cancelled_through_the_service(client: Client, run: Run, alice: User) -> None:
    data = {"action": "cancel", "_selected_action": [run.pk]}
    told = " ".join(map(str, get_messages(client.post(LISTS["runs_run"], data).wsgi_request)))
    run.refresh_from_db()
    assert run.status == "cancelling"
    assert "1 asked to end" in told
    assert AuditEvent.objects.filter(action="run.cancelled", user_id=alice.pk).exists()
    again = " ".join(map(str, get_messages(client.post(LISTS["runs_run"], data).wsgi_request)))
    assert "Cannot cancel run" in again


def test_lists_and_pages_take_few_queries(
    client: Client, principal: Principal, assistant: Assistant, run: Run,
    django_assert_max_num_queries: Any, remembered_registry: Callable[[], None],
) -> None:  # fmt: skip
    for number in range(40):
        message = {"role": "user", "content": f"Question {number}"}
        create_thread_and_run(principal=principal, assistant_id=assistant.id, thread={"messages": [message]})
    addresses = [*LISTS.values(), page("runs_run", "change", run.pk), page("threads_thread", "change", run.thread_id)]
    remembered_registry()
    for address in ["/admin/", *addresses]:
        with django_assert_max_num_queries(20):
            assert client.get(address).status_code == 200


def test_what_people_and_models_wrote_stands_escaped(
    client: Client, principal: Principal, assistant: Assistant
) -> None:
    message = {"role": "user", "content": EVIL}
    made = create_thread_and_run(
        principal=principal, assistant_id=assistant.id, thread={"messages": [message]}, instructions=EVIL,
        metadata={"a": EVIL},
    ).run  # fmt: skip
    Assistant.objects.update(name=EVIL)
    Run.objects.update(waiting_reason=EVIL)
    call = {"id": "call_1", "type": "function", "function": {"name": EVIL, "arguments": EVIL, "output": EVIL}}
    details = {"type": "tool_calls", "tool_calls": [call]}
    RunStep.objects.create(run=made, position=1, type="tool_calls", step_details=details, last_error={"message": EVIL})
    addresses = [*LISTS.values(), page("runs_run", "change", made.pk), page("threads_thread", "change", made.thread_id)]
    for address in ["/admin/", *addresses]:
        content = client.get(address).content.decode()
        assert "&lt;script&gt;" in content, address
        for mark in EVIL_MARKS:
            assert mark not in content, address


def test_the_overview_shows_own_runs_only(
    client: Client, run: Run, charlie: User, visit: Callable[[User], Client]
) -> None:
    assert "How are you?" in client.get("/admin/").content.decode()
    assert "How are you?" not in visit(charlie).get("/admin/").content.decode()


def test_the_sidebar_offers_what_one_may_open(
    client: Client, bob: User, project: Project, visit: Callable[[User], Client]
) -> None:
    assert 'href="/admin/accounts/apikey/"' in client.get("/admin/").content.decode()
    content = visit(bob).get("/admin/").content.decode()
    assert 'href="/admin/accounts/apikey/"' not in content
    assert 'href="/admin/runs/run/"' in content
