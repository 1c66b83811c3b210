"""Trying an assistant in the admin: who may, what may answer, and what stands under the answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from assistants.knowledge import storage
from assistants.knowledge.models import File
from assistants.models import Assistant, AssistantVersion, Deployment
from assistants.services import create_assistant, update_assistant, versions
from runs.evaluations import services as evaluations
from runs.evaluations.models import EvaluationCase, EvaluationSet
from runs.models import Run, RunStep
from runs.services.creation import create_thread_and_run
from sovereign.accounts import services
from sovereign.accounts.credentials import SESSION_PROJECT, principal_of_person
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_DEPLOY, ROLE_SCOPES, Role
from sovereign.web.chat.sidebar import listed
from tests.web.conftest import EVIL, EVIL_MARKS
from threads.models import Message, Thread
from threads.services import add_messages, lock_threads

pytestmark = pytest.mark.django_db

VERSION = "X-Sovereign-Version"
TRIAL = {"sovereign_purpose": "trial"}
Visit = Callable[[User], Client]


def address(assistant: Assistant, name: str = "assistant_try") -> str:
    return reverse(name, args=[quote(assistant.pk)])


def sides(answer: Any) -> dict[str, Any]:
    return {side["name"]: side for side in answer.context["sides"]}


def told(answer: Any) -> dict[str, Any]:
    """What the page's script is told."""
    found = re.search(r'<script id="trying" type="application/json">(.*?)</script>', answer.content.decode(), re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


@pytest.fixture
def vera(project: Project) -> User:
    """A viewer of Alice's project."""
    user = User.objects.create_user("vera")
    services.add_member(project=project, user=user, role=Role.VIEWER)
    return user


@pytest.fixture
def version(principal: Principal, assistant: Assistant) -> AssistantVersion:
    """Published; the draft has gone on since."""
    made = versions.publish(principal=principal, assistant_id=assistant.id)
    update_assistant(principal=principal, assistant_id=assistant.id, instructions="Newer.")
    return made


def deploy(version: AssistantVersion, environment: str = "production", **fields: Any) -> Deployment:
    fields = {"status": "active", **fields}
    return Deployment.objects.create(
        project_id=version.project_id, assistant_id=version.assistant_id, version=version, environment=environment,
        **fields,
    )  # fmt: skip


@pytest.fixture
def trial(principal: Principal, assistant: Assistant) -> Run:
    """Alice asked, and was answered after 0.4 seconds."""
    thread = {"messages": [{"role": "user", "content": "Which platform?"}], "metadata": TRIAL}
    run = create_thread_and_run(principal=principal, assistant_id=assistant.id, thread=thread).run
    locked = lock_threads([run.thread_id])[run.thread_id]
    add_messages(locked, [{"role": "assistant", "content": "Platform two."}])
    Message.objects.filter(thread=locked, position=2).update(run_id=run.id, assistant_id=assistant.id)
    details = {"type": "message_creation", "message_creation": {"message_id": "msg_1"}}
    step = RunStep.objects.create(
        run=run, position=1, type="message_creation", status="completed", step_details=details
    )
    RunStep.objects.filter(pk=step.pk).update(created_at=run.created_at + timedelta(milliseconds=400))
    Run.objects.filter(pk=run.pk).update(
        status="completed", started_at=run.created_at + timedelta(milliseconds=30), prompt_tokens=20, cached_tokens=8,
        completed_at=run.created_at + timedelta(milliseconds=1234), completion_tokens=3,
    )  # fmt: skip
    Thread.objects.filter(pk=run.thread_id).update(active_run_id=None)
    run.refresh_from_db()
    return run


# ------------------------------------------------------------------------------------------ who


@pytest.mark.parametrize(("who", "status"), [("alice", 200), ("bob", 200), ("charlie", 404), ("vera", 302)])
def test_members_who_deploy_try_and_for_outsiders_there_is_nothing(
    who: str, status: int, assistant: Assistant, visit: Visit, vera: User, request: pytest.FixtureRequest
) -> None:
    client = visit(request.getfixturevalue(who))
    assert client.get(address(assistant)).status_code == status
    assert client.get(address(assistant, "assistant_try_figures")).status_code == status
    expected = 404 if status == 200 else status  # there is no such run
    assert client.post(address(assistant, "assistant_try_case"), {}).status_code == expected


def test_who_may_not_choose_what_answers_does_not_try(
    assistant: Assistant, bob: User, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Today all who get into the admin may: the page asks for the right itself."""
    change = reverse("admin:assistants_assistant_change", args=[quote(assistant.pk)])
    assert address(assistant) in visit(bob).get(change).content.decode()
    monkeypatch.setitem(ROLE_SCOPES, Role.ANALYST.value, ROLE_SCOPES[Role.ANALYST.value] - {ASSISTANTS_DEPLOY})
    assert visit(bob).get(address(assistant)).status_code == 403
    assert address(assistant) not in visit(bob).get(change).content.decode(), "nor is there a tab"


def test_a_private_assistant_is_not_there_for_others(assistant: Assistant, bob: User, visit: Visit) -> None:
    Assistant.objects.filter(pk=assistant.pk).update(visibility="private")
    assert visit(bob).get(address(assistant)).status_code == 404


def test_a_superuser_who_is_no_member_is_told_so(assistant: Assistant, visit: Visit) -> None:
    client = visit(User.objects.create_superuser("root"))
    page = client.get(address(assistant)).content.decode()
    assert "You are no member of this project" in page
    assert 'id="trying"' not in page
    assert client.get(address(assistant, "assistant_try_figures")).status_code == 403
    assert client.post(address(assistant), {"text": "Hello?", "left": "draft"}).status_code == 200
    assert not Run.objects.exists(), "and asks nothing"


def test_the_page_of_another_project_leaves_the_session_in_its_own(
    assistant: Assistant, charlie: User, project: Project, visit: Visit
) -> None:
    """What its script asks of the API names the project; what it only links is found by whoever may read it."""
    services.add_member(project=project, user=charlie, role=Role.ANALYST)
    client = visit(charlie)
    own = principal_of_person(charlie.pk).project_id
    session = client.session
    session[SESSION_PROJECT] = own
    session.save()
    assert told(client.get(address(assistant)))["project"] == project.pk != own
    assert client.session[SESSION_PROJECT] == own, "other tabs are there still"
    stored = storage.save([b"a picture"])
    file = File.objects.create(
        project=project, purpose="vision", filename="a.png", bytes=stored.bytes, storage_key=stored.key
    )
    linked: Any = client.get(f"/v1/files/{file.pk}/content")
    assert b"".join(linked.streaming_content) == b"a picture"
    of_page = {"X-Sovereign-Project": own}
    assert client.get(f"/v1/files/{file.pk}/content", headers=of_page).status_code == 404, "it is not that page's"
    assert client.get(f"/v1/files/{file.pk}").status_code == 404
    services.remove_member(membership=project.memberships.get(user=charlie))
    assert client.get(f"/v1/files/{file.pk}/content").status_code == 404


# ------------------------------------------------------------------------------------------ what answers


def test_a_draft_alone_is_tried_alone(assistant: Assistant, bob: User, visit: Visit) -> None:
    answer = visit(bob).get(address(assistant))
    shown = sides(answer)
    assert (shown["left"]["chosen"], shown["right"]["chosen"]) == ("draft", "")
    assert [value for value, _, _ in shown["left"]["choices"]] == ["draft"]
    assert "Publish a version to have it answer here" in answer.content.decode()


def test_the_draft_stands_beside_what_people_have(version: AssistantVersion, bob: User, visit: Visit) -> None:
    assistant, client = version.assistant, visit(bob)
    assert sides(client.get(address(assistant)))["right"]["chosen"] == "version-1"
    deploy(version)
    newer = versions.publish(principal=principal_of_person(bob.pk), assistant_id=assistant.id)
    deploy(newer, status="canary", percent=12.5)
    deploy(newer, "testing")
    deploy(newer, "staging", status="retired")
    shown = sides(client.get(address(assistant)))
    assert (shown["left"]["chosen"], shown["right"]["chosen"]) == ("draft", "production")
    assert [value for value, _, _ in shown["right"]["choices"]] == [
        "draft", "production", "testing", "version-2", "version-1",
    ]  # fmt: skip
    titles = {value: title for value, title, _ in shown["right"]["choices"]}
    assert titles["production"] == "Production: version 1, version 2 for 12.5 % of conversations"


def test_the_address_chooses_and_what_it_does_not_know_is_not_chosen(
    version: AssistantVersion, bob: User, visit: Visit
) -> None:
    client = visit(bob)
    page = client.get(address(version.assistant), {"left": "version-1", "right": ""})
    assert [side["chosen"] for side in sides(page).values()] == ["version-1", ""]
    wrong = client.get(address(version.assistant), {"left": "version-7", "right": EVIL, "left_thread": EVIL})
    assert [side["chosen"] for side in sides(wrong).values()] == ["draft", "version-1"]
    assert not any(mark in wrong.content.decode() for mark in EVIL_MARKS)
    headers = told(page)["headers"]
    assert headers == {"draft": {"X-Sovereign-Environment": "draft"}, "version-1": {VERSION: "1"}}


def test_only_the_persons_own_trials_are_gone_on_with(
    trial: Run, thread: Thread, assistant: Assistant, alice: User, bob: User, visit: Visit
) -> None:
    query = {"left_thread": trial.thread_id, "right_thread": thread.id}
    page = visit(alice).get(address(assistant), query)
    assert told(page)["sides"] == {"left": trial.thread_id, "right": None}, "the other is a chat"
    assert "Platform two." in page.content.decode()
    assert told(visit(bob).get(address(assistant), query))["sides"] == {"left": None, "right": None}
    other = create_assistant(principal=principal_of_person(alice.pk), model="fake", name="Other")
    assert told(visit(alice).get(address(other), query))["sides"]["left"] is None


def test_hostile_texts_are_shown_as_text(trial: Run, assistant: Assistant, alice: User, visit: Visit) -> None:
    Assistant.objects.filter(pk=assistant.pk).update(name=EVIL)
    content = [{"type": "text", "text": {"value": EVIL, "annotations": []}}]
    Message.objects.filter(thread_id=trial.thread_id).update(content=content)
    page = visit(alice).get(address(assistant), {"left_thread": trial.thread_id}).content.decode()
    assert "alert(&#x27;xss&#x27;)" in page
    assert not any(mark in page for mark in EVIL_MARKS)


def test_trials_are_no_chats(trial: Run, thread: Thread, principal: Principal) -> None:
    common = {"project_id": principal.project_id, "owner_id": principal.user_id, "metadata": TRIAL}
    Thread.objects.bulk_create(Thread(**common, title=f"later {number}") for number in range(310))
    assert [entry["id"] for entry in listed(principal)["data"]] == [thread.id], "however much was tried since"


# ------------------------------------------------------------------------------------------ a version, by the API


@pytest.fixture
def ask(assistant: Assistant) -> Callable[..., Any]:
    """``ask(client, version)``: begin a run as the page's script does."""

    def make(client: APIClient, wanted: str, thread_id: str | None = None) -> Any:
        path = f"/v1/threads/{thread_id}/runs" if thread_id else "/v1/threads/runs"
        message = {"role": "user", "content": "Hello?"}
        fields: dict[str, Any] = {"thread": {"messages": [message], "metadata": TRIAL}}
        fields = {"additional_messages": [message]} if thread_id else fields
        return client.post(
            path, {"assistant_id": assistant.id, **fields}, format="json", headers={VERSION: wanted}
        )  # fmt: skip

    return make


@pytest.fixture
def as_person() -> Callable[[User], APIClient]:
    def make(user: User) -> APIClient:
        client = APIClient()
        client.force_login(user)
        return client

    return make


def test_who_deploys_runs_any_version_outside_of_all_environments(
    ask: Callable[..., Any], as_person: Callable[[User], APIClient], version: AssistantVersion, bob: User
) -> None:
    deploy(version)
    newer = versions.publish(principal=principal_of_person(bob.pk), assistant_id=version.assistant_id)
    begun = ask(as_person(bob), "2").json()
    run = Run.objects.get(pk=begun["id"])
    assert (run.version_id, run.environment, run.deployment_id) == (newer.id, None, None)
    Run.objects.filter(pk=run.pk).update(status="completed")
    Thread.objects.filter(pk=run.thread_id).update(active_run_id=None)
    again = ask(as_person(bob), version.id, run.thread_id).json()
    assert (again["thread_id"], Run.objects.get(pk=again["id"]).version_id) == (run.thread_id, version.id)


def test_what_is_no_version_of_it_is_refused(
    ask: Callable[..., Any], as_person: Callable[[User], APIClient], principal: Principal, bob: User, model: str
) -> None:
    other = create_assistant(principal=principal, model=model, name="Other")
    foreign = versions.publish(principal=principal, assistant_id=other.id)
    for wanted in ("1", foreign.id, "x" * 300):
        assert ask(as_person(bob), wanted).status_code == 404
    assert not Thread.objects.exists(), "nothing is left behind"


def test_a_key_and_who_may_not_choose_try_no_version(
    ask: Callable[..., Any], as_person: Callable[[User], APIClient], version: AssistantVersion, vera: User,
    api: APIClient,
) -> None:  # fmt: skip
    refused = ask(as_person(vera), "1")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_permissions")
    assert Run.objects.get(pk=ask(api, "1").json()["id"]).version_id is None, "a key has what is its own"


# ------------------------------------------------------------------------------------------ without a script


def test_a_form_asks_both_and_goes_on_with_both(version: AssistantVersion, bob: User, visit: Visit) -> None:
    assistant, client = version.assistant, visit(bob)
    sent = {"text": "Which platform?", "left": "draft", "right": "version-1", "to": "both"}
    page = client.post(address(assistant), sent)
    query = {name: values[0] for name, values in parse_qs(urlsplit(page["Location"]).query).items()}
    runs = {name: Run.objects.get(thread_id=query[f"{name}_thread"]) for name in ("left", "right")}
    assert [runs[name].version_id for name in ("left", "right")] == [None, version.id]
    assert [runs[name].thread.metadata for name in ("left", "right")] == [TRIAL, TRIAL]
    shown = client.get(page["Location"])
    assert "An answer is being written" in shown.content.decode()
    busy = client.post(address(assistant), {**sent, **query, "text": "And when?"}, follow=True)
    assert "already has an active run" in busy.content.decode()
    Run.objects.update(status="completed")
    Thread.objects.update(active_run_id=None)
    client.post(address(assistant), {**sent, **query, "text": "And when?", "to": "right"})
    assert [Run.objects.filter(thread_id=runs[name].thread_id).count() for name in ("left", "right")] == [1, 2]
    assert Thread.objects.count() == 2


@pytest.mark.parametrize("text", ["", "  ", "x" * 256_001])
def test_a_form_without_a_message_asks_nothing(text: str, assistant: Assistant, bob: User, visit: Visit) -> None:
    page = visit(bob).post(address(assistant), {"text": text, "left": "draft"}, follow=True).content.decode()
    assert "Write a message first." in page or "The message is too long." in page
    assert not Run.objects.exists()


# ------------------------------------------------------------------------------------------ figures and cases


def test_an_answer_tells_how_long_it_took_and_what_it_used(
    trial: Run, run: Run, assistant: Assistant, alice: User, bob: User, visit: Visit
) -> None:
    path = address(assistant, "assistant_try_figures")
    answer = visit(alice).get(path, {"run": [trial.pk, run.pk, "run_unknown"]})
    assert answer.json()["data"] == {  # the other still runs
        trial.pk: {
            "waited": 30, "first": 400, "total": 1234, "prompt_tokens": 20, "cached_tokens": 8, "completion_tokens": 3,
            "model": "fake", "origin": "Draft", "may_be_case": True, "case": None,
            "address": reverse("admin:runs_run_change", args=[quote(trial.pk)]),
        }
    }  # fmt: skip
    assert "no-store" in answer["Cache-Control"]
    assert visit(bob).get(path, {"run": trial.pk}).json() == {"data": {}}, "it is Alice's conversation"


def make_case(client: Client, assistant: Assistant, **body: Any) -> Any:
    return client.post(address(assistant, "assistant_try_case"), json.dumps(body), content_type="application/json")


def test_a_good_answer_becomes_a_case_of_a_set_that_is_made_for_it(
    trial: Run, assistant: Assistant, alice: User, visit: Visit
) -> None:
    client = visit(alice)
    made = make_case(client, assistant, run=trial.pk, set="").json()
    case = EvaluationCase.objects.get()
    assert (str(case.set), case.set.assistant_id, case.reference) == ("Cases of Guide", assistant.pk, "Platform two.")
    assert case.variables == {}, "what the thread was for is no variable"
    assert made["set"] == {"id": case.set_id, "name": "Cases of Guide"}
    again = make_case(client, assistant, run=trial.pk, set=case.set_id)
    assert (again.status_code, EvaluationSet.objects.count(), EvaluationCase.objects.count()) == (200, 1, 2)
    figures = client.get(address(assistant, "assistant_try_figures"), {"run": trial.pk}).json()["data"][trial.pk]
    assert figures["case"] == again.json()["case"], "the newest"
    assert client.get(figures["case"]["address"]).status_code == 200
    assert (case.set_id, "Cases of Guide") in client.get(address(assistant)).context["sets"]


def test_a_refused_case_leaves_no_set_and_is_audited(
    run: Run, trial: Run, assistant: Assistant, bob: User, visit: Visit, principal: Principal
) -> None:
    refused = make_case(visit(bob), assistant, run=run.pk, set="")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "run_without_answer")
    assert not EvaluationSet.objects.exists()
    assert AuditEvent.objects.filter(action="evaluation.add_case_refused", object_id=run.pk).exists()
    gate = evaluations.create_set(principal=principal, name="Gate", gates={"production": 1.0})
    page = visit(bob).get(address(assistant))
    assert page.context["sets"] == [], "its cases are changed by who promotes"
    assert make_case(visit(bob), assistant, run=trial.pk, set=gate.id).status_code == 403


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"run": 7}', '{"run": "a\\u0000"}', "null"])
def test_what_names_no_run_makes_no_case(body: str, assistant: Assistant, bob: User, visit: Visit) -> None:
    path = address(assistant, "assistant_try_case")
    assert visit(bob).post(path, body, content_type="application/json").status_code == 404
    assert visit(bob).get(path).status_code == 405


def test_the_page_asks_little_however_much_there_is(
    assistant: Assistant, alice: User, visit: Visit, principal: Principal, trial: Run,
    django_assert_max_num_queries: Callable[..., Any],
) -> None:  # fmt: skip
    client = visit(alice)
    for number in range(12):
        update_assistant(principal=principal, assistant_id=assistant.id, instructions=f"Number {number}.")
        versions.publish(principal=principal, assistant_id=assistant.id)
        evaluations.create_set(principal=principal, name=f"Set {number}", assistant_id=assistant.id)
    client.get(address(assistant))
    with django_assert_max_num_queries(20):
        client.get(address(assistant), {"left_thread": trial.thread_id})
