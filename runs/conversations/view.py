"""What a model sees of a conversation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import orjson

from inference import gateway
from runs.configuration import AUTO_TRUNCATION, cut_of
from runs.conversations.models import Compression, Conversation
from runs.models import Run
from runs.services.again import marked_in
from threads import context
from threads.context import Window

BEFORE_ANY_RUN: dict[str, Any] = {"truncation_strategy": AUTO_TRUNCATION, "instructions": "", "tools": []}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextView:
    """What the model would see of a conversation now. The thread itself holds all of it, always.

    :ivar messages: how many the thread has.
    :ivar shown_from: the oldest message of those that are seen word for word up to the newest one.
    :ivar opening: the thread's first message, where it is seen although what follows it is not.
    :ivar cut: how the rest is made up for: ``summary``, ``pruning``, or ``None`` where all is seen.
    :ivar summary: what stands for the messages that were summed up, as the model is shown it; empty without one.
    :ivar summarised: how many are in the summary.
    :ivar left_out: how many are seen neither word for word nor in a summary.
    :ivar tokens: what all that is seen takes, estimated.
    """

    messages: int
    shown_from: str | None
    opening: str | None = None
    cut: str | None = None
    summary: str = ""
    summarised: int = 0
    left_out: int = 0
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a conversation has to fit into: as it is set now, for a model as its last run had it.

    :ivar model: ``None`` before the first run.
    :ivar context_length: the model's, in tokens.
    :ivar reserved: bytes that are sent besides.
    :ivar cut: as :func:`threads.context.window` takes it.
    """

    model: str | None
    context_length: int
    reserved: int
    cut: dict[str, Any]

    @property
    def room(self) -> float:
        """In bytes."""
        return max(1.0, context.room_of(self.context_length, None, self.reserved, self.cut["window_tokens"]))

    @property
    def most(self) -> float:
        """How many messages are shown word for word."""
        truncation = self.cut["truncation"]
        return truncation["last_messages"] if truncation["type"] == "last_messages" else math.inf


def window_of(conversation: Conversation) -> Window:
    """What a run that began now would be shown, less what is said by then."""
    frame = frame_of(conversation)
    return context.window(
        thread_id=conversation.thread_id,
        before_run="",
        context_length=frame.context_length,
        reserved=frame.reserved,
        without=marked_in(conversation.thread_id).superseded,
        **frame.cut,
    )


def view_of(conversation: Conversation) -> ContextView:
    """Some queries, of which one counts the thread's messages: not for lists."""
    window = window_of(conversation)
    summary, rows = window.summary, window.rows
    usable = context.usable(conversation.thread_id)
    sayable = usable.exclude(run_id__in=marked_in(conversation.thread_id).superseded)
    messages = usable.count()
    summarised = sayable.filter(position__lte=summary.up_to).count() if summary is not None else 0
    left_out = max(0, sayable.count() - summarised - len(rows))
    unbroken = rows[1:] if window.has_opening and left_out else rows
    return ContextView(
        messages=messages,
        shown_from=unbroken[0].id if unbroken else None,
        opening=rows[0].id if unbroken is not rows else None,
        cut=Compression.SUMMARY.value if summary else Compression.PRUNING.value if left_out else None,
        summary=window.earlier,
        summarised=summarised,
        left_out=left_out,
        tokens=math.ceil(window.size / context.BYTES_PER_TOKEN),
    )


def frame_of(conversation: Conversation) -> Frame:
    runs = Run.objects.filter(thread_id=conversation.thread_id).select_related("configuration")
    run: Run | None = runs.order_by("-created_at", "-id").first()
    configuration = run.configuration.data if run is not None else BEFORE_ANY_RUN
    set_now = {"compression": conversation.compression, "window_tokens": conversation.window_tokens}
    length = None
    if run is not None:
        length = gateway.availability(run.model, project_id=run.project_id).capabilities.context_length
    return Frame(
        model=run.model if run is not None else None,
        context_length=length or context.DEFAULT_CONTEXT_LENGTH,
        reserved=len(configuration["instructions"].encode()) + len(orjson.dumps(configuration["tools"])),
        cut=cut_of({**configuration, "conversation": set_now}),
    )
