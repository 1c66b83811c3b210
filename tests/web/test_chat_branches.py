"""What the page asks of branches and comparisons, whose they are, and what it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from assistants.models import Assistant
from assistants.services import create_assistant, versions
from inference.services import register_models
from runs.models import Run
from runs.services import control
from runs.services.creation import create_run
from sovereign.accounts import services
from sovereign.accounts.credentials import principal_of_person
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role
from sovereign.accounts.services import quotas
from sovereign.accounts.services.quotas import Demand, Limits, Subject
from sovereign.core.database import now
from sovereign.core.errors import ApiError
from sovereign.web.chat import sidebar
from sovereign.web.chat.sidebar import found, listed
from tests.web.test_chat import page_data
from threads import comparing, keeping
from threads import services as services_of_threads
from threads.models import Message, Thread
from threads.services import create_thread

pytestmark = pytest.mark.django_db


@pytest.fixture
def message(thread: Thread) -> Message:
    return Message.objects.get(thread=thread)


@pytest.fixture
def branch(alice: User, message: Message, assistant: Assistant, visit: Callable[[User], Client]) -> Callable[..., Any]:
    """``branch(user=…, **more)``: the answer to what the page sends when Alice's question is put otherwise."""

    def make(user: User = alice, **more: Any) -> Any:
        body = {"message": message.pk, "assistant_id": assistant.pk, "content": "Where is the harbour?", **more}
        body = {name: value for name, value in body.items() if value is not None}
        return visit(user).post(f"/chat/{message.thread_id}/branch", body, content_type="application/json")

    return make


def test_a_branch_is_a_thread_with_a_run(alice: User, branch: Callable[..., Any], visit: Callable[[User], Client],
                                         thread: Thread) -> None:  # fmt: skip
    made = branch().json()
    run = Run.objects.get(pk=made["run"]["id"])
    assert (run.thread_id, run.environment) == (made["thread"], "production")
    client = visit(alice)
    told = client.get(f"/chat/{made['thread']}/branches.json").json()
    assert told["origin"] == {"thread": thread.pk, "title": "Where is the station?"}
    assert told["left_out"] == 0
    Thread.objects.filter(pk=made["thread"]).update(left_out=7)
    assert client.get(f"/chat/{made['thread']}/branches.json").json()["left_out"] == 7
    (fork,) = client.get(f"/chat/{thread.pk}/branches.json").json()["forks"]
    assert (fork["current"], [version["thread"] for version in fork["versions"]]) == (0, [thread.pk, made["thread"]])
    assert page_data(client.get(f"/chat/{made['thread']}"))["assistant"] == run.assistant_id


@pytest.mark.parametrize("who", ["bob", "charlie"])
def test_anothers_conversation_is_branched_by_nobody(
    who: str, branch: Callable[..., Any], thread: Thread, visit: Callable[[User], Client],
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    user = request.getfixturevalue(who)
    assert branch(user).status_code == 404
    assert visit(user).get(f"/chat/{thread.pk}/branches.json").status_code == 404
    assert Thread.objects.count() == 1


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"content": ""}, 400),
        ({"content": None}, 400),  # a question is not answered again, its answer is
        ({"content": "x" * 256_001}, 400),
        ({"message": "msg_unknown"}, 404),
        ({"assistant_id": "asst_unknown"}, 404),
        ({"model": "unknown"}, 404),
        ({"answering": "version-7"}, 404),
        ({"answering": "nowhere"}, 400),
        ({"attachments": [{"file_id": "file-unknown", "tools": []}]}, 404),
        ({"content": [{"type": "text", "text": {"value": "of its own shape"}}]}, 400),
        ({"role": "assistant"}, 400),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_done_leaves_no_branch(more: dict[str, Any], status: int, branch: Callable[..., Any]) -> None:
    answer = branch(**more)
    assert (answer.status_code, Thread.objects.count(), Run.objects.count()) == (status, 1, 0), answer.json()


def test_what_a_page_begins_counts_for_its_projects_limits(
    alice: User, project: Project, branch: Callable[..., Any], visit: Callable[[User], Client], thread: Thread
) -> None:
    services.set_project_limits(project=project, limits=Limits(requests_per_minute=1))
    made = branch()
    assert (made.status_code, made["x-ratelimit-remaining-requests"]) == (200, "0")
    before = Thread.objects.count(), Run.objects.count()
    for address, body in (
        (f"/chat/{thread.pk}/branch", {}),
        (f"/chat/{thread.pk}/again", {"run": "run_x", "how": "retry"}),
        ("/chat/compare/begin", {}),
    ):
        answer = visit(alice).post(address, body, content_type="application/json")
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert int(answer["retry-after"]) > 0
    assert (Thread.objects.count(), Run.objects.count()) == before
    assert visit(alice).get(f"/chat/{thread.pk}/branches.json").status_code == 200, "reading is never limited"


def test_what_is_sent_again_counts_once(
    alice: User, project: Project, message: Message, assistant: Assistant, visit: Callable[[User], Client]
) -> None:
    services.set_project_limits(project=project, limits=Limits(requests_per_minute=3))
    client, body = visit(alice), {"message": message.pk, "assistant_id": assistant.pk, "content": "Where else?"}

    def send(key: str) -> Any:
        headers = {"Idempotency-Key": key}
        return client.post(f"/chat/{message.thread_id}/branch", body, content_type="application/json", headers=headers)

    made = [send("one").json() for _ in range(5)]
    assert made == [made[0]] * 5
    assert [send("two").status_code for _ in range(2)] == [200, 200]
    assert send("three")["x-ratelimit-remaining-requests"] == "0"
    assert send("four").status_code == 429


def test_without_tokens_nothing_is_answered_again(project: Project, branch: Callable[..., Any]) -> None:
    services.set_project_limits(project=project, limits=Limits(tokens_per_day=5))
    quotas.reserve([Demand((Subject("project", project.pk),), tokens=5)])
    answer = branch()
    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "tokens")
    assert Thread.objects.count() == 1


def test_a_message_of_another_thread_is_not_branched_at(branch: Callable[..., Any], run: Run, message: Message) -> None:
    other = Message.objects.filter(thread=run.thread).first()
    assert other is not None
    assert branch(message=other.pk).status_code == 404


def test_who_may_not_choose_is_offered_nothing_and_gets_nothing(
    alice: User, project: Project, principal: Principal, assistant: Assistant, visit: Callable[[User], Client]
) -> None:
    versions.publish(principal=principal, assistant_id=assistant.pk)
    register_models(names=[("other", "", None)])
    address = f"/chat/answering.json?assistant={assistant.pk}"
    told = visit(alice).get(address).json()
    assert [choice["value"] for choice in told["choices"]] == ["draft", "version-1"]
    assert told["models"] == ["fake", "other"]
    vera = User.objects.create_user("vera")
    services.add_member(project=project, user=vera, role=Role.VIEWER)
    assert visit(vera).get(address).json() == {"choices": [], "models": []}
    hers = create_thread(principal=principal_of_person(vera.pk), messages=[{"role": "user", "content": "Hi"}])
    said = Message.objects.get(thread=hers)
    body = {"message": said.pk, "assistant_id": assistant.pk, "content": "Hello", "answering": "draft"}
    refused = visit(vera).post(f"/chat/{hers.pk}/branch", body, content_type="application/json")
    assert refused.status_code == 403
    assert visit(vera).get("/chat/answering.json?assistant=asst_unknown").status_code == 404


# ------------------------------------------------------------------------------------------ two beside each other


@pytest.fixture
def pair(alice: User, project: Project, visit: Callable[[User], Client]) -> tuple[str, str]:
    made = visit(alice).post("/chat/compare/begin", {}, content_type="application/json").json()
    return made["left"], made["right"]


def test_two_that_are_compared_are_one_in_the_list(
    alice: User, principal: Principal, pair: tuple[str, str], visit: Callable[[User], Client]
) -> None:
    (entry,) = listed(principal)["data"]
    assert (entry["id"], entry["is_comparison"]) == (pair[0], True)
    for thread_id in pair:
        data = page_data(visit(alice).get(f"/chat/compare?thread={thread_id}"))
        assert (data["sides"], data["current"]) == ({"left": pair[0], "right": pair[1]}, pair[0])
    keeping.trash(principal=principal, thread_id=pair[0])
    assert listed(principal)["data"] == []
    assert visit(alice).get(f"/chat/compare?thread={pair[1]}").status_code == 404
    keeping.restore(principal=principal, thread_id=pair[0])
    assert Thread.objects.standing().count() == 2


def test_who_goes_on_with_one_finds_the_other_put_away(
    alice: User, principal: Principal, pair: tuple[str, str], visit: Callable[[User], Client]
) -> None:
    answer = visit(alice).post(f"/chat/{pair[1]}/keep", {"is_chosen": True}, content_type="application/json")
    assert answer.json()["data"]["address"] == f"/chat/{pair[1]}"
    assert [entry["id"] for entry in listed(principal)["data"]] == [pair[1]]
    assert [entry["id"] for entry in listed(principal, is_archived=True)["data"]] == [pair[0]]
    assert AuditEvent.objects.filter(action="thread.chosen", object_id=pair[1]).exists()
    assert visit(alice).get(f"/chat/compare?thread={pair[1]}").status_code == 404


def test_of_two_tabs_that_choose_the_second_one_is_refused(
    principal: Principal, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.archive(principal=principal, thread_id=pair[0], is_archived=True)
    lock = services_of_threads.lock_with_other

    def chosen_meanwhile(thread: Thread) -> dict[str, Thread]:
        monkeypatch.setattr(services_of_threads, "lock_with_other", lock)
        comparing.choose(principal=principal, thread_id=pair[1])
        return lock(thread)

    monkeypatch.setattr(services_of_threads, "lock_with_other", chosen_meanwhile)
    with pytest.raises(ApiError, match="compared with nothing"):
        comparing.choose(principal=principal, thread_id=pair[0])
    put_away = dict(Thread.objects.values_list("id", "archived_at"))
    assert put_away[pair[0]] is not None
    assert put_away[pair[1]] is None, "the one that one goes on with is not put away"


def test_what_is_left_of_a_comparison_is_a_conversation_like_any_other(
    principal: Principal, pair: tuple[str, str], visit: Callable[[User], Client], alice: User
) -> None:
    services_of_threads.delete_thread(principal=principal, thread_id=pair[0])  # as /v1 does
    (entry,) = listed(principal)["data"]
    assert (entry["id"], entry["is_comparison"]) == (pair[1], False)
    assert visit(alice).get(entry["address"]).status_code == 200


def test_one_of_two_that_comes_back_while_the_trash_is_emptied_is_listed(
    principal: Principal, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.trash(principal=principal, thread_id=pair[0])
    Thread.objects.filter(pk=pair[0]).update(trashed_at=now() - keeping.TRASH_KEPT * 2)
    assert keeping.empty_trash() == 1
    keeping.restore(principal=principal, thread_id=pair[1])
    assert [entry["id"] for entry in listed(principal)["data"]] == [pair[1]]


def test_what_one_side_alone_said_finds_the_comparison(principal: Principal, pair: tuple[str, str]) -> None:
    right = Thread.objects.get(pk=pair[1])
    services_of_threads.add_messages(right, [{"role": "assistant", "content": "Through the harbour."}])
    assert [entry["id"] for entry in found(principal, "HARBOUR")["data"]] == [pair[0]]


def test_what_happens_on_either_side_is_what_happens_in_the_comparison(
    principal: Principal, pair: tuple[str, str], assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidebar, "PAGE", 1)  # the cursor is of the row that was listed, whichever that is
    others = [create_thread(principal=principal, messages=[{"role": "user", "content": "Later"}]) for _ in range(2)]

    def order() -> list[str]:
        page, ids = listed(principal), []
        while True:
            ids += [entry["id"] for entry in page["data"]]
            if page["next"] is None:
                return ids
            page = listed(principal, after=page["next"])

    assert order() == [others[1].pk, others[0].pk, pair[0]]
    asked = [{"role": "user", "content": "And you?"}]
    wanted: dict[str, Any] = {"principal": principal, "assistant_id": assistant.pk, "additional_messages": asked}
    for thread_id in reversed(pair):
        run = create_run(thread_id=thread_id, **wanted).run
        assert order() == [pair[0], others[1].pk, others[0].pk]
        (entry,) = [entry for entry in listed(principal)["data"] if entry["id"] == pair[0]]
        assert entry["is_active"]
        assert entry["last_activity_at"] == int(Thread.objects.get(pk=thread_id).last_activity_at.timestamp())
        control.cancel_run(principal=principal, thread_id=thread_id, run_id=run.pk)
        services_of_threads.release(thread_id, run.pk)
        assert not listed(principal)["data"][0]["is_active"]
        for other in others:
            services_of_threads.release(other.pk, "")
            services_of_threads.add_messages(other, [{"role": "user", "content": "Later still"}])
    renamed = keeping.rename(principal=principal, thread_id=pair[1], title="Both")
    assert [entry["title"] for entry in found(principal, "Both")["data"]] == [renamed.title]


def test_runs_of_both_sides_are_locked_by_their_ids(
    principal: Principal, pair: tuple[str, str], assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [{"role": "user", "content": "Hi"}]
    wanted: dict[str, Any] = {"principal": principal, "assistant_id": assistant.pk, "additional_messages": said}
    runs = [create_run(thread_id=thread_id, **wanted).run for thread_id in reversed(pair)]  # the right one's first
    locked: list[str] = []
    cancel = control.cancel_run
    monkeypatch.setattr(control, "cancel_run", lambda **names: (locked.append(names["run_id"]), cancel(**names)))
    keeping.trash(principal=principal, thread_id=pair[0])
    assert locked == sorted(run.pk for run in runs)
    assert set(Run.objects.values_list("status", flat=True)) == {"cancelling"}


@pytest.mark.parametrize("who", ["bob", "charlie"])
def test_anothers_comparison_is_404(
    who: str, pair: tuple[str, str], visit: Callable[[User], Client], request: pytest.FixtureRequest
) -> None:
    client = visit(request.getfixturevalue(who))
    assert client.get(f"/chat/compare?thread={pair[0]}").status_code == 404
    answer = client.post(f"/chat/{pair[0]}/keep", {"is_chosen": True}, content_type="application/json")
    assert answer.status_code == 404
    assert Thread.objects.filter(compared_with=None).count() == 0


def test_a_comparison_begins_with_those_that_are_asked_for(
    alice: User, principal: Principal, assistant: Assistant, visit: Callable[[User], Client]
) -> None:
    other = create_assistant(principal=principal, model="fake", name="Other")
    content = visit(alice).get(f"/chat/compare?left={other.pk}&right={assistant.pk}").content.decode()
    assert content.index(f'<option value="{other.pk}" selected>') < content.index(
        f'<option value="{assistant.pk}" selected>'
    )
