"""``/api/v1/conversations``: what it answers, whom it refuses, and with which words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from assistants import services as assistants
from assistants.models import Assistant
from runs.conversations import services
from runs.conversations.models import Conversation
from runs.models import Run
from runs.services import creation
from sovereign.accounts import services as accounts
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ROLE_SCOPES, RUNS_WRITE, Role
from tests.conversations.conftest import ROOT
from threads import services as threads
from threads.models import Thread, ThreadSummary

pytestmark = pytest.mark.django_db

Start = Callable[..., dict[str, Any]]


def error_of(answer: Any) -> tuple[int, str | None, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["param"], error["code"]


@pytest.fixture
def change(api: APIClient) -> Callable[..., Any]:
    """``change(conversation, **fields)``: the answer of ``PUT …/context``."""
    return lambda one, **fields: api.put(f"{ROOT}/{one['id']}/context", fields, format="json")


@pytest.fixture
def run_of(principal: Principal) -> Callable[[dict[str, Any]], Run]:
    """``run_of(conversation)``: a queued run on its thread, as ``/v1`` makes one."""

    def make(one: dict[str, Any], **request: Any) -> Run:
        message = {"role": "user", "content": "Hello?"}
        return creation.create_run(
            principal=principal, thread_id=one["thread_id"], assistant_id=one["assistant_id"],
            additional_messages=[message], **request,
        ).run  # fmt: skip

    return make


def test_one_is_started_and_read(api: APIClient, start: Start, assistant: Assistant) -> None:
    before = {"role": "user", "content": "What did we say?"}
    made = start(
        metadata={"ticket": "7"}, variables={"plan": "pro", "left": None}, messages=[before],
        context={"compression": "pruning", "window_tokens": 2_000},
    )  # fmt: skip
    assert made == {
        "id": made["id"], "object": "conversation", "created_at": made["created_at"],
        "last_activity_at": made["last_activity_at"], "ended_at": None, "end_reason": None, "status": "active",
        "thread_id": made["thread_id"], "assistant_id": assistant.id, "title": "What did we say?",
        "metadata": {"ticket": "7"}, "variables": {"plan": "pro"},
        "tokens": {"prompt": 0, "completion": 0, "total": 0}, "satisfaction": None, "context": made["context"],
    }  # fmt: skip
    assert made["id"].startswith("conv_")
    context = made["context"]
    assert (context["compression"], context["window_tokens"], context["messages"], context["cut"]) == (
        "pruning", 2_000, 1, None,
    )  # fmt: skip
    assert (context["summarised_messages"], context["left_out_messages"]) == (0, 0)
    assert api.get(f"{ROOT}/{made['id']}").json() == made
    messages = api.get(f"{ROOT}/{made['id']}/messages").json()["data"]
    assert [one["content"][0]["text"]["value"] for one in messages] == ["What did we say?"]
    assert messages[0]["id"] == context["shown_from"]
    assert AuditEvent.objects.filter(action="conversation.started", object_id=made["id"]).count() == 1


def test_a_thread_that_is_deleted_takes_its_conversation_with_it(
    api: APIClient, start: Start, principal: Principal
) -> None:
    made = start()
    threads.delete_thread(principal=principal, thread_id=made["thread_id"])
    answer = api.get(f"{ROOT}/{made['id']}")
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        404, f"No conversation found with id '{made['id']}'.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"assistant_id": "asst_01unknown"}, (404, None, None)),
        ({"assistant_id": "unknown"}, (400, "assistant_id", "invalid_value")),
        ({"variables": {"plan": {}}}, (400, "variables.plan", "invalid_type")),
        ({"variables": {"plan": ["a", 1]}}, (400, "variables.plan[1]", "invalid_type")),
        ({"variables": {"plan": 1e17}}, (400, "variables.plan", "decimal_above_max_value")),
        ({"variables": {"p" * 65: "x"}}, (400, "variables", "string_above_max_length")),
        ({"variables": {f"v{n}": "x" for n in range(65)}}, (400, "variables", "object_above_max_properties")),
        ({"variables": {"plan": "x" * 64_000}}, (400, "variables", "too_many_variables")),
        ({"context": {"window_tokens": 255}}, (400, "context.window_tokens", "integer_below_min_value")),
        ({"context": {"compression": "zip"}}, (400, "context.compression", "invalid_value")),
        ({"messages": [{"role": "user", "content": ""}]}, (400, "messages[0].content", "invalid_value")),
        ({"environment": "production"}, (400, "environment", "unknown_parameter")),
    ],
)
def test_what_cannot_be_started_leaves_nothing(
    api: APIClient, assistant: Assistant, fields: dict[str, Any], refusal: tuple[Any, ...]
) -> None:
    answer = api.post(ROOT, {"assistant_id": assistant.id, **fields}, format="json")
    assert error_of(answer) == refusal
    assert not Thread.objects.exists()


def test_an_assistant_that_would_answer_nobody_is_refused(api: APIClient, assistant: Assistant) -> None:
    Assistant.objects.filter(pk=assistant.pk).update(model="gone")
    answer = api.post(ROOT, {"assistant_id": assistant.id}, format="json")
    assert error_of(answer) == (404, "model", "model_not_found")


# ------------------------------------------------------------------------------------------------- variables


def test_variables_are_of_the_types_that_the_prompts_declare(
    api: APIClient, prompted: Assistant, start: Start, change: Callable[..., Any]
) -> None:
    refused = api.post(ROOT, {"assistant_id": prompted.id, "variables": {"plan": "gold"}}, format="json")
    assert error_of(refused) == (400, "variables.plan", "invalid_variable")
    assert refused.json()["error"]["message"] == (
        "Invalid 'variables.plan': 'plan' has to be one of 'basic', 'pro', and not 'gold'."
    )
    made = start(variables={"plan": "pro", "seats": 3, "nobodys": ["a"]})
    assert error_of(change(made, variables={"seats": "many"})) == (400, "variables.seats", "invalid_variable")
    merged = change(made, variables={"seats": 4, "nobodys": None}).json()
    assert merged["variables"] == {"plan": "pro", "seats": 4}
    assert change(made, compression="pruning", window_tokens=None).json()["variables"] == {"plan": "pro", "seats": 4}


def test_prompts_are_filled_with_them_whoever_makes_the_run(
    prompted: Assistant, start: Start, change: Callable[..., Any], run_of: Callable[..., Run], principal: Principal
) -> None:
    one = start(variables={"plan": "pro", "seats": 3, "tags": ["new, big", "old"]}, metadata={"plan": "basic"})
    through_v1 = run_of(one, metadata={"seats": "5"})
    assert through_v1.configuration.data["instructions"] == (
        "Be brief. The plan is pro with 5 seats, and new, big, and old."  # over the thread's, under the run's metadata
    )
    assert through_v1.configuration.data["conversation"] == {"compression": "summary", "window_tokens": None}
    services.end(principal=principal, conversation_id=start()["id"])
    other = start(variables={"plan": "basic", "seats": 1})
    change(other, variables={"seats": 2}, window_tokens=4_000)
    said = services.say(principal=principal, conversation_id=other["id"], content="Hello?").run
    assert said.configuration.data["instructions"] == "Be brief. The plan is basic with 2 seats."
    assert said.configuration.data["conversation"] == {"compression": "summary", "window_tokens": 4_000}


def test_runs_of_other_threads_know_nothing_of_conversations(
    principal: Principal, assistant: Assistant, thread: Thread
) -> None:
    run = creation.create_run(principal=principal, thread_id=thread.id, assistant_id=assistant.id).run
    assert run.configuration.data["conversation"] is None


def test_a_change_says_what_it_changes(start: Start, change: Callable[..., Any]) -> None:
    made = start(variables={"plan": "pro"})
    for nothing in ({}, {"variables": None}, {"variables": {}}):
        assert error_of(change(made, **nothing)) == (400, None, "missing_required_parameter")
    assert not AuditEvent.objects.filter(action="conversation.context_changed").exists()
    assert change(made, variables=None, window_tokens=None).json()["variables"] == {"plan": "pro"}
    noted = AuditEvent.objects.get(action="conversation.context_changed")
    assert noted.details["fields"] == ["window_tokens"]


# ------------------------------------------------------------------------------------------------- the list


def test_the_active_ones_come_by_what_was_done_last(
    api: APIClient, start: Start, change: Callable[..., Any], principal: Principal
) -> None:
    first, second, third = start(title="1"), start(title="2"), start(title="3")
    other = assistants.create_assistant(principal=principal, model="tiny")
    fourth = start(title="4", assistant_id=other.id)
    change(first, compression="pruning")
    services.end(principal=principal, conversation_id=second["id"])

    def listed(**query: Any) -> list[str]:
        return [one["title"] for one in api.get(f"{ROOT}/active", query).json()["data"]]

    assert listed() == ["1", "4", "3"]
    assert listed(order="asc", limit=2) == ["3", "4"]
    assert listed(after=first["id"], limit=1) == ["4"]
    assert listed(before=third["id"]) == ["1", "4"]
    assert listed(assistant_id=other.id) == ["4"]
    page = api.get(f"{ROOT}/active", {"limit": 1}).json()
    assert (page["has_more"], page["first_id"]) == (True, first["id"])
    shown = {**api.get(f"{ROOT}/{first['id']}").json(), "context": page["data"][0]["context"]}
    assert page["data"][0] == shown
    assert page["data"][0]["context"] == {"compression": "pruning", "window_tokens": None}
    assert listed(after=second["id"]) == ["1", "4", "3"]  # it has ended, which was the last activity of all
    threads.delete_thread(principal=principal, thread_id=fourth["thread_id"])
    assert error_of(api.get(f"{ROOT}/active", {"after": fourth["id"]})) == (400, "after", "invalid_cursor")


# ------------------------------------------------------------------------------------------------- its end


def test_one_that_has_ended_takes_nothing_more(
    api: APIClient, start: Start, change: Callable[..., Any], run_of: Callable[..., Run]
) -> None:
    made = start()
    run = run_of(made)
    place = f"{ROOT}/{made['id']}"
    ended = api.post(f"{place}/end", {"reason": "Solved"}, format="json").json()
    assert (ended["status"], ended["end_reason"]) == ("ended", "Solved")
    assert ended["ended_at"] == ended["last_activity_at"]
    assert Run.objects.get(pk=run.pk).status == "cancelling"
    assert api.post(f"{place}/end", {"reason": "Again"}, format="json").json() == ended
    refused = api.post(f"{place}/messages", {"content": "And?"}, format="json")
    assert error_of(refused) == (400, None, "conversation_ended")
    assert refused.json()["error"]["message"] == f"The conversation '{made['id']}' has ended."
    assert error_of(change(made, variables={"a": 1})) == (400, None, "conversation_ended")
    over_v1 = api.post(f"/v1/threads/{made['thread_id']}/runs", {"assistant_id": made["assistant_id"]}, format="json")
    assert error_of(over_v1) == (400, None, "conversation_ended")
    assert api.get(place).json() == ended
    assert api.post(f"{place}/satisfaction", {"thumb": "up"}, format="json").status_code == 200
    assert AuditEvent.objects.filter(action="conversation.ended", object_id=made["id"]).count() == 1
    assert AuditEvent.objects.filter(action="run.cancelled", object_id=run.pk).count() == 1


def test_who_may_not_cancel_runs_ends_none_that_has_one(
    project: Project, client_of: Callable[[str], APIClient], start: Start, run_of: Callable[..., Run]
) -> None:
    busy, idle = start(), start()
    run_of(busy)
    scopes = sorted(ROLE_SCOPES[Role.ANALYST] - {RUNS_WRITE})
    client = client_of(accounts.create_api_key(project=project, name="writer", scopes=scopes)[1])
    assert error_of(client.post(f"{ROOT}/{busy['id']}/end")) == (403, None, "insufficient_permissions")
    assert Conversation.objects.get(pk=busy["id"]).ended_at is None
    assert client.post(f"{ROOT}/{idle['id']}/end").status_code == 200


# ------------------------------------------------------------------------------------------------- what came of it


def test_the_latest_opinion_stands_and_can_be_taken_back(api: APIClient, start: Start) -> None:
    place = f"{ROOT}/{start()['id']}/satisfaction"

    def rated(**fields: Any) -> Any:
        return api.post(place, fields, format="json").json()["satisfaction"]

    first = rated(thumb="up", score=4)
    assert first == {"thumb": "up", "score": 4, "comment": None, "rated_at": first["rated_at"]}
    second = rated(score=2, comment="It forgot.")
    assert second == {"thumb": "up", "score": 2, "comment": "It forgot.", "rated_at": second["rated_at"]}
    assert rated(thumb=None, score=None)["comment"] == "It forgot."
    assert rated(comment=None) is None
    for wrong, refusal in (
        ({}, (400, None, "missing_required_parameter")),
        ({"score": 6}, (400, "score", "integer_above_max_value")),
        ({"score": 2.5}, (400, "score", "invalid_type")),
        ({"thumb": "sideways"}, (400, "thumb", "invalid_value")),
    ):
        assert error_of(api.post(place, wrong, format="json")) == refusal


def test_the_summary_counts_and_says_why_there_is_none(
    api: APIClient, start: Start, run_of: Callable[..., Run]
) -> None:
    made = start(variables={"plan": "pro"})
    run = run_of(made)
    Run.objects.filter(pk=run.pk).update(status="completed", prompt_tokens=20, completion_tokens=5)
    Conversation.objects.filter(pk=made["id"]).update(summary_error="The engine is down.")
    told = api.get(f"{ROOT}/{made['id']}/summary").json()
    assert (told["object"], told["messages"], told["runs"], told["text"]) == ("conversation.summary", 1, 1, None)
    assert told["tokens"] == {"prompt": 20, "completion": 5, "total": 25}
    assert told["variables"] == {"plan": "pro"}
    assert told["duration"] >= 0
    assert told["context"]["messages"] == 1
    assert told["summary_error"] == "The last summary could not be made: The engine is down."
    assert api.get(f"{ROOT}/{made['id']}").json()["tokens"] == told["tokens"]


def test_why_there_is_no_summary_is_told_as_long_as_one_is_wanted(
    api: APIClient, start: Start, change: Callable[..., Any], principal: Principal
) -> None:
    said = [{"role": "user", "content": "x" * 600}] * 4
    made = start(messages=said, context={"window_tokens": 500})
    Conversation.objects.filter(pk=made["id"]).update(summary_error="The engine is down.")

    def told() -> str | None:
        return api.get(f"{ROOT}/{made['id']}/summary").json()["summary_error"]  # type: ignore[no-any-return]

    why = "The last summary could not be made: The engine is down."
    assert told() == f"{why} Until it is, messages without room are left out."
    ThreadSummary.objects.create(thread_id=made["thread_id"], up_to=3, text="x", model="tiny")
    assert told() == f"{why} Until it is, the summary before it is used."
    change(made, compression="pruning")
    assert told() is None
    change(made, compression="summary")
    services.end(principal=principal, conversation_id=made["id"])
    assert told() == why


# ------------------------------------------------------------------------------------------------- people


def person(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_each_sees_what_they_see_of_threads(
    api: APIClient, start: Start, assistant: Assistant, alice: User, bob: User, charlie: User, project: Project
) -> None:
    """A viewer: keys' conversations and their own; an analyst: also other people's, which is noted; others: none."""
    viewer = User.objects.create_user("vera")
    accounts.add_member(project=project, user=viewer, role=Role.VIEWER)
    by_key = start()
    mine = person(alice).post(ROOT, {"assistant_id": assistant.id}, content_type="application/json").json()
    seen = {user.username: {one["id"] for one in person(user).get(f"{ROOT}/active").json()["data"]}
            for user in (alice, bob, viewer, charlie)}  # fmt: skip
    both = {by_key["id"], mine["id"]}
    assert seen == {"alice": both, "bob": both, "vera": {by_key["id"]}, "charlie": set()}
    assert [person(user).get(f"{ROOT}/{mine['id']}").status_code for user in (alice, bob, viewer, charlie)] == [
        200, 200, 404, 404,
    ]  # fmt: skip
    assert AuditEvent.objects.filter(action="thread.read", user_id=bob.pk).count() == 1
    assert not AuditEvent.objects.filter(action="thread.read", user_id=alice.pk).exists()


def test_a_person_goes_on_in_the_environment_where_it_began(
    assistant: Assistant, alice: User, project: Project
) -> None:
    client = person(alice)

    def begun(**headers: Any) -> Any:
        body = {"assistant_id": assistant.id}
        return client.post(ROOT, body, content_type="application/json", headers=headers)

    nowhere = begun(**{"X-Sovereign-Environment": "staging"})
    assert error_of(nowhere) == (400, "assistant_id", "assistant_not_deployed")
    made = begun(**{"X-Sovereign-Environment": "production"}).json()
    assert Conversation.objects.get(pk=made["id"]).environment == "production"
    assert Conversation.objects.get(pk=begun().json()["id"]).environment is None
