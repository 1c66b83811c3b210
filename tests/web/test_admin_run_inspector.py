"""A run under the glass: where its time went, its model calls, what the model was sent, and replays beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from assistants.models import Assistant
from assistants.services import create_assistant, versions
from inference.models import UsageRecord
from runs.admin.spans import spans_of
from runs.models import Run, RunConfiguration, RunEvent, RunStep, ToolUse
from runs.services import replaying
from runs.services.creation import create_thread_and_run
from sovereign.accounts import services
from sovereign.accounts.credentials import principal_of_person
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from tests.web.conftest import EVIL, EVIL_MARKS
from threads import services as threads
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def at(milliseconds: int) -> datetime:
    return START + timedelta(milliseconds=milliseconds)


def page(run: Run, view: str, *more: str) -> str:
    return reverse(f"admin:runs_run_{view}", args=[run.pk, *more])


def over(run: Run, answer: str, **fields: Any) -> Run:
    """As a worker leaves it, after a second in the queue and three at work."""
    thread = Thread.objects.get(pk=run.thread_id)
    message = threads.open_message(thread, message_id=f"msg_{run.pk}", run_id=run.pk, assistant_id="asst_x")
    threads.close_message(message.pk, content=[threads.text_part(answer)])
    details = {"type": "message_creation", "message_creation": {"message_id": message.pk}}
    RunStep.objects.create(run=run, position=9, type="message_creation", step_details=details, status="completed")
    times = {"created_at": at(0), "started_at": at(1_000), "completed_at": at(4_000)}
    Run.objects.filter(pk=run.pk).update(status="completed", **times, **fields)
    threads.release(thread.pk, run.pk)
    run.refresh_from_db()
    return run


def called(run: Run, ended: int, **fields: Any) -> UsageRecord:
    given = {
        "outcome": "stop", "asked": run.model, "model": run.model, "purpose": "run", "day": START.date(),
        "prompt_tokens": 200, "cached_tokens": 150, "completion_tokens": 41, "queue_ms": 0, "first_token_ms": 100,
        "total_ms": 500, "cost": 1_500_000,
    }  # fmt: skip
    return UsageRecord.objects.create(
        project_id=run.project_id, run_id=run.pk, created_at=at(ended), **{**given, **fields}
    )


@pytest.fixture
def client(alice: User, project: Project, visit: Callable[[User], Client]) -> Client:
    return visit(alice)


@pytest.fixture
def answered(principal: Principal, assistant: Assistant) -> Run:
    """A run that is over, of a question that was asked before."""
    said = [("user", "Where is the station?"), ("assistant", "Over there."), ("user", "How far is it?")]
    messages = [{"role": role, "content": text} for role, text in said]
    made = create_thread_and_run(
        principal=principal, assistant_id=assistant.id, thread={"messages": messages}, instructions="Be brief."
    ).run
    return over(made, "It is not far at all.\nYou walk for ten minutes.")


# ------------------------------------------------------------------------------------------------ its time


def test_the_time_of_a_run_is_told_piece_by_piece(answered: Run) -> None:
    """Queued with a reason, a call in its parts, a tool that failed, a wait for somebody, a call without a token."""
    RunEvent.objects.filter(run=answered).delete()
    asked = {"submit_tool_outputs": {"tool_calls": [{"id": "call_1", "function": {"name": "book"}}]}}
    for seq, (status, moment, data) in enumerate(
        [
            ("queued", 0, {}),
            ("in_progress", 1_000, {"waited_for": "The engine is loading."}),
            ("requires_action", 2_000, {"required_action": asked}),
            ("queued", 2_500, {}),
            ("in_progress", 2_600, {}),
            ("completed", 4_000, {}),
        ],
        start=1,
    ):
        row = RunEvent.objects.create(run=answered, seq=seq, type=f"thread.run.{status}", data=data)
        RunEvent.objects.filter(pk=row.pk).update(created_at=at(moment))
    calls = [
        called(answered, 1_600, queue_ms=50, total_ms=550),
        called(answered, 1_690, purpose="embedding", total_ms=40, first_token_ms=None, prompt_tokens=7),
        called(answered, 3_900, first_token_ms=None),
    ]
    use = ToolUse(run_id=answered.pk, tool="weather", outcome="error", milliseconds=200, created_at=at(1_900))
    told = spans_of(answered, [], [use], calls)
    assert [(row["title"], row["detail"], row["begins"], row["lasts"]) for row in told["spans"]] == [
        ("Queued", "The engine is loading.", 0, 1_000),
        ("The prompt is built", "", 1_000, 50),
        ("Model call 1: waits for a place", "", 1_050, 50),
        ("Model call 1: prompt, until the first token", "200 tokens, 150 of them from the cache", 1_100, 100),
        ("Model call 1: writes", "41 tokens", 1_200, 400),
        ("What came of it is stored", "", 1_600, 50),
        ("Embedding", "7 tokens", 1_650, 40),
        ("What came of it is stored", "", 1_690, 10),
        ("Tool weather", "Failed", 1_700, 200),
        ("What came of it is stored", "", 1_900, 100),
        ("Waits for an answer to its calls", "book", 2_000, 500),
        ("Queued", "", 2_500, 100),
        ("The prompt is built", "", 2_600, 800),
        ("Model call 2: no token came", "stop", 3_400, 500),
        ("What came of it is stored", "", 3_900, 100),
    ]
    assert (told["total"], told["is_over"], told["left_out"]) == (4_000, True, 0)
    assert (told["spans"][0]["x"], told["spans"][0]["width"]) == (0, 250)
    assert all(row["x"] + row["width"] <= 1_000 for row in told["spans"])


def test_a_run_that_waits_says_for_what_and_for_how_long_already(client: Client, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(waiting_reason="The engine is loading.")
    run.refresh_from_db()
    (waiting,) = spans_of(run, [], [], [])["spans"]
    assert (waiting["title"], waiting["detail"], waiting["is_open"]) == ("Queued", "The engine is loading.", True)
    content = client.get(page(run, "change")).content.decode()
    assert "The engine is loading." in content
    assert 'data-refresh="2"' in content


def test_the_page_counts_every_model_call(client: Client, answered: Run) -> None:
    called(answered, 1_600)
    called(answered, 3_900, completion_tokens=9, model="larger", provider="A house", cost=500_000_000)
    content = client.get(page(answered, "change")).content.decode()
    calls = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", content[content.index('aria-label="Model calls"') :]))
    assert "Call 1 fake, engine of the house answered 200 150 (75 %) 41 100 ms 500 ms 100.0 0.0015 " in calls
    assert "Call 2 larger, asked for as fake, A house answered 200 150 (75 %) 9 100 ms 500 ms 20.0 0.5 " in calls
    assert "All 400 300 (75 %) 50 1000 ms 0.5015" in calls
    assert 'data-refresh="2"' not in content
    assert "as much as fits" in content


# ------------------------------------------------------------------------------------------------ what was sent


def test_the_page_of_the_prompt_tells_what_was_sent(client: Client, answered: Run) -> None:
    content = client.get(page(answered, "prompt")).content.decode()
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", content[content.index('aria-label="Messages"') :]))
    wanted = "4 messages System 1 Be brief. User 2 Where is the station? Assistant 3 Over there. User 4 How far is it?"
    assert wanted in text
    assert "not far at all" not in content
    assert "No tools" in text
    Message.objects.filter(thread_id=answered.thread_id, position=1).delete()
    content = client.get(page(answered, "prompt")).content.decode()
    assert "It may not be the very same" in content
    assert "1 of the thread&#x27;s messages from before the answer has been deleted." in content
    assert client.get(page(answered, "prompt") + "?call=2").status_code == 404
    assert client.get(page(answered, "prompt") + "?call=x").status_code == 404


def test_a_run_that_nobody_took_was_sent_nothing(client: Client, run: Run) -> None:
    assert "No worker has taken the run" in client.get(page(run, "prompt")).content.decode()


# ------------------------------------------------------------------------------------------------ replays


def test_a_run_is_replayed_from_its_page_and_both_stand_beside_each_other(
    client: Client, answered: Run, principal: Principal, assistant: Assistant
) -> None:
    called(answered, 3_900)
    versions.publish(principal=principal, assistant_id=assistant.pk)
    assert page(answered, "replay").replace("run_", "run_5F") in client.get(page(answered, "change")).content.decode()
    form = client.get(page(answered, "replay")).content.decode()
    assert '<option value="1">Version 1</option>' in form
    made = client.post(page(answered, "replay"), {"version": "1", "model": ""})
    replay = Run.objects.get(replay_of=answered.pk)
    assert made["Location"] == page(answered, "compared", replay.pk.replace("_", "_5F")).replace("run_", "run_5F", 1)
    waiting = client.get(made["Location"]).content.decode()
    assert 'data-refresh="1"' in waiting
    assert "The new answer is on its way." in waiting

    over(replay, "It is far away.\nYou walk for ten minutes.", prompt_tokens=300)
    Run.objects.filter(pk=answered.pk).update(prompt_tokens=200)
    called(replay, 3_900, first_token_ms=50)
    done = client.get(made["Location"]).content.decode()
    assert "data-refresh" not in done
    assert "<mark>away</mark>" in done
    assert "<mark>at all</mark>" in done
    assert "Be brief." in done, "the version has no instructions, which is different"
    figures = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", done[done.index('aria-label="What they took"') :]))
    assert "First token of the first call 100 ms 50 ms -50 %" in figures
    assert "Tokens of prompts 200 300 +50 %" in figures
    assert "From the start to the end 3,000 ms 3,000 ms the same" in figures
    for run in (answered, replay):  # each leads to both
        assert made["Location"] in client.get(page(run, "change")).content.decode()


def test_what_cannot_be_replayed_is_told_and_recorded(client: Client, answered: Run) -> None:
    refused = client.post(page(answered, "replay"), {"version": "7"}, follow=True).content.decode()
    assert "No version found with id &#x27;7&#x27;." in refused
    assert AuditEvent.objects.filter(action="run.replay_refused", object_id=answered.pk).exists()
    assert Run.objects.count() == 1


def test_a_run_at_work_has_no_replays_and_only_its_own_are_beside_it(client: Client, run: Run, answered: Run) -> None:
    assert client.get(page(run, "replay")).status_code == 403
    assert "Replay</a>" not in client.get(page(run, "change")).content.decode()
    assert client.get(page(answered, "compared", run.pk)).status_code == 404


# ------------------------------------------------------------------------------------------------ who


@pytest.mark.parametrize("view", ["prompt", "replay"])
def test_to_others_nothing_of_it_is_there(
    answered: Run, bob: User, charlie: User, visit: Callable[[User], Client], view: str
) -> None:
    assert visit(bob).get(page(answered, view)).status_code == 200
    assert AuditEvent.objects.filter(action="thread.read", user_id=bob.pk, object_id=answered.thread_id).exists()
    for method in ("get", "post"):
        assert getattr(visit(charlie), method)(page(answered, view)).status_code == 404
    assert Run.objects.count() == 1


def test_anothers_comparison_is_not_there(
    answered: Run, principal: Principal, bob: User, charlie: User, visit: Callable[[User], Client]
) -> None:
    replay = replaying.replay(principal=principal, run_id=answered.pk).run
    address = page(answered, "compared", replay.pk)
    assert visit(charlie).get(address).status_code == 404
    assert visit(bob).get(address).status_code == 200


def test_an_answer_of_another_project_is_not_beside_ones_own(
    client: Client, answered: Run, charlie: User, charlies_project: Project, model: str
) -> None:
    his = principal_of_person(charlie.pk)
    assistant = create_assistant(principal=his, model=model, name="His")
    foreign = create_thread_and_run(
        principal=his, assistant_id=assistant.pk, thread={"messages": [{"role": "user", "content": "Hidden."}]}
    ).run
    Run.objects.filter(pk=foreign.pk).update(replay_of=answered.pk)
    assert client.get(page(answered, "compared", foreign.pk)).status_code == 404
    assert foreign.pk.replace("_", "_5F") not in client.get(page(answered, "change")).content.decode()


def test_what_people_models_and_servers_wrote_stands_escaped(
    client: Client, principal: Principal, answered: Run, project: Project
) -> None:
    called(answered, 3_900, model=EVIL, provider=EVIL[:60], asked=EVIL, outcome=EVIL[:30])
    call = {"id": "call_1", "type": "function", "function": {"name": EVIL, "arguments": EVIL, "output": EVIL}}
    details = {"type": "tool_calls", "tool_calls": [call]}
    RunStep.objects.create(run=answered, position=1, type="tool_calls", step_details=details, status="completed")
    tool = {"type": "function", "function": {"name": "f", "description": EVIL, "parameters": {"a": EVIL}}}
    data = {**answered.configuration.data, "instructions": EVIL, "tools": [tool], "reasoning_effort": EVIL}
    RunConfiguration.objects.filter(pk=answered.configuration_id).update(data=data)
    Message.objects.filter(thread_id=answered.thread_id).update(content=[threads.text_part(EVIL)])
    replay = replaying.replay(principal=principal, run_id=answered.pk, model=None).run
    over(replay, f"{EVIL} and more", last_error={"message": EVIL})
    RunConfiguration.objects.filter(pk=answered.configuration_id).update(data={**data, "instructions": f"Oh {EVIL}"})
    addresses = [
        *(page(answered, view) for view in ("change", "prompt")),
        page(answered, "prompt") + "?call=2",
        page(answered, "compared", replay.pk),
    ]
    for address in addresses:
        content = client.get(address).content.decode()
        assert "&lt;script&gt;" in content, address
        for mark in EVIL_MARKS:
            assert mark not in content, address


def test_a_viewer_gets_none_of_it(answered: Run, project: Project, visit: Callable[[User], Client]) -> None:
    viewer = User.objects.create_user("vera")
    services.add_member(project=project, user=viewer, role="viewer")
    for view in ("prompt", "replay"):
        assert visit(viewer).get(page(answered, view)).status_code == 302  # to the login of the admin


def test_pages_take_few_queries_however_long_the_run_was(
    client: Client, principal: Principal, answered: Run, django_assert_max_num_queries: Any,
    remembered_registry: Callable[[], None],
) -> None:  # fmt: skip
    for number in range(30):
        called(answered, 1_000 + number)
        call = {"id": f"call_{number}", "type": "function", "function": {"name": "f", "arguments": "{}", "output": "x"}}
        RunStep.objects.create(
            run=answered, position=100 + number, type="tool_calls", status="completed",
            step_details={"type": "tool_calls", "tool_calls": [call]},
        )  # fmt: skip
    over(replaying.replay(principal=principal, run_id=answered.pk).run, "Again.")
    replay = Run.objects.get(replay_of=answered.pk)
    addresses = [
        *(page(answered, view) for view in ("change", "prompt", "replay")),
        page(answered, "compared", replay.pk),
    ]
    remembered_registry()
    for address in addresses:
        with django_assert_max_num_queries(25):
            assert client.get(address).status_code == 200
