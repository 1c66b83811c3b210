"""Whatever clients, workers, crashes and the clock do to runs, in whatever order: what must hold always, holds.

hypothesis plays the world against the services, on the real database. After every step all runs of the world are
looked at: legal transitions only, one active run per thread, a gapless log, rows that are what their events add up to,
and the instants that belong to a state.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from assistants import services as assistants
from assistants.models import Assistant
from runs.fold import fold
from runs.models import Run, RunEvent, RunStep
from runs.rendering import head_of, payload_of, render_run_row, render_step
from runs.services import control, creation, leases, reaping
from runs.services.flushing import Outcome, flush
from sovereign.accounts import credentials
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from tests.contract.hand import Batch, Hand, Operation
from tests.contract.test_answers import FUNCTION
from tests.runs.support import age_lease, age_run
from threads import services as threads
from threads.models import Message, Thread
from threads.rendering import render_message

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registered")]

#: From the contract (section 7.5), written down once more by hand. One difference: there a cancelling run may still end
#: completed; here it always ends cancelled, because a client that was told "cancelling" waits for that.
LEGAL = {
    "queued": {"in_progress", "cancelling", "expired"},
    "in_progress": {"requires_action", "completed", "incomplete", "failed", "cancelling", "expired"},
    "requires_action": {"queued", "cancelling", "expired"},
    "cancelling": {"cancelled"},
}
TERMINAL = {"completed", "incomplete", "failed", "cancelled", "expired"}
ENDED_AT = {
    "completed": "completed_at",
    "incomplete": "completed_at",
    "failed": "failed_at",
    "cancelled": "cancelled_at",
}
STEP_ENDED_AT = {
    "completed": "completed_at",
    "failed": "failed_at",
    "cancelled": "cancelled_at",
    "expired": "expired_at",
}
RUN_STATE = "thread.run."
TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=8)
RARELY = st.sampled_from([False, False, False, True])  # or no run would ever get far
POISON = 3  # workers that may die with a run


class World(RuleBasedStateMachine):
    """Two threads, three workers, and a clock that may jump."""

    principal: Principal
    assistant: Assistant

    def __init__(self) -> None:
        super().__init__()
        self.threads = [self._thread() for _ in range(2)]
        self.hands = [Hand() for _ in range(3)]
        self.said: dict[str, str] = {}  # message id → text
        self.known: list[Run] = []  # as the last look found them
        self.checked: dict[str, tuple[str, int]] = {}

    def _thread(self) -> str:
        draft = {"role": "user", "content": "Hello?"}
        return threads.create_thread(principal=self.principal, messages=[draft]).id

    def teardown(self) -> None:
        for thread_id in self.threads:
            threads.delete_thread(principal=self.principal, thread_id=thread_id)
        assert not Run.objects.exists()
        assert not RunEvent.objects.exists()

    # ------------------------------------------------------------------------------------- helpers

    def runs(self, *statuses: str) -> list[Run]:
        return [run for run in self.known if not statuses or run.status in statuses]

    def busy(self) -> list[Hand]:
        return [hand for hand in self.hands if hand.lease is not None]

    def idle(self) -> list[Hand]:
        return [hand for hand in self.hands if hand.lease is None]

    def attempt(self, service: Callable[..., Any], **request: Any) -> Any:
        """A client's request: the answer, or the refusal."""
        try:
            with transaction.atomic():
                return service(principal=self.principal, **request)
        except ApiError as error:
            return error

    def ask(self, service: Callable[..., Any], run: Run, **request: Any) -> Any:
        """A request about a run; a refusal changes nothing about it."""
        before = (run.status, run.last_seq)
        answer = self.attempt(service, thread_id=run.thread_id, run_id=run.id, **request)
        if isinstance(answer, ApiError):
            run.refresh_from_db()
            assert (run.status, run.last_seq) == before
        return answer

    def write(self, hand: Hand, action: Callable[[], Outcome | None]) -> str | None:
        """A worker's batch: the run's status after it, ``None`` where it had lost the run, and wrote nothing."""
        assert hand.lease is not None
        run = Run.objects.filter(pk=hand.lease.run_id).first()
        holds = run is not None and (run.lease_owner, run.lease_epoch) == (hand.name, hand.lease.epoch)
        with transaction.atomic():
            outcome = action()
        if outcome is None:
            assert not holds or run is None or run.status in TERMINAL
            if run is not None:
                assert Run.objects.get(pk=run.pk).last_seq == run.last_seq
            hand.lease = None
            return None
        assert holds
        assert outcome.error is None
        if outcome.status in (*TERMINAL, "requires_action"):
            hand.lease = None
        return outcome.status

    # ------------------------------------------------------------------------------------- clients

    @rule(index=st.integers(0, 1), twice=st.booleans())  # often enough that there is always something to do
    def create_again(self, index: int, twice: bool) -> None:
        self.create(index)
        if twice:
            self.create(1 - index)

    @rule(index=st.integers(0, 1))
    def create(self, index: int) -> None:
        thread = Thread.objects.get(pk=self.threads[index])
        overdue = Run.objects.overdue().filter(thread_id=thread.id).exists()
        answer = self.attempt(creation.create_run, thread_id=thread.id, assistant_id=self.assistant.id)
        assert isinstance(answer, ApiError) == (thread.active_run_id is not None and not overdue)
        if isinstance(answer, ApiError):
            assert str(answer) == f"Thread {thread.id} already has an active run {thread.active_run_id}."
        else:
            assert answer.run.status == "queued"

    @rule(index=st.integers(0, 1))
    def add_message(self, index: int) -> None:
        thread = Thread.objects.get(pk=self.threads[index])
        answer = self.attempt(threads.create_message, thread_id=thread.id, role="user", content="More")
        assert isinstance(answer, ApiError) == (thread.active_run_id is not None)

    @precondition(lambda self: self.runs())
    @rule(data=st.data(), happens=RARELY)
    def cancel(self, data: st.DataObject, happens: bool) -> None:
        if not happens:
            return
        run = data.draw(st.sampled_from(self.runs()))
        was, answer = run.status, self.ask(control.cancel_run, run)
        if was in ("queued", "in_progress", "requires_action"):
            assert answer.status == "cancelling"
        else:
            assert answer.message == f"Cannot cancel run with status '{was}'."

    @precondition(lambda self: self.runs("requires_action"))
    @rule(data=st.data(), output=TEXT)
    def submit(self, data: st.DataObject, output: str) -> None:
        run = data.draw(st.sampled_from(self.runs("requires_action")))
        calls = run.required_action["submit_tool_outputs"]["tool_calls"]
        outputs = [{"tool_call_id": call["id"], "output": output} for call in calls]
        begun = self.ask(control.submit_tool_outputs, run, tool_outputs=outputs)
        assert begun.run.status == "queued"
        step = RunStep.objects.of_run(run.id).latest("position")
        assert [call["function"]["output"] for call in step.tool_calls] == [output] * len(calls)

    @precondition(lambda self: self.runs())
    @rule(data=st.data(), wrong=st.sampled_from([[], ["call_x"], ["first", "call_x"], ["first", "first"]]))
    def submit_what_is_wrong(self, data: st.DataObject, wrong: list[str]) -> None:
        run = data.draw(st.sampled_from(self.runs()))
        asked = (run.required_action or {}).get("submit_tool_outputs", {}).get("tool_calls", [])
        names = [asked[0]["id"] if name == "first" and asked else name for name in wrong]
        outputs = [{"tool_call_id": name, "output": ""} for name in names]
        assert isinstance(self.ask(control.submit_tool_outputs, run, tool_outputs=outputs), ApiError)

    # ------------------------------------------------------------------------------------- workers

    @precondition(lambda self: self.idle() and self.runs("queued", "in_progress"))
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        self._claim(data.draw(st.sampled_from(self.idle())))

    @precondition(lambda self: self.idle() and self.runs("queued"))
    @rule(pieces=st.lists(TEXT, min_size=1, max_size=2), tools=st.booleans())
    def work_as_on_a_good_day(self, pieces: list[str], tools: bool) -> None:
        """A whole turn of a model, so that runs get far."""
        hand = self.idle()[0]
        self._claim(hand)
        if hand.lease is None:
            return
        self._say(hand, pieces)
        if tools:
            self.write(hand, hand.begin_calls)
            self.write(hand, lambda: hand.call("weather", *pieces))
            assert self.write(hand, hand.hand_over) == "requires_action"
        else:
            assert self.write(hand, hand.complete) == "completed"

    def _claim(self, hand: Hand) -> None:
        free = list(Run.objects.unheld().filter(status__in=["queued", "in_progress"]).order_by("created_at", "id"))
        free = [
            run for run in free if run.status == "queued" or not (run.lease_owner and run.crash_count >= POISON - 1)
        ]
        with transaction.atomic():
            lease = hand.claim()
        assert (lease and lease.run_id) == (free[0].id if free else None)
        if lease is not None:
            assert lease.epoch == free[0].lease_epoch + 1
            self._take_over(hand, lease.run_id)

    def _take_over(self, hand: Hand, run_id: str) -> None:
        """What a worker does about work that another had begun."""
        step = RunStep.objects.of_run(run_id).filter(status="in_progress").first()
        if step is None:
            return
        if step.type == "message_creation":
            hand.step_id, hand.message_id = step.id, step.message_id
            hand.has_text = bool(self.said.get(step.message_id))
        else:
            abandon = Operation(lambda r: r.abandon_step(step.id, "Interrupted."))
            assert self.write(hand, lambda: hand.write(abandon)) == "in_progress"

    @precondition(lambda self: self.busy())
    @rule(data=st.data(), pieces=st.lists(TEXT, min_size=1, max_size=3))
    def say(self, data: st.DataObject, pieces: list[str]) -> None:
        self._say(data.draw(st.sampled_from(self.busy())), pieces)

    def _say(self, hand: Hand, pieces: list[str]) -> None:
        if not hand.message_id and self.write(hand, hand.begin_message) != "in_progress":
            hand.message_id = ""
            return
        if self.write(hand, lambda: hand.say(*pieces)) == "in_progress":
            self.said[hand.message_id] = self.said.get(hand.message_id, "") + "".join(pieces)

    @precondition(lambda self: self.busy())
    @rule(data=st.data(), arguments=st.lists(TEXT, max_size=3), calls=st.integers(1, 3))
    def ask_for_tools(self, data: st.DataObject, arguments: list[str], calls: int) -> None:
        hand = data.draw(st.sampled_from(self.busy()))
        status = self.write(hand, hand.begin_calls)
        for _ in range(calls):
            if status == "in_progress":
                status = self.write(hand, lambda: hand.call("weather", *arguments))
        if status == "in_progress" and data.draw(st.booleans()):
            assert self.write(hand, hand.hand_over) == "requires_action"
        elif status == "in_progress":  # it dies in the middle
            age_lease(hand.lease.run_id)  # type: ignore[union-attr]
            hand.lease = None

    @precondition(lambda self: self.busy())
    @rule(data=st.data(), how=st.sampled_from(["complete", "fail", "run_out", "stop"]))
    def end(self, data: st.DataObject, how: str) -> None:
        hand = data.draw(st.sampled_from(self.busy()))
        lease = hand.lease
        assert lease is not None
        cancelling = Run.objects.filter(pk=lease.run_id, status="cancelling").exists()
        if how == "stop" and not cancelling:
            return
        if how == "complete" and not hand.message_id and self.write(hand, hand.begin_message) is None:
            return
        status = self.write(hand, getattr(hand, how))
        expected = {"complete": "completed", "fail": "failed", "run_out": "incomplete", "stop": "cancelled"}[how]
        assert status in (None, "cancelled" if cancelling else expected)

    @precondition(lambda self: self.busy())
    @rule(data=st.data())
    def send_a_batch_again(self, data: st.DataObject) -> None:
        hand = data.draw(st.sampled_from(self.busy()))
        assert hand.lease is not None
        if hand.number:
            fail = Operation(lambda r: r.fail("server_error", "twice"), True, True)
            batch = Batch(hand.lease, hand.number, [fail])
            before = Run.objects.values_list("status", "last_seq").get(pk=hand.lease.run_id)
            flush([batch])
            assert Run.objects.values_list("status", "last_seq").get(pk=hand.lease.run_id) == before

    @precondition(lambda self: self.busy())
    @rule(data=st.data(), notices=st.booleans())
    def crash(self, data: st.DataObject, notices: bool) -> None:
        """Its lease ends; a worker that only stood still goes on writing."""
        hand = data.draw(st.sampled_from(self.busy()))
        assert hand.lease is not None
        age_lease(hand.lease.run_id)
        if notices:
            hand.lease = None

    @precondition(lambda self: self.busy())
    @rule(data=st.data())
    def stop_in_good_order(self, data: st.DataObject) -> None:
        hand = data.draw(st.sampled_from(self.busy()))
        leases.give_back(hand.name)
        hand.lease = None

    @precondition(lambda self: self.busy())
    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        hand = data.draw(st.sampled_from(self.busy()))
        assert hand.lease is not None
        leases.renew(hand.name, [hand.lease.run_id])

    # ------------------------------------------------------------------------------------- the clock

    @precondition(lambda self: self.runs())
    @rule(data=st.data(), by=st.sampled_from(["reaper", "reader", "creator"]), happens=RARELY)
    def time_is_over(self, data: st.DataObject, by: str, happens: bool) -> None:
        if not happens:
            return
        run = data.draw(st.sampled_from(self.runs()))
        age_run(run.id)
        if by == "reaper":
            reaping.reap()
        elif by == "reader":
            self.ask(control.get_run, run)
        else:
            self.create(self.threads.index(run.thread_id))
            return
        run.refresh_from_db()
        assert run.status in TERMINAL

    @rule()
    def reap(self) -> None:
        reaping.reap()
        assert not Run.objects.abandoned_cancels().exists()
        assert not Run.objects.poisoned().exists()

    # ------------------------------------------------------------------------------------- what must hold

    @invariant()
    def everything_is_sound(self) -> None:
        rows = Run.objects.filter(thread_id__in=self.threads).select_related("configuration")
        self.known = list(rows.order_by("created_at", "id"))
        holders = dict(Thread.objects.filter(pk__in=self.threads).values_list("id", "active_run_id"))
        for thread_id, holder in holders.items():  # a thread is free exactly when its run is over
            active = [run.id for run in self.known if run.thread_id == thread_id and run.status not in TERMINAL]
            assert active == ([holder] if holder else [])
        for run in self.known:
            if self.checked.get(run.id) != (run.status, run.last_seq):
                self.checked[run.id] = (run.status, run.last_seq)
                self.check(run)

    def check(self, run: Run) -> None:
        log = list(RunEvent.objects.after(run.id, 0))
        assert [event.seq for event in log] == list(range(1, run.last_seq + 1))
        check_transitions(run, log)
        check_instants(run)
        check_rows(run, log, self.said)


def check_transitions(run: Run, log: list[RunEvent]) -> None:
    assert [event.type for event in log[:2]] == ["thread.run.created", "thread.run.queued"]
    states = [event.data["status"] for event in log[1:] if event.type.removeprefix(RUN_STATE) in (*LEGAL, *TERMINAL)]
    for before, after in pairwise(states):
        assert after in LEGAL[before], states
    assert states[-1] == run.status


def check_instants(run: Run) -> None:
    over = run.status in TERMINAL
    shown = render_run_row(run)
    assert (shown["expires_at"] is None) == over
    assert (shown["usage"] is not None) == over
    for column in ("completed_at", "failed_at", "cancelled_at"):
        assert (getattr(run, column) is not None) == (ENDED_AT.get(run.status) == column)
    assert (run.required_action is not None) == (run.status == "requires_action")
    assert (run.incomplete_details is not None) == (run.status == "incomplete")
    assert run.last_error is None or run.status in ("failed", "expired")
    assert run.last_error is not None or run.status != "failed"
    if run.status in ("in_progress", "requires_action", "completed", "incomplete", "failed"):
        assert run.started_at is not None
    if over or run.status == "requires_action":
        assert run.lease_owner is None


def check_rows(run: Run, log: list[RunEvent], said: dict[str, str]) -> None:
    """The rows are what the events add up to, and the newest event of each object shows it as it is."""
    folded, newest = fold(log), {event.data.get("id", run.id): event for event in log if "delta" not in event.type}
    assert payload_of(head_of(run), newest[run.id].type, newest[run.id].data) == render_run_row(run)
    steps = list(RunStep.objects.of_run(run.id).order_by("position"))
    open_steps = [step for step in steps if step.status == "in_progress"]
    assert len(open_steps) <= (0 if run.status in TERMINAL else 1)
    for step in steps:
        for status, column in STEP_ENDED_AT.items():
            assert (getattr(step, column) is not None) == (step.status == status)
        shown = {**newest[step.id].data, "expires_at": None}
        if step.status != "in_progress":
            assert shown == {**render_step(run, step), "expires_at": None}
            if step.type == "tool_calls":
                assert step.tool_calls == folded.tool_calls.get(step.id, [])
    if run.status == "requires_action":
        (waiting,) = open_steps
        asked = run.required_action["submit_tool_outputs"]["tool_calls"]
        assert [call["id"] for call in asked] == [call["id"] for call in waiting.tool_calls]
        assert all(call["function"]["output"] is None for call in waiting.tool_calls)
    for message in Message.objects.filter(run_id=run.id):
        assert newest[message.id].data == render_message(message)
        assert folded.text_of(message.id) == said.get(message.id, "")
        if message.status == "in_progress":
            assert [step.message_id for step in open_steps] == [message.id]
            assert message.content == []
        else:
            assert message.text == said.get(message.id, "")
            assert message.content == folded.content[message.id]


@pytest.fixture(autouse=True)
def long_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases end where the world says so, however slow the machine is."""
    monkeypatch.setattr(leases, "LEASE", timedelta(hours=1))


def test_runs_in_any_weather(registered: object, api_key: str) -> None:
    World.principal = credentials.principal_of_key(api_key)
    World.assistant = assistants.create_assistant(principal=World.principal, model="tiny", tools=[FUNCTION])
    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=70,
            stateful_step_count=40,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_machine_finds_what_is_wrong(registered: object, api_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends without freeing its thread is noticed."""
    monkeypatch.setattr("runs.services.recorder.threads.release", lambda thread_id, run_id: None)
    with pytest.raises(AssertionError):
        test_runs_in_any_weather(registered, api_key)
