"""The chat's shell: whose it is, what it lists, and that it carries nobody else's words."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from assistants.models import Assistant
from assistants.services import create_assistant
from inference.models import RegisteredModel
from inference.services import add_alias, register_models, set_default_model
from inference.starter.persona import MODEL_NAME as STARTER_MODEL
from runs.models import Run
from sovereign.accounts import services
from sovereign.accounts.credentials import principal_of_membership
from sovereign.accounts.models import Membership, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role
from tests.web.conftest import EVIL, EVIL_MARKS, MODEL
from threads.models import Thread
from threads.services import create_thread

pytestmark = pytest.mark.django_db


def page_data(answer: Any) -> dict[str, Any]:
    found = re.search(r'<script id="page" type="application/json">(.*?)</script>', answer.content.decode(), re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


@pytest.mark.parametrize("path", ["/chat/", "/chat/thread_1", "/chat/compare"])
def test_the_chat_asks_for_a_session(path: str, client: Client) -> None:
    answer = client.get(path)
    assert answer.status_code == 302
    assert answer["Location"] == f"/login?next={path}"


def test_the_list_is_told_to_nobody_without_a_session(client: Client) -> None:
    answer = client.get("/chat/threads.json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "session_ended")


def test_a_key_opens_no_page(client: Client, api_key: str) -> None:
    assert client.get("/chat/", headers={"Authorization": f"Bearer {api_key}"}).status_code == 302


def test_assistants_of_the_project_are_offered(
    alice: User, assistant: Assistant, charlies_project: Project, visit: Callable[[User], Client]
) -> None:
    charlie = principal_of_membership(Membership.objects.get(project=charlies_project))
    create_assistant(principal=charlie, model=MODEL, name="Charlie's own")
    answer = visit(alice).get("/chat/")
    assert [offered["name"] for offered in page_data(answer)["assistants"]] == ["Guide"]
    assert b"Charlie" not in answer.content


def test_an_assistant_can_be_asked_for(alice: User, assistant: Assistant, visit: Callable[[User], Client]) -> None:
    assert page_data(visit(alice).get(f"/chat/?assistant={assistant.id}"))["assistant"] == assistant.id


def test_answers_of_the_starter_model_are_told_apart(
    alice: User, principal: Principal, assistant: Assistant, visit: Callable[[User], Client]
) -> None:
    register_models(names=[(STARTER_MODEL, "", None)])
    starter = RegisteredModel.objects.get(name=STARTER_MODEL)
    set_default_model(model=starter)
    add_alias(alias="house", model=starter)
    for name in (STARTER_MODEL, "house", "gpt-4o"):
        create_assistant(principal=principal, model=name, name=name)
    offered = page_data(visit(alice).get("/chat/"))["assistants"]
    assert {entry["name"]: entry["is_demonstration"] for entry in offered} == {
        "Guide": False, STARTER_MODEL: True, "house": True, "gpt-4o": True,
    }  # fmt: skip


def test_own_threads_are_listed_newest_activity_first(
    alice: User, principal: Principal, thread: Thread, run: Run, visit: Callable[[User], Client]
) -> None:
    Thread.objects.filter(pk=thread.pk).update(last_activity_at=timezone.now() - timedelta(hours=1))
    client = visit(alice)
    listed = client.get("/chat/threads.json").json()["data"]
    assert [entry["id"] for entry in listed] == [run.thread_id, thread.id]
    assert [entry["is_active"] for entry in listed] == [True, False]
    assert listed[1]["title"] == "Where is the station?"
    content = client.get("/chat/").content.decode()
    assert content.index(run.thread_id) < content.index(thread.id)


def test_a_deep_link_opens_the_thread_with_its_last_assistant(
    alice: User, run: Run, visit: Callable[[User], Client]
) -> None:
    data = page_data(visit(alice).get(f"/chat/{run.thread_id}"))
    assert (data["thread"], data["assistant"]) == (run.thread_id, run.assistant_id)


@pytest.mark.parametrize("who", ["bob", "charlie"])
def test_anothers_thread_is_404_like_an_unknown_one(
    who: str, thread: Thread, bob: User, charlie: User, visit: Callable[[User], Client]
) -> None:
    client = visit({"bob": bob, "charlie": charlie}[who])
    assert client.get(f"/chat/{thread.id}").status_code == 404
    assert client.get("/chat/thread_unknown").status_code == 404
    assert client.get("/chat/threads.json").json()["data"] == []
    assert thread.id not in client.get("/chat/").content.decode()


def test_a_thread_of_the_api_is_not_a_chat(alice: User, project: Project, visit: Callable[[User], Client]) -> None:
    key = Principal(project_id=project.id, key_id="key_1", scopes=frozenset({"threads:write"}))
    thread = create_thread(principal=key)
    assert visit(alice).get(f"/chat/{thread.id}").status_code == 404


def test_a_member_who_left_sees_their_old_threads_no_more(
    alice: User, bob: User, project: Project, visit: Callable[[User], Client]
) -> None:
    membership = Membership.objects.get(user=bob)
    thread = create_thread(principal=principal_of_membership(membership))
    client = visit(bob)
    assert client.get(f"/chat/{thread.id}").status_code == 200
    services.remove_member(membership=membership)
    assert client.get(f"/chat/{thread.id}").status_code == 403
    services.create_project(name="Bob's", owner=bob)
    assert client.get(f"/chat/{thread.id}").status_code == 404


def test_somebody_without_a_project_is_told_so(db: None, visit: Callable[[User], Client]) -> None:
    client = visit(User.objects.create_user("nobody"))
    answer = client.get("/chat/")
    assert answer.status_code == 403
    assert "not a member of any project" in answer.content.decode()
    assert client.get("/chat/threads.json").status_code == 403


def test_a_project_without_assistants_says_what_to_do(
    alice: User, project: Project, visit: Callable[[User], Client]
) -> None:
    viewer = User.objects.create_user("dora")
    services.add_member(project=project, user=viewer, role=Role.VIEWER)
    assert "/admin/assistants/assistant/add/" in visit(alice).get("/chat/").content.decode()
    assert "Ask an analyst" in visit(viewer).get("/chat/").content.decode()


@pytest.fixture
def second(alice: User, project: Project) -> Project:
    return services.create_project(name="Second", owner=alice)


def test_one_of_several_projects_is_active(
    alice: User, second: Project, assistant: Assistant, visit: Callable[[User], Client]
) -> None:
    client = visit(alice)
    assert [offered["id"] for offered in page_data(client.get("/chat/"))["assistants"]] == [assistant.id]
    answer = client.post("/chat/project", {"project": second.id})
    assert (answer.status_code, answer["Location"]) == (302, "/chat/")
    assert page_data(client.get("/chat/"))["assistants"] == []


def test_a_deep_link_opens_the_project_it_leads_into(
    alice: User, second: Project, assistant: Assistant, thread: Thread, visit: Callable[[User], Client]
) -> None:
    for address in (f"/chat/?assistant={assistant.id}", f"/chat/{thread.id}"):
        client = visit(alice)
        client.post("/chat/project", {"project": second.id})
        answer = client.get(address, follow=True)
        assert answer.redirect_chain == [(address, 302)]
        assert page_data(answer)["assistants"]


@pytest.mark.parametrize("project_id", ["a\x00b", "", "proj_unknown", "foreign"])
def test_a_project_of_others_cannot_be_chosen(
    project_id: str, alice: User, project: Project, charlies_project: Project, visit: Callable[[User], Client]
) -> None:
    chosen = charlies_project.id if project_id == "foreign" else project_id
    assert visit(alice).post("/chat/project", {"project": chosen}).status_code == 404


def test_choosing_a_project_leads_to_no_other_host(
    alice: User, second: Project, visit: Callable[[User], Client]
) -> None:
    data = {"project": second.id, "next": "https://evil.example/"}
    assert visit(alice).post("/chat/project", data)["Location"] == "/chat/"


def test_choosing_a_project_needs_the_csrf_token(
    alice: User, second: Project, browser_of: Callable[[User], Client]
) -> None:
    assert browser_of(alice).post("/chat/project", {"project": second.id}).status_code == 403


def test_what_people_wrote_stands_escaped_on_the_page(
    alice: User, principal: Principal, model: str, visit: Callable[[User], Client]
) -> None:
    create_assistant(principal=principal, model=model, name=EVIL, description=EVIL)
    thread = create_thread(principal=principal, messages=[{"role": "user", "content": EVIL}])
    Project.objects.update(name=EVIL)
    services.create_project(name=EVIL[:100], owner=alice)
    content = visit(alice).get(f"/chat/{thread.id}").content.decode()
    assert "&lt;script&gt;" in content
    for mark in EVIL_MARKS:
        assert mark not in content


def test_the_shell_takes_few_queries(
    alice: User, principal: Principal, assistant: Assistant, visit: Callable[[User], Client],
    django_assert_max_num_queries: Any, remembered_registry: Callable[[], None],
) -> None:  # fmt: skip
    for _ in range(30):
        create_thread(principal=principal)
    client = visit(alice)
    remembered_registry()
    with django_assert_max_num_queries(8):
        client.get("/chat/")
