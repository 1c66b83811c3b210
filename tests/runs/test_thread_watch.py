"""What a thread's socket tells of the thread itself, whoever changes it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runs.models import Run
from runs.services import control
from runs.streaming import watcher
from sovereign.accounts import services as accounts
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.runs.support import Model, end, ended, text, working
from tests.runs.test_websocket import frame, socket
from threads import services as threads
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db(transaction=True)

WATCH = {"watch": True}


async def test_a_run_is_told_from_its_beginning_to_its_end_and_so_is_the_threads(
    model: Model, begin: Callable[..., Run], thread: Thread, api_key: str, principal: Principal
) -> None:
    model.answers(*text("Sunny"), end())
    async with socket(thread.id, key=api_key) as (viewer, _, _code):
        await viewer.send_json_to(WATCH)
        first = (await frame(viewer))["thread"]
        assert (first["id"], first["active_run"]) == (thread.id, None)
        assert first["newest_message"] == await in_database(lambda: Message.objects.get().pk)
        assert "queue" in first  # what the rooms above tell, which is nothing to a key
        assert first["queue"] == []

        run = await in_database(begin)  # by somebody else, somewhere else
        assert (await frame(viewer))["thread"]["active_run"] == run.id
        async with working():
            await ended(run.id)
        told = (await frame(viewer))["thread"]
        while told["active_run"]:  # its message, as it was begun
            told = (await frame(viewer))["thread"]
        assert told["newest_message"] == await in_database(lambda: Message.objects.get(role="assistant").pk)
        assert told["revision"] != first["revision"]

        await in_database(threads.delete_thread, principal=principal, thread_id=thread.id)
        assert (await frame(viewer))["thread"] == {"id": thread.id, "is_gone": True}
        await viewer.send_json_to(WATCH)
        assert (await frame(viewer))["data"]["error"]["message"] == f"No thread found with id '{thread.id}'."


async def test_nothing_is_told_twice_and_a_lost_wake_up_is_made_up_for(
    begin: Callable[..., Run], thread: Thread, api_key: str, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "POLL", 0.02)
    async with socket(thread.id, key=api_key) as (viewer, _, _code), socket(thread.id, key=api_key) as (other, _, _c):
        for one in (viewer, other):
            await one.send_json_to(WATCH)
            await frame(one)
        assert await viewer.receive_nothing(timeout=0.2)
        await in_database(Thread.objects.filter(pk=thread.id).update, active_run_id="run_silent")  # nobody is woken
        for one in (viewer, other):
            assert (await frame(one))["thread"]["active_run"] == "run_silent"


@pytest.mark.parametrize("sent", [{"watch": False}, {"watch": "thread_x"}, {"watch": None}])
async def test_a_frame_that_is_no_watch_is_told(begin: Callable[..., Run], api_key: str, sent: object) -> None:
    run = await in_database(begin)
    async with socket(run.thread_id, key=api_key) as (viewer, _, _code):
        await viewer.send_json_to(sent)
        assert (await frame(viewer))["data"]["error"]["param"] == "watch"


async def test_anothers_thread_is_an_unknown_one(
    principal: Principal, project: Project, alice: User, bob: User, charlie: User, begin: Callable[..., Run]
) -> None:
    """Bob is a member, who may not read what others say in their chats; Charlie is none."""
    own = Principal(project_id=project.pk, user_id=alice.pk, scopes=principal.scopes)
    chat = await in_database(threads.create_thread, principal=own)
    scopes = frozenset({"runs:read", "threads:read"})
    for person in (bob, charlie):
        stranger = Principal(project_id=project.pk, user_id=person.pk, scopes=scopes)
        _, ticket = await in_database(accounts.issue_ticket, principal=stranger)
        async with socket(chat.id, ticket=ticket) as (viewer, accepted, _):
            if not accepted:  # no member: no socket at all
                assert person == charlie
                continue
            await viewer.send_json_to(WATCH)
            assert (await frame(viewer))["data"]["error"]["message"] == f"No thread found with id '{chat.id}'."


async def test_many_watch_with_one_query(
    principal: Principal, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Callable[..., object]
) -> None:
    """Of a thread the newest message comes with it, and each room above asks once for all."""

    def look() -> dict[str, watcher.Seen]:
        made = [threads.create_thread(principal=principal).id for _ in range(30)]
        with django_assert_num_queries(1 + len(watcher.beside)):  # type: ignore[attr-defined]
            return watcher.look_at([*made, "thread_unknown"])

    seen = await in_database(look)
    assert len(seen) == 31
    assert seen["thread_unknown"].told["is_gone"] is True


async def test_a_cancelled_run_frees_the_thread_for_who_watches(
    begin: Callable[..., Run], thread: Thread, api_key: str, principal: Principal
) -> None:
    run = await in_database(begin)
    async with socket(thread.id, key=api_key) as (viewer, _, _code):
        await viewer.send_json_to(WATCH)
        assert (await frame(viewer))["thread"]["active_run"] == run.id
        await in_database(control.cancel_run, principal=principal, thread_id=thread.id, run_id=run.id)
        async with working():
            await ended(run.id)
        assert (await frame(viewer))["thread"]["active_run"] is None
