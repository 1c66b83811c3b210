"""Making runs: what is refused, what is frozen, what the rows say; the table of states; the event log."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction
from django.db.models import RestrictedError

from assistants import services as assistants
from assistants.models import Assistant
from assistants.resolution import resolve
from inference.models import RegisteredModel
from runs import configuration
from runs.events import EventLog
from runs.fold import fold
from runs.models import Run, RunConfiguration, RunEvent
from runs.rendering import render_run_row
from runs.services import creation
from runs.services.recorder import Recorder
from runs.services.reports import note_interpreter
from runs.states import ACTIVE, RESTING, TERMINAL, TRANSITIONS, IllegalTransition, Status
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from tests.runs.support import WEATHER, sequence
from threads import services as threads
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db


# ------------------------------------------------------------------------------------------------ states

LEGAL = """
queued in_progress | queued cancelling | queued expired
in_progress requires_action | in_progress completed | in_progress incomplete | in_progress failed
in_progress cancelling | in_progress expired
requires_action queued | requires_action cancelling | requires_action expired
cancelling cancelled
"""


def test_the_table_is_the_contracts() -> None:
    legal = {tuple(pair.split()) for line in LEGAL.strip().splitlines() for pair in line.split("|")}
    assert {(str(a), str(b)) for a, successors in TRANSITIONS.items() for b in successors} == legal
    assert {"completed", "incomplete", "failed", "cancelled", "expired"} == TERMINAL
    assert {"queued", "in_progress", "requires_action", "cancelling"} == ACTIVE
    assert TERMINAL | {"requires_action"} == RESTING


def test_every_step_that_is_not_in_the_table_is_refused(begin: Callable[..., Run]) -> None:
    run = begin()
    for before, after in itertools.product(Status, Status):
        Run.objects.filter(pk=run.pk).update(status=before)
        run.refresh_from_db()
        if after in TRANSITIONS[before]:
            with EventLog() as log:
                Recorder(log, run).move(after)
            assert Run.objects.get(pk=run.pk).status == after
        else:
            with pytest.raises(IllegalTransition), EventLog() as log:
                Recorder(log, run).move(after)
            assert Run.objects.get(pk=run.pk).status == before


def test_a_step_from_a_state_that_is_no_longer_there_is_refused(begin: Callable[..., Run]) -> None:
    run = begin()
    Run.objects.filter(pk=run.pk).update(status="cancelling")
    with pytest.raises(IllegalTransition, match="no longer queued"), EventLog() as log:
        Recorder(log, run).move(Status.IN_PROGRESS)


# ------------------------------------------------------------------------------------------------ the log


def test_numbers_go_on_without_a_gap_and_nothing_is_written_when_the_block_raises(begin: Callable[..., Run]) -> None:
    run = begin()
    with EventLog() as log:
        assert [log.append(run, "thread.x", {}) for _ in range(3)] == [3, 4, 5]
    with pytest.raises(IllegalTransition), EventLog() as log:
        Recorder(log, Run.objects.get(pk=run.pk)).append_text("msg_x", "x", first=True) or _raise()
    assert sequence(run.id) == [1, 2, 3, 4, 5]
    assert Run.objects.get(pk=run.pk).last_seq == 5


def test_a_number_is_never_used_twice(begin: Callable[..., Run]) -> None:
    run = begin()
    with pytest.raises(IntegrityError), transaction.atomic():
        RunEvent.objects.create(run=run, seq=1, type="thread.x", data={})


def _raise() -> None:
    raise IllegalTransition


class Row:
    def __init__(self, type: str, **data: Any) -> None:
        self.type, self.data = f"thread.{type}", data


def test_fold_is_what_the_clients_add_up() -> None:
    def part(value: str, **more: Any) -> dict[str, Any]:
        return {"index": 0, "type": "text", "text": {"value": value, **more}}

    def piece(index: int, arguments: str) -> dict[str, Any]:
        return {"index": index, "type": "function", "function": {"arguments": arguments}}

    def begun(index: int, name: str) -> dict[str, Any]:
        function = {"name": name, "arguments": "", "output": None}
        return {"index": index, "id": name, "type": "function", "function": function}

    log = [
        Row("message.created", id="m", content=[]),
        Row("message.delta", id="m", content=[part("a", annotations=[])]),
        Row("message.delta", id="m", content=[part("b")]),
        Row("run.step.created", id="s", step_details={"type": "tool_calls", "tool_calls": []}),
        Row("run.step.delta", id="s", tool_calls=[begun(0, "x")]),
        Row("run.step.delta", id="s", tool_calls=[piece(0, "1")]),
        Row("run.step.delta", id="s", tool_calls=[begun(1, "y")]),
        Row("run.step.delta", id="s", tool_calls=[piece(0, "2")]),
        Row("run.in_progress", status="in_progress"),
    ]
    folded = fold(log)
    assert folded.text_of("m") == "ab"
    assert folded.text_of("nothing") == ""
    assert folded.content["m"] == [{"type": "text", "text": {"value": "ab", "annotations": []}}]
    assert [call["function"]["arguments"] for call in folded.tool_calls["s"]] == ["12", ""]
    assert fold(log).content == folded.content  # the events were not changed
    completed = fold([*log, Row("message.completed", id="m", content=[part("whole")])])
    assert completed.text_of("m") == "whole"


# ------------------------------------------------------------------------------------------------ making runs


def refused(begin: Callable[..., Run], **request: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        begin(**request)
    return caught.value


def test_a_queued_run_holds_its_thread(begin: Callable[..., Run], thread: Thread, principal: Principal) -> None:
    run = begin()
    thread.refresh_from_db()
    assert (run.status, thread.active_run_id) == ("queued", run.id)
    assert (run.created_by_key, run.created_by_user) == (principal.key_id, None)
    assert abs((run.expires_at - run.created_at).total_seconds() - 600) < 2
    assert list(RunEvent.objects.values_list("seq", "type")) == [(1, "thread.run.created"), (2, "thread.run.queued")]


def test_a_busy_thread_takes_neither_a_run_nor_a_message(
    begin: Callable[..., Run], thread: Thread, principal: Principal
) -> None:
    run = begin()
    error = refused(begin, additional_messages=[{"role": "user", "content": "again"}])
    assert (error.status, error.message) == (400, f"Thread {thread.id} already has an active run {run.id}.")
    with pytest.raises(ApiError) as caught:
        threads.create_message(principal=principal, thread_id=thread.id, role="user", content="Hm")
    assert caught.value.message == f"Can't add messages to {thread.id} while a run {run.id} is active."
    assert (Run.objects.count(), Message.objects.count()) == (1, 1)


def test_the_database_itself_keeps_a_thread_to_one_active_run(begin: Callable[..., Run]) -> None:
    first = begin()
    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.create(
            project_id=first.project_id,
            thread_id=first.thread_id,
            configuration=first.configuration,
            model="tiny",
            expires_at=first.expires_at,
        )


@pytest.mark.django_db(transaction=True)
def test_somebody_must_have_said_something(
    principal: Principal, registered: RegisteredModel, begin: Callable[..., Run]
) -> None:
    mute = assistants.create_assistant(principal=principal, model="tiny")
    silent = threads.create_thread(principal=principal, messages=[{"role": "assistant", "content": "I?"}])
    error = refused(begin, assistant_id=mute.id, thread_id=silent.id)
    assert (error.status, error.code) == (400, "invalid_thread")
    assert error.message == "Run creation requires a Thread with a user message or an assistant with instructions."
    silent.refresh_from_db()
    assert silent.active_run_id is None
    for enough in (
        {"instructions": "Speak."},
        {"additional_instructions": "Speak."},
        {"additional_messages": [{"role": "user", "content": "Speak!"}]},
    ):
        other = threads.create_thread(principal=principal)
        assert begin(assistant_id=mute.id, thread_id=other.id, **enough).status == "queued"


def test_additional_messages_are_appended_in_order(begin: Callable[..., Run], thread: Thread) -> None:
    begin(additional_messages=[{"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}])
    assert [message.text for message in Message.objects.of_thread(thread.id)] == ["Hello?", "b", "c"]


def test_whoever_may_not_write_messages_does_not_write_them_with_a_run(
    principal: Principal, thread: Thread, assistant: Assistant
) -> None:
    runs_only = replace(principal, scopes=frozenset({"runs:write"}))
    forged = [{"role": "assistant", "content": "c"}]
    with pytest.raises(ApiError, match="threads:write"):
        creation.create_run(
            principal=runs_only, thread_id=thread.id, assistant_id=assistant.id, additional_messages=forged
        )
    assert creation.create_run(principal=runs_only, thread_id=thread.id, assistant_id=assistant.id).run.id


@pytest.mark.django_db(transaction=True)
def test_an_unknown_model_is_refused_and_leaves_nothing(begin: Callable[..., Run], thread: Thread) -> None:
    error = refused(begin, model="no-such", additional_messages=[{"role": "user", "content": "b"}])
    assert (error.status, error.code, error.param) == (404, "model_not_found", "model")
    thread.refresh_from_db()
    assert (thread.active_run_id, Message.objects.count(), Run.objects.count()) == (None, 1, 0)


def test_a_tool_that_cannot_be_run_is_refused(begin: Callable[..., Run]) -> None:
    note_interpreter(worker="a", usable=False, reason="The moon is full.")
    error = refused(begin, tools=[WEATHER, {"type": "code_interpreter"}])
    assert (error.status, error.code, error.param) == (400, "unsupported_tool", "tools[1].type")


def test_a_run_keeps_what_it_was_resolved_to(
    begin: Callable[..., Run], assistant: Assistant, principal: Principal
) -> None:
    run = begin(tools=[WEATHER], temperature=0.0, metadata={"a": "b"})
    assistants.update_assistant(
        principal=principal, assistant_id=assistant.id, instructions="Lie.", tools=[], temperature=2.0
    )
    assistants.delete_assistant(principal=principal, assistant_id=assistant.id)
    run.refresh_from_db()
    data = run.configuration.data
    assert (data["instructions"], data["temperature"], data["tools"]) == ("Be brief.", 0.0, [WEATHER])
    assert (run.assistant_id, run.metadata) == (assistant.id, {"a": "b"})


def test_equal_configurations_share_a_row_within_a_project(
    begin: Callable[..., Run], principal: Principal, charlies_key: str, registered: RegisteredModel
) -> None:
    from sovereign.accounts.credentials import principal_of_key

    def elsewhere(who: Principal, **overrides: Any) -> Run:
        assistant = assistants.create_assistant(principal=who, model="tiny", instructions="Be brief.")
        return creation.create_thread_and_run(principal=who, assistant_id=assistant.id, thread={}, **overrides).run

    first, second = begin(), elsewhere(principal)
    assert first.configuration_id == second.configuration_id
    assert elsewhere(principal, temperature=0.5).configuration_id != first.configuration_id
    assert elsewhere(principal_of_key(charlies_key)).configuration_id != first.configuration_id
    assert RunConfiguration.objects.count() == 3


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({}, "Be brief."),
        ({"instructions": "Other."}, "Other."),
        ({"instructions": ""}, ""),
        ({"instructions": None}, "Be brief."),
        ({"additional_instructions": "More."}, "Be brief.\n\nMore."),
        ({"instructions": "Other.", "additional_instructions": "More."}, "Other.\n\nMore."),
        ({"instructions": "", "additional_instructions": "More."}, "More."),
    ],
)
def test_instructions_replace_and_follow(begin: Callable[..., Run], request_: dict[str, Any], expected: str) -> None:
    assert begin(**request_).configuration.data["instructions"] == expected


@pytest.mark.django_db(transaction=True)
def test_of_sixty_four_parallel_runs_on_a_thread_exactly_one_begins(
    principal: Principal, thread: Thread, assistant: Assistant
) -> None:
    start = threading.Barrier(64)
    made: list[str] = []
    refusals: list[ApiError] = []
    others: list[BaseException] = []

    def create() -> None:
        try:
            start.wait(60)
            begun = creation.create_run(
                principal=principal,
                thread_id=thread.id,
                assistant_id=assistant.id,
                additional_messages=[{"role": "user", "content": "x"}],
            )
            made.append(begun.run.id)
        except ApiError as error:
            refusals.append(error)
        except BaseException as error:
            others.append(error)
        finally:
            connections.close_all()

    racers = [threading.Thread(target=create) for _ in range(64)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert others == []
    assert (len(made), len(refusals)) == (1, 63)
    assert {error.message for error in refusals} == {f"Thread {thread.id} already has an active run {made[0]}."}
    assert (Run.objects.count(), Message.objects.of_thread(thread.id).count()) == (1, 2)
    assert list(RunEvent.objects.values_list("seq", flat=True)) == [1, 2]


@pytest.mark.django_db(transaction=True)
def test_a_thread_deleted_while_events_are_written_leaves_neither(
    principal: Principal, thread: Thread, begin: Callable[..., Run]
) -> None:
    from tests.runs.test_readers import tell

    run = begin()
    failures: list[BaseException] = []
    stop = threading.Event()

    def write() -> None:
        try:
            while not stop.is_set():
                tell(run.id, *"abc")
        except Run.DoesNotExist:
            pass
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    try:
        while Run.objects.get(pk=run.pk).last_seq < 20:
            pass
        threads.delete_thread(principal=principal, thread_id=thread.id)
    finally:
        stop.set()
        for writer in writers:
            writer.join(60)
    assert failures == []
    assert not RunEvent.objects.exists()


def test_a_project_goes_with_its_runs_and_a_configuration_not_before_them(begin: Callable[..., Run]) -> None:
    run = begin()
    with pytest.raises(RestrictedError):
        run.configuration.delete()
    run.project.delete()
    assert not Run.objects.exists()
    assert not RunConfiguration.objects.exists()


# ------------------------------------------------------------------------------------------------ tool_resources


@pytest.mark.parametrize("own", [None, {}, {"file_search": {"vector_store_ids": ["vs_own"]}}])
def test_a_runs_own_resources_replace_those_of_the_same_tool_and_are_the_ones_shown(
    begin: Callable[..., Run], principal: Principal, registered: RegisteredModel, own: dict[str, Any] | None
) -> None:
    held = {"file_search": {"vector_store_ids": ["vs_held"]}, "code_interpreter": {"file_ids": ["file-1"]}}
    assistant = assistants.create_assistant(principal=principal, model="tiny")
    Assistant.objects.filter(pk=assistant.pk).update(tool_resources=held)
    fresh = Assistant.objects.get(pk=assistant.pk)
    resolved = resolve(assistant=fresh, environment=principal.environment, thread_id="", variables=None)
    frozen = configuration.compose(resolved, {"tool_resources": own})
    assert frozen.tool_resources == {**held, **(own or {})}
    run = begin()
    run.configuration = configuration.freeze(run.project_id, frozen)
    assert render_run_row(run)["tool_resources"] == (own or {})
