"""What a run did, for its page: its steps with their tool calls, and its events in time. The template escapes all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from inference.models import UsageRecord
from runs import events
from runs.admin.calls import described_calls
from runs.admin.figures import described_calls_of, parameters
from runs.admin.spans import spans_of
from runs.models import Run, RunEvent, RunStep, ToolUse
from runs.states import Status
from sovereign.core.visible import visible
from threads.models import Message

EVENTS_READ = 5_000  # rows; deltas in a row are shown as one
CALLS_READ = 500  # model calls


def seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.2f} s"


def inspection(run: Run, *, shows_cost: bool = False) -> dict[str, Any]:
    """Where its time went, model calls, steps, the grouped events and the frozen configuration.

    :param shows_cost: what the model calls cost is told.
    """
    log = list(RunEvent.objects.after(run.pk, 0)[:EVENTS_READ])
    uses = {use.call_id: use for use in ToolUse.objects.filter(run_id=run.pk)}
    steps = list(RunStep.objects.of_run(run.pk).order_by("position"))
    messages = Message.objects.of_thread(run.thread_id).filter(run_id=run.pk)
    said = {message.pk: message.text for message in messages}
    calls = list(UsageRecord.objects.filter(run_id=run.pk).order_by("created_at", "id")[:CALLS_READ])
    return {
        "spans": spans_of(run, steps, uses.values(), calls),
        "model_calls": described_calls_of(calls, shows_cost=shows_cost),
        "parameters": parameters(run.configuration.data),
        "steps": [described(step, run, uses, said.get(_message_of(step), "")) for step in steps],
        "timeline": timeline(log, run.created_at),
        "has_more_events": len(log) == EVENTS_READ,
        "configuration": json.dumps(run.configuration.data, indent=2, ensure_ascii=False),
    }


def _message_of(step: RunStep) -> str:
    return step.message_id if step.type == RunStep.Type.MESSAGE_CREATION else ""


def described(step: RunStep, run: Run, uses: dict[str, ToolUse], text: str = "") -> dict[str, Any]:
    """:param text: of the message that it wrote."""
    ended = step.completed_at or step.failed_at or step.cancelled_at or step.expired_at
    return {
        "id": step.pk,
        "kind": step.get_type_display(),
        "status": step.get_status_display(),
        "begun": seconds(step.created_at - run.created_at),
        "lasted": seconds(ended - step.created_at) if ended else "",
        "error": (step.last_error or {}).get("message", ""),
        "text": visible(text),
        "calls": described_calls(step, uses),
        "usage": step.usage,
    }


def timeline(log: Iterable[RunEvent], begun: datetime) -> list[dict[str, Any]]:
    """Rows of ``{"at", "seq", "type", "detail", "is_delta"}``; deltas that follow one another are one row."""
    rows = []
    for is_delta, group in groupby(log, key=lambda event: event.type.endswith(".delta")):
        if is_delta:
            rows.append(_deltas(list(group), begun))
        else:
            rows += [_row(event, begun, _detail(event)) for event in group]
    return rows


def _row(event: RunEvent, begun: datetime, detail: str) -> dict[str, Any]:
    at = max(0.0, (event.created_at - begun).total_seconds())
    short = event.type.removeprefix("thread.")
    return {"at": f"{at:.3f} s", "seq": str(event.seq), "type": short, "detail": detail, "is_delta": False}


def _deltas(group: list[RunEvent], begun: datetime) -> dict[str, Any]:
    first, last = group[0], group[-1]
    texts = [text for event in group for text in _written(event)]
    lasted = (last.created_at - first.created_at).total_seconds()
    detail = f"{len(group)} deltas, {sum(map(len, texts))} characters in {lasted:.2f} s"
    return {**_row(first, begun, detail), "seq": f"{first.seq} to {last.seq}", "is_delta": True}


def _written(event: RunEvent) -> Iterable[str]:
    """What a delta adds: to a message, to what a tool is asked, or to what it tells."""
    for part in event.data.get("content", []):
        yield part.get("text", {}).get("value", "")
    for call in event.data.get("tool_calls", []):
        code = call.get("code_interpreter", {})
        yield call.get("function", {}).get("arguments", "")
        yield code.get("input", "")
        yield from (output.get("logs", "") for output in code.get("outputs", []))


def _detail(event: RunEvent) -> str:
    data = event.data
    if event.type in (events.RUN_CREATED, events.RUN_PREFIX + Status.QUEUED):
        return str(data.get("status_details") or "")
    if error := data.get("last_error"):
        return str(error.get("message", ""))
    if event.type.startswith(events.STEP_PREFIX):
        return str(data.get("type", "")).replace("_", " ")
    return str((data.get("incomplete_details") or {}).get("reason", ""))
