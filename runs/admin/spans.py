"""Where a run's time went: what it waited for, each model call in its parts, each tool; for a table that is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from assistants.knowledge.embedding import PURPOSE as EMBEDDING
from inference.models import UsageRecord
from runs import events
from runs.models import Run, RunEvent, RunStep, ToolUse
from runs.outcomes import Outcome
from runs.services.past import ended_at
from runs.states import Status
from sovereign.core.visible import visible

WIDTH = 1_000  # of the drawing
THINNEST = 3  # of a bar, however short what it stands for
MOST_SPANS = 200  # rows
PURPOSE, CALL = "run", "Model call"  # of a run's own model calls
STATES = [events.RUN_PREFIX + status for status in Status.values]
SHORTEST = timedelta(milliseconds=1)  # of what is told between two spans
BUILT, STORED = "The prompt is built", "What came of it is stored"
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """
    :ivar kind: ``wait``, ``work``, ``read``, ``write``, ``tool`` or ``failed``: how it is drawn.
    :ivar title: what went on. Names of tools are what models and servers wrote: templates escape them.
    :ivar until: ``None`` while it goes on.
    """

    kind: str
    title: str
    begun: datetime
    until: datetime | None
    detail: str = ""


def spans_of(
    run: Run, steps: Sequence[RunStep], uses: Iterable[ToolUse], calls: Sequence[UsageRecord]
) -> dict[str, Any]:
    """``{"spans": rows, "total": ms, "is_over", "left_out"}``.

    A row has ``kind``, ``title``, ``detail``, ``begins`` and ``lasts`` in ms, ``x`` and ``width`` of its bar.

    :param calls: the model calls, as they were counted; where they are not yet, the steps tell.
    """
    end = ended_at(run)
    states = list(RunEvent.objects.filter(run_id=run.pk, type__in=STATES).order_by("seq"))
    told = [*_waits(run, states), *map(_tool, uses)]
    own = [call for call in calls if call.purpose == PURPOSE]
    told += [span for number, call in enumerate(own, start=1) for span in _call(f"{CALL} {number}", call)]
    told += [span for call in calls if call.purpose != PURPOSE for span in _call(name_of(call), call)]
    if not own:
        told += _written(steps)
    told += list(_between(sorted(told, key=_order), run.created_at, end))
    last = end or timezone.now()
    total = max(1.0, _ms(last - run.created_at))
    rows = [_row(span, run.created_at, last, total) for span in sorted(told, key=_order)]
    return {
        "spans": rows[:MOST_SPANS],
        "left_out": max(0, len(rows) - MOST_SPANS),
        "total": round(total),
        "is_over": end is not None,
    }


def _order(span: Span) -> tuple[datetime, bool]:
    return span.begun, span.until is None


# ------------------------------------------------------------------------------------------------ what went on


def _waits(run: Run, states: Sequence[RunEvent]) -> Iterator[Span]:
    """In the queue, and for what only somebody else could do."""
    for event, following in zip(states, [*states[1:], None], strict=True):
        until = following.created_at if following is not None else None
        if event.type == events.RUN_PREFIX + Status.QUEUED:
            begun = run.created_at if event is states[0] else event.created_at
            reason = following.data.get(events.WAITED_FOR, "") if following is not None else run.waiting_reason
            yield Span(kind="wait", title="Queued", begun=begun, until=until, detail=visible(reason))
        elif event.type == events.RUN_PREFIX + Status.REQUIRES_ACTION:
            title = "Waits for an answer to its calls"
            yield Span(kind="wait", title=title, begun=event.created_at, until=until, detail=_names(event))
        elif event.type == events.RUN_PREFIX + Status.CANCELLING:
            yield Span(kind="wait", title="Being cancelled", begun=event.created_at, until=until)


def _asked_calls(event: RunEvent) -> list[dict[str, Any]]:
    action = event.data.get("required_action") or {}
    calls: list[dict[str, Any]] = action.get("submit_tool_outputs", {}).get("tool_calls", [])
    return calls


def _names(event: RunEvent) -> str:
    return visible(", ".join(dict.fromkeys(call["function"]["name"] for call in _asked_calls(event))))


def _tool(use: ToolUse) -> Span:
    begun = use.created_at - use.milliseconds * MILLISECOND
    outcome = Outcome(use.outcome)
    kind = "tool" if outcome == Outcome.OK else "failed"
    detail = "" if outcome == Outcome.OK else str(outcome.label)
    return Span(kind=kind, title=f"Tool {visible(use.tool)}", begun=begun, until=use.created_at, detail=detail)


def name_of(call: UsageRecord) -> str:
    """Of a call that was not made to answer: by what it was made for."""
    return visible(call.purpose).capitalize() or CALL


def _call(name: str, call: UsageRecord) -> Iterator[Span]:
    """Waiting for a place, reading the prompt until the first token, writing."""
    begun = call.created_at - call.total_ms * MILLISECOND
    sent = begun + min(call.queue_ms, call.total_ms) * MILLISECOND
    if call.queue_ms:
        yield Span(kind="wait", title=f"{name}: waits for a place", begun=begun, until=sent)
    tokens = f"{call.prompt_tokens:,} tokens, {call.cached_tokens:,} of them from the cache"
    if call.purpose == EMBEDDING and call.outcome == "stop":
        detail = f"{call.prompt_tokens:,} tokens"
        yield Span(kind="read", title=name, begun=sent, until=call.created_at, detail=detail)
        return
    if call.first_token_ms is None:
        yield Span(
            kind="failed", title=f"{name}: no token came", begun=sent, until=call.created_at, detail=call.outcome
        )
        return
    first = min(sent + call.first_token_ms * MILLISECOND, call.created_at)
    yield Span(kind="read", title=f"{name}: prompt, until the first token", begun=sent, until=first, detail=tokens)
    written = f"{call.completion_tokens:,} tokens"
    yield Span(kind="write", title=f"{name}: writes", begun=first, until=call.created_at, detail=written)


def _written(steps: Iterable[RunStep]) -> Iterator[Span]:
    """What the steps tell of model calls that are not counted (yet)."""
    for step in steps:
        until = step.completed_at or step.failed_at or step.cancelled_at or step.expired_at
        if step.type == RunStep.Type.MESSAGE_CREATION:
            yield Span(kind="write", title="Writes a message", begun=step.created_at, until=until)


def _between(spans: Sequence[Span], start: datetime, end: datetime | None) -> Iterator[Span]:
    """What went on where nothing else did: prompts are built of rows, and what came of a call becomes rows."""
    reached: datetime | None = start
    for span in spans:
        if reached is not None and span.begun - reached >= SHORTEST:
            yield Span(kind="work", title=_work_before(span), begun=reached, until=span.begun)
        reached = None if reached is None or span.until is None else max(reached, span.until)
    if spans and end is not None and reached is not None and end - reached >= SHORTEST:
        yield Span(kind="work", title=STORED, begun=reached, until=end)


def _work_before(span: Span) -> str:
    return BUILT if span.title.startswith(CALL) else STORED


# ------------------------------------------------------------------------------------------------ how it is drawn


def _row(span: Span, start: datetime, last: datetime, total: float) -> dict[str, Any]:
    begins = min(max(0.0, _ms(span.begun - start)), total)
    until = span.until if span.until is not None else last
    lasts = min(max(0.0, _ms(until - span.begun)), total - begins)
    width = max(THINNEST, lasts / total * WIDTH)
    return {
        "kind": span.kind,
        "title": span.title,
        "detail": span.detail,
        "begins": round(begins),
        "lasts": round(lasts),
        "is_open": span.until is None,
        "x": round(min(begins / total * WIDTH, WIDTH - width), 1),
        "width": round(width, 1),
    }


def _ms(span: timedelta) -> float:
    return span / MILLISECOND
