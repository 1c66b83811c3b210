"""What may be written about one run inside a transaction that holds its locks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from django.db.models import F

from inference.chat import Usage
from runs import events
from runs.asked import is_settled
from runs.events import EventLog
from runs.fold import Folded, fold
from runs.models import Run, RunEvent, RunStep
from runs.rendering import changing_fields, render_step, usage
from runs.services import uses
from runs.states import ENDED_AT, TRANSITIONS, IllegalTransition, Status
from sovereign.core.database import now
from threads import services as threads
from threads.models import Message, Thread
from threads.rendering import render_message, unix

Step = RunStep.StepStatus

#: How an unfinished step and message end, by the state their run ends in.
STEP_ENDINGS = {
    Status.CANCELLED: Step.CANCELLED,
    Status.FAILED: Step.FAILED,
    Status.EXPIRED: Step.EXPIRED,
    Status.INCOMPLETE: Step.COMPLETED,
}
MESSAGE_REASONS = {
    Status.CANCELLED: "run_cancelled",
    Status.FAILED: "run_failed",
    Status.EXPIRED: "run_expired",
    Status.INCOMPLETE: "max_tokens",
}
STEP_TIMES = {
    Step.COMPLETED: "completed_at",
    Step.CANCELLED: "cancelled_at",
    Step.FAILED: "failed_at",
    Step.EXPIRED: "expired_at",
}


@dataclass(frozen=True, slots=True)
class Made:
    """What code has made and no message shows yet: the ids of images, and of files."""

    images: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def attachments(self) -> list[dict[str, Any]]:
        """The files, as the contract's messages have them."""
        return [{"file_id": file_id, "tools": [{"type": "code_interpreter"}]} for file_id in self.files]


NOTHING_MADE = Made()


@dataclass(slots=True)
class Recorder:
    """A locked run, its log, and (where a message begins or ends) its locked thread."""

    log: EventLog
    run: Run
    thread: Thread | None = None

    # -------------------------------------------------------------------------------------------- the run

    def move(self, to: Status, *, kept: Mapping[str, Any] = MappingProxyType({}), **fields: Any) -> None:
        """Take a step of the table in ``runs.states`` and tell it in the log.

        :param kept: what the event keeps and no client sees.
        :raises IllegalTransition: the table does not have it, or the row is no longer in the state that was read.
        """
        run = self.run
        if to not in TRANSITIONS[Status(run.status)]:
            raise IllegalTransition(f"{run.id}: {run.status} to {to}")
        if not Run.objects.filter(pk=run.pk, status=run.status).update(status=to, **fields):
            raise IllegalTransition(f"{run.id}: no longer {run.status}")
        run.status = to
        for name, value in fields.items():
            setattr(run, name, value)
        self.log.append(run, events.RUN_PREFIX + to, {**changing_fields(run), **kept})

    def end(
        self,
        to: Status,
        *,
        last_error: dict[str, str] | None = None,
        incomplete_details: dict[str, str] | None = None,
        spent: Usage | None = None,
    ) -> None:
        """Bring the run to its end: open work is closed first, and the thread is always freed.

        :param spent: the tokens of the model call that the open step came from, where it was finished; they are
            counted already. Of a call that was cut, the pieces of its output are counted here.
        """
        if self.run.status == Status.CANCELLING:
            to, last_error, incomplete_details = Status.CANCELLED, None, None
        self._close_open_steps(to, last_error, spent)
        fields: dict[str, Any] = {"required_action": None, "lease_owner": None, "lease_expires_at": None}
        if column := ENDED_AT.get(to):
            fields[column] = now()
        self.move(to, **fields, last_error=last_error, incomplete_details=incomplete_details)
        threads.release(self.run.thread_id, self.run.id)

    def fail(self, code: str, message: str) -> None:
        self.end(Status.FAILED, last_error={"code": code, "message": message})

    def give_back(self, pause: float) -> None:
        """Let any worker take the run again, in ``pause`` seconds: what was begun goes on then."""
        Run.objects.filter(pk=self.run.pk).update(lease_owner=None, lease_expires_at=now() + timedelta(seconds=pause))

    def count(self, spent: Usage) -> None:
        """Add a model call's tokens to the run's, and to those of the day."""
        columns = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
        if not any(getattr(spent, column) for column in columns):
            return
        Run.objects.filter(pk=self.run.pk).update(**{column: F(column) + getattr(spent, column) for column in columns})
        for column in columns:
            setattr(self.run, column, getattr(self.run, column) + getattr(spent, column))
        self.log.count(self.run, spent.prompt_tokens + spent.completion_tokens)

    # -------------------------------------------------------------------------------------------- messages

    def begin_message(self, *, step_id: str, message_id: str, made: Made = NOTHING_MADE) -> None:
        """Open a message and its step. Both ids are the caller's, so that deltas can follow without waiting.

        :param made: what the message shows of what code has made: images stand before its text.
        """
        assert self.thread is not None
        details = {"type": "message_creation", "message_creation": {"message_id": message_id}}
        self._begin_step(step_id, RunStep.Type.MESSAGE_CREATION, details)
        message = threads.open_message(
            self.thread,
            message_id=message_id,
            run_id=self.run.id,
            assistant_id=self.run.assistant_id or "",
            attachments=made.attachments,
            goes_on_with=self._continued(),
        )
        payload = render_message(message)
        self.log.append(self.run, events.MESSAGE_CREATED, payload)
        self.log.append(self.run, events.MESSAGE_IN_PROGRESS, payload)
        for index, file_id in enumerate(made.images):
            image = {"index": index, "type": "image_file", "image_file": {"file_id": file_id, "detail": "auto"}}
            self.log.append(self.run, events.MESSAGE_DELTA, {"id": message_id, "content": [image]} | _counted(0))

    def _continued(self) -> str | None:
        """The message that the run's first one goes on with, where the run continues another one."""
        if self.run.continues is None:
            return None
        newest = Message.objects.of_thread(self.run.thread_id).order_by("-position").first()
        return newest.pk if newest is not None and newest.run_id == self.run.continues else None

    def append_text(
        self,
        message_id: str,
        text: str,
        *,
        first: bool,
        index: int = 0,
        annotations: Sequence[dict[str, Any]] = (),
        pieces: int = 1,
    ) -> None:
        """A piece of the message's one text.

        :param index: the text's place among the message's parts.
        :param pieces: of how many of the engine's it was made.
        """
        value = {"value": text, "annotations": [*annotations]} if first or annotations else {"value": text}
        data = {"id": message_id, "content": [{"index": index, "type": "text", "text": value}]}
        self.log.append(self.run, events.MESSAGE_DELTA, data | _counted(pieces))

    def finish_message(self, *, step_id: str, spent: Usage) -> None:
        """Complete an open message, with what its events add up to, and its step."""
        step = RunStep.objects.get(pk=step_id)
        self._close_message(step, None)
        self.close_step(step, Step.COMPLETED, spent=spent)

    # -------------------------------------------------------------------------------------------- tool calls

    def begin_tool_calls(self, *, step_id: str) -> None:
        self._begin_step(step_id, RunStep.Type.TOOL_CALLS, {"type": "tool_calls", "tool_calls": []})

    def show_call(self, step_id: str, index: int, call: dict[str, Any]) -> None:
        """A call as it begins, in the contract's shape."""
        self.log.append(self.run, events.STEP_DELTA, {"id": step_id, "tool_calls": [{"index": index, **call}]})

    def append_to_call(self, step_id: str, index: int, delta: dict[str, Any], *, pieces: int = 0) -> None:
        """A part of a call, in the contract's shape; ``pieces`` says of how many of the engine's it was made."""
        call = {"index": index, **delta}
        self.log.append(self.run, events.STEP_DELTA, {"id": step_id, "tool_calls": [call]} | _counted(pieces))

    def abandon_step(self, step_id: str, message: str) -> None:
        """A step whose worker died in the middle of a tool call: it cannot be continued, the model is asked again."""
        step, folded = RunStep.objects.get(pk=step_id), self.folded()
        step.last_error = {"code": "server_error", "message": message}
        step.step_details = {"type": "tool_calls", "tool_calls": folded.tool_calls.get(step_id, [])}
        self.close_step(step, Step.FAILED, spent=self._count_pieces(step_id, folded))

    # -------------------------------------------------------------------------------------------- inside

    def folded(self) -> Folded:
        """What the run has written so far."""
        stored = RunEvent.objects.after(self.run.id, 0).exclude(type__in=_NOT_FOLDED)
        return fold([*stored, *self.log.pending(self.run)])

    def _begin_step(self, step_id: str, kind: str, details: dict[str, Any]) -> None:
        run = self.run
        run.last_step_position += 1
        Run.objects.filter(pk=run.pk).update(last_step_position=run.last_step_position)
        step = RunStep.objects.create(
            id=step_id,
            run=run,
            position=run.last_step_position,
            type=kind,
            step_details=details,
            expires_at=run.expires_at,
        )
        payload = render_step(run, step)
        self.log.append(run, events.STEP_CREATED, payload)
        self.log.append(run, events.STEP_IN_PROGRESS, payload)

    def _close_open_steps(self, to: Status, last_error: dict[str, str] | None, spent: Usage | None) -> None:
        for step in RunStep.objects.of_run(self.run.id).filter(status=Step.IN_PROGRESS).order_by("position"):
            written = step.id
            if step.type == RunStep.Type.MESSAGE_CREATION:
                written = step.message_id
                self._close_message(step, MESSAGE_REASONS[to])
            else:
                step.step_details["tool_calls"] = self._calls_as_far_as_they_came(step)
                uses.note_cut(self.run, step)
            if step.usage is None and spent is None:
                spent = self._count_pieces(written, self.folded())
            step.last_error = _step_error(last_error)
            self.close_step(step, STEP_ENDINGS[to], spent=spent)

    def _calls_as_far_as_they_came(self, step: RunStep) -> list[dict[str, Any]]:
        """What is stored of the calls that rest, and what was shown of the one that was just carried out."""
        stored = {call["id"]: call for call in step.tool_calls if is_settled(step.asked.get(call["id"]))}
        return [stored.get(call["id"], call) for call in self.folded().tool_calls.get(step.id, [])]

    def _count_pieces(self, written: str, folded: Folded) -> Usage:
        """Count a model call that was cut, of which no engine told the tokens, by the pieces that came of it."""
        spent = Usage(0, folded.pieces[written])
        self.count(spent)
        return spent

    def _close_message(self, step: RunStep, incomplete_reason: str | None) -> None:
        content = self.folded().content.get(step.message_id) or [threads.text_part("")]
        message = threads.close_message(step.message_id, content=content, incomplete_reason=incomplete_reason)
        if message is None:
            return
        type = events.MESSAGE_COMPLETED if incomplete_reason is None else events.MESSAGE_INCOMPLETE
        self.log.append(self.run, type, render_message(message))

    def close_step(self, step: RunStep, status: Step, *, spent: Usage | None = None) -> None:
        step.status = status
        setattr(step, STEP_TIMES[status], now())
        if spent is not None:
            step.usage = usage_json(spent)
        step.save()
        payload = render_step(self.run, step)
        if status == Step.COMPLETED:  # the service showed it there, and only there
            payload["expires_at"] = unix(step.expires_at)
        self.log.append(self.run, events.STEP_PREFIX + status, payload)


_NOT_FOLDED = (events.STEP_IN_PROGRESS, events.MESSAGE_IN_PROGRESS)


def _counted(pieces: int) -> dict[str, int]:
    """What an event keeps for :mod:`runs.fold` and no client sees."""
    return {"pieces": pieces} if pieces != 1 else {}


def _step_error(last_error: dict[str, str] | None) -> dict[str, str] | None:
    """A run's error as its step's: the contract has no ``invalid_prompt`` there."""
    if last_error and last_error["code"] == "invalid_prompt":
        return {**last_error, "code": "server_error"}
    return last_error


def usage_json(spent: Usage) -> dict[str, Any]:
    return usage(spent.prompt_tokens, spent.completion_tokens, spent.cached_tokens, spent.reasoning_tokens)
