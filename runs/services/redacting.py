"""What runs keep of a message that is redacted: their events and their tool calls.

What a model asks tools, and what they tell it, is made of what was said to it. So a redacted question takes the calls
of its answers with it, and a redacted answer its own. That calls were made, of which tools and when, stays. So do those
of runs of other threads that found the message by ``search_threads``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import orjson
from django.db.models import TextField
from django.db.models.functions import Cast

from runs import asked, events
from runs.models import Run, RunEvent, RunStep, ToolUse
from runs.tools.search_threads import SearchThreads
from sovereign.core.errors import ApiError
from threads.models import Message
from threads.redaction import MARK, redacted_parts

CODE = "code_interpreter"
AT_ONCE = 500  # events
#: between a question's instant and that of a run that was asked it in the same request, which is made first
TOGETHER = timedelta(seconds=1)
MESSAGES = (events.MESSAGE_CREATED, events.MESSAGE_IN_PROGRESS, events.MESSAGE_COMPLETED, events.MESSAGE_INCOMPLETE)


def redact_runs_of(message: Message) -> list[str]:
    """Take a message's words out of its runs. Its thread is locked, and none of them is active.

    :returns: the ids of the runs.
    """
    runs = Run.objects.filter(pk__in=_runs_of(message), thread_id=message.thread_id).order_by("id")
    found = list(runs.select_for_update(no_key=True).values_list("id", flat=True))
    for run_id in found:
        for step in RunStep.objects.of_run(run_id).filter(type=RunStep.Type.TOOL_CALLS):
            _redact_step(step)
        _redact_events(run_id, lambda event: _data(event, message.id))
    return found


def told_in(message: Message) -> Iterator[list[str]]:
    """Answers with its runs, as far as they tell what functions were asked."""
    yield from ([run_id, '"required_action":{'] for run_id in _runs_of(message))


def redact_findings_of(message: Message) -> list[str]:
    """Take a message's words out of the calls of other runs that searched for them, and found it.

    :returns: the ids of the runs.
    :raises ApiError: 400, one of them is active: its model has read the message, and it still writes.
    """
    steps = [step for step in _searches(message) if any(_has_found(call, message) for call in step.tool_calls)]
    runs = Run.objects.filter(pk__in={step.run_id for step in steps}).order_by("id").select_for_update(no_key=True)
    for run in runs:
        if not run.is_over:
            raise ApiError(
                f"Can't redact this message while the run {run.pk} is active, which has found it. Cancel it or wait.",
                code="run_active",
            )
    for step in steps:
        _redact_step(step)
        _redact_events(step.run_id, lambda event, step_id=step.pk: _of_step(event, step_id))  # type: ignore[misc]
    return sorted({step.run_id for step in steps})


def _searches(message: Message) -> Iterator[RunStep]:
    """The steps that searched threads since the message was there, and say something of its thread."""
    uses = ToolUse.objects.filter(
        project_id=message.project_id, kind=SearchThreads.kind, created_at__gte=message.created_at
    )
    steps = RunStep.objects.filter(pk__in=uses.values("step_id")).annotate(said=Cast("step_details", TextField()))
    yield from steps.filter(said__contains=message.thread_id)


def _has_found(call: dict[str, Any], message: Message) -> bool:
    """Whether what a search told is a part of the message."""
    try:
        told = orjson.loads(call[call["type"]].get("output") or "{}")
    except orjson.JSONDecodeError:  # another tool's, or cut
        return False
    quoted = told.get("messages") if isinstance(told, dict) else None
    return isinstance(quoted, list) and any(_is_part(one, message) for one in quoted)


def _is_part(quoted: Any, message: Message) -> bool:
    if not isinstance(quoted, dict) or quoted.get("thread_id") != message.thread_id:
        return False
    return quoted.get("role") == message.role and str(quoted.get("text", "")).strip("…") in message.text


def _runs_of(message: Message) -> list[str]:
    """Those that wrote it, or answered it."""
    return [message.run_id] if message.run_id else list(_answering(message))


def _answering(message: Message) -> Iterator[str]:
    """The runs that answered a message: those whose messages follow it before somebody says something new, and those
    without a message that were made in that time."""
    behind = Message.objects.of_thread(message.thread_id).filter(position__gt=message.position).order_by("position")
    first = behind.filter(run_id__isnull=False).first()
    following = behind.filter(role=Message.Role.USER)
    until = following.filter(position__gt=first.position).first() if first else None
    answers = behind.filter(run_id__isnull=False)
    if until is not None:
        answers = answers.filter(position__lt=until.position)
    yield from dict.fromkeys(answers.values_list("run_id", flat=True))
    silent = Run.objects.filter(thread_id=message.thread_id, created_at__gte=message.created_at - TOGETHER)
    if until is not None:
        silent = silent.filter(created_at__lt=until.created_at)
    spoke = Message.objects.of_thread(message.thread_id).filter(run_id__isnull=False)
    yield from silent.exclude(pk__in=spoke.values("run_id")).values_list("id", flat=True)


def _redact_step(step: RunStep) -> None:
    step.step_details = {**step.step_details, "tool_calls": [_whole(call) for call in step.tool_calls]}
    step.asked = {call_id: _entry(entry) for call_id, entry in step.asked.items()}
    step.save(update_fields=["step_details", "asked"])


def _redact_events(run_id: str, without: Callable[[RunEvent], dict[str, Any]]) -> None:
    """:param without: what an event says, without the words."""
    seq = 0
    while log := list(RunEvent.objects.after(run_id, seq)[:AT_ONCE]):
        seq = log[-1].seq
        changed = []
        for event in log:
            data = without(event)
            if data != event.data:
                event.data = data
                changed.append(event)
        RunEvent.objects.bulk_update(changed, ["data"])


def _of_step(event: RunEvent, step_id: str) -> dict[str, Any]:
    """As :func:`_data`, of one step's calls."""
    data: dict[str, Any] = event.data
    if event.type.startswith(events.STEP_PREFIX) and data["id"] == step_id:
        return _data(event, "")
    return data


def _data(event: RunEvent, message_id: str) -> dict[str, Any]:
    """What an event says, without the words. The lengths of its parts are gone, too."""
    data: dict[str, Any] = event.data
    if event.type == events.STEP_DELTA:
        return {**data, "tool_calls": [_piece(call) for call in data["tool_calls"]]}
    if event.type == events.MESSAGE_DELTA:
        nothing = {"index": 0, "type": "text", "text": {"value": ""}}
        return {**data, "content": [nothing]} if data["id"] == message_id else data
    if event.type in MESSAGES:
        return _message(data) if data["id"] == message_id else data
    if event.type.startswith(events.STEP_PREFIX) and "tool_calls" in data["step_details"]:
        calls = [_whole(call) for call in data["step_details"]["tool_calls"]]
        return {**data, "step_details": {**data["step_details"], "tool_calls": calls}}
    if wanted := data.get("required_action"):
        outputs = wanted["submit_tool_outputs"]
        calls = [_whole(call) for call in outputs["tool_calls"]]
        return {**data, "required_action": {**wanted, "submit_tool_outputs": {**outputs, "tool_calls": calls}}}
    return data


def _message(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "content": redacted_parts(data["content"]), "attachments": []}


def _whole(call: dict[str, Any]) -> dict[str, Any]:
    """A call as it stands in a step."""
    kind, work = call["type"], call[call["type"]]
    if "arguments" in work:
        output = {"output": MARK if work["output"] is not None else None} if "output" in work else {}
        return {**call, kind: {**work, "arguments": "{}", **output}}
    if kind == CODE:
        outputs = [{"type": "logs", "logs": MARK}] if work.get("outputs") else []
        return {**call, kind: {**work, "input": MARK, "outputs": outputs}}
    if "results" in work:
        results = [{name: value for name, value in one.items() if name != "content"} for one in work["results"]]
        return {**call, kind: {**work, "results": results}}
    return call


def _piece(call: dict[str, Any]) -> dict[str, Any]:
    """A call as it is told bit by bit: that there was a bit stays."""
    kind = call["type"]
    work = {name: _emptied(name, value) for name, value in call[kind].items()}
    return {**call, kind: work}


def _emptied(name: str, value: Any) -> Any:
    if name in ("arguments", "input", "output"):
        return value and ""
    return [] if name in ("outputs", "results") else value


def _entry(entry: asked.Entry) -> asked.Entry:
    """What is kept of a call besides. Code's session and files stay known: later code goes on with them."""
    stays = asked.KEPT if entry.get("kind") == CODE else ""
    left = {name: value for name, value in entry.items() if name not in {asked.KEPT, "request", "reason"} - {stays}}
    return {**left, "arguments": {}}
