"""How much of its context a model has used for a thread, and what it reads no longer."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from inference import gateway
from runs.configuration import SUMMARY, cut_of
from runs.models import Run, RunStep
from runs.services import again
from threads import context

LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """
    :ivar used: tokens of the newest model call, prompt and answer together.
    :ivar length: the model's context in tokens; ``None`` where its engine does not say.
    :ivar cut: how what the next call has no room for is made up for: ``summary``, ``left_out``, or ``None`` where it
        has room for all.
    """

    used: int
    length: int | None
    cut: str | None

    @property
    def percent(self) -> int | None:
        """Of the context, at most 100: a model may have been exchanged for a smaller one."""
        return None if self.length is None else min(100, round(100 * self.used / self.length))


def room_in(thread_id: str) -> Room | None:
    """``None`` before a first answer. Reads as many messages as a model call does: to be asked once an answer."""
    answered = Run.objects.filter(thread_id=thread_id, prompt_tokens__gt=0).select_related("configuration")
    run: Run | None = answered.order_by("-created_at", "-id").first()
    if run is None:
        return None
    length = gateway.promised(run.model, project_id=run.project_id).context_length
    return Room(used=_used(run), length=length, cut=_cut(run, length))


def _used(run: Run) -> int:
    """By its last step that says so: a run's own numbers are those of all its calls together."""
    for step in RunStep.objects.filter(run=run).order_by("-position")[:5]:
        if step.usage:
            return int(step.usage.get("total_tokens") or 0)
    return run.prompt_tokens + run.completion_tokens


def _cut(run: Run, length: int | None) -> str | None:
    """As ``worker.conversation`` would cut the thread now."""
    configuration = run.configuration.data
    sent = len(configuration["instructions"].encode()) + len(orjson.dumps(configuration["tools"]))
    superseded = again.marked_in(run.thread_id).superseded
    window = context.window(
        thread_id=run.thread_id,
        before_run="",
        context_length=length,
        reserved=sent,
        without=superseded,
        **cut_of(configuration),
    )
    if window.summary is not None:
        return SUMMARY
    return LEFT_OUT if context.usable(run.thread_id).exclude(run_id__in=superseded).count() > len(window.rows) else None
