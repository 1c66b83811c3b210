"""Which messages of a thread a model gets to see."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from inference import pictures
from threads import answers, summaries
from threads.models import Message, ThreadSummary
from threads.querysets import MessageQuerySet

BYTES_PER_TOKEN = 3  # of UTF-8, a cautious estimate for any script: the engine's own tokenizer decides in the end
PROMPT_SHARE = 0.75  # of the context; the rest is the answer's
OPENING_SHARE = 0.25  # of the prompt, that a thread's first message may take where those behind it are dropped
SUMMARY_SHARE = 0.5  # of the room for a thread, that a summary of its beginning may take
DEFAULT_CONTEXT_LENGTH = 8_192  # tokens, where the engine does not say
FIRST_CHUNK = 5  # messages read at once, and twice as many each time: one may be as large as a request's body
CHUNK = 100  # and never more


@dataclass(frozen=True, slots=True)
class Past:
    """A thread as it was: up to the message at a position, with the summaries that there were at a moment."""

    position: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a model sees of a thread.

    :ivar rows: the messages that it sees word for word, oldest first.
    :ivar has_opening: the first of them is the thread's first, and what follows it there is left out.
    :ivar summary: what stands in the place of the messages before them.
    :ivar earlier: its text, as the model is shown it.
    """

    rows: Sequence[Message]
    has_opening: bool = False
    summary: ThreadSummary | None = None
    earlier: str = ""

    @property
    def messages(self) -> list[dict[str, Any]]:
        """As chat messages ``{"role", "content"}``, of which those that are one answer are one."""
        return [as_chat_message(answers.joined(parts)) for parts in answers.in_answers(self.rows)]

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.earlier.encode()) + sum(size_of(message) for message in self.rows)


def window(
    *,
    thread_id: str,
    before_run: str,
    truncation: dict[str, Any],
    context_length: int | None,
    prompt_budget: int | None = None,
    reserved: int = 0,
    window_tokens: int | None = None,
    is_summed_up: bool = False,
    past: Past | None = None,
    without: Collection[str] = (),
) -> Window:
    """The messages that fit; the newest is always there.

    ``auto`` drops from the middle: the thread's first message says what it is about, and stays where it is short.
    Where there is a summary to be shown, it says that too, and stands for all that is before the messages behind it.

    :param before_run: the run that will answer; its own messages are not part of the window.
    :param truncation: the run's ``truncation_strategy``; ``last_messages`` gives the newest so many, if they fit.
    :param context_length: the engine's, in tokens.
    :param prompt_budget: what the run may still send, in tokens.
    :param reserved: bytes that are sent besides (instructions, tools, the run's own turns).
    :param window_tokens: what the thread may take of a prompt, whatever room there is.
    :param is_summed_up: what does not fit is told by the thread's summary, if there is one.
    :param past: the thread as it was then, as far as nothing of it was deleted; else as it is.
    :param without: ids of messages that are no part of it either, and of runs with all of theirs.
    """
    room = room_of(context_length, prompt_budget, reserved, window_tokens)
    limit = truncation.get("last_messages") if truncation.get("type") == "last_messages" else None
    chosen: list[Message] = []
    left = room
    for message in newest_first(thread_id, before_run, past.position if past else None, without):
        left -= size_of(message)
        if (limit is not None and len(chosen) >= limit) or (chosen and left < 0):
            break
        chosen.append(message)
    else:
        return Window(rows=chosen[::-1])
    if is_summed_up and (summary := summaries.newest(thread_id, past.at if past else None)) is not None:
        return _after(summary, chosen, room)
    has_opening = limit is None and _keep_opening(chosen, thread_id, {before_run, *without}, room)
    return Window(rows=chosen[::-1], has_opening=has_opening)


def _after(summary: ThreadSummary, newest: Sequence[Message], room: float) -> Window:
    """What fits of ``newest`` (first the newest) beside the summary and is not in it."""
    earlier = summaries.shown(summary, room * SUMMARY_SHARE)
    left = room - len(earlier.encode())
    chosen: list[Message] = []
    for message in newest:
        left -= size_of(message)
        if chosen and (left < 0 or message.position <= summary.up_to):
            break
        chosen.append(message)
    return Window(rows=chosen[::-1], summary=summary, earlier=earlier)


def room_of(
    context_length: int | None, prompt_budget: int | None = None, reserved: int = 0, window_tokens: int | None = None
) -> float:
    """How much of a thread a prompt may hold, in bytes. The parameters are those of :func:`window`."""
    tokens = (context_length or DEFAULT_CONTEXT_LENGTH) * PROMPT_SHARE
    room = (tokens if prompt_budget is None else min(tokens, prompt_budget)) * BYTES_PER_TOKEN - reserved
    return room if window_tokens is None else min(room, window_tokens * BYTES_PER_TOKEN)


def _keep_opening(chosen: list[Message], thread_id: str, without: Collection[str], room: float) -> bool:
    """Make room for the thread's first message, at the cost of the oldest of those ``chosen`` (newest first)."""
    said = usable(thread_id).exclude(run_id__in=without).exclude(pk__in=without)
    opening = said.order_by("position").first()
    if opening is None or size_of(opening) > room * OPENING_SHARE:
        return False
    left = room - sum(size_of(message) for message in (opening, *chosen))
    while left < 0 and len(chosen) > 1:
        left += size_of(chosen.pop())
    chosen.append(opening)
    return True


def size_of(message: Message) -> int:
    return len(message.text.encode())


def usable(thread_id: str) -> MessageQuerySet:
    """The messages that nobody is writing any more."""
    return Message.objects.of_thread(thread_id).exclude(status=Message.Status.IN_PROGRESS)


def newest_first(
    thread_id: str, before_run: str, up_to: int | None = None, without: Collection[str] = ()
) -> Iterator[Message]:
    """Chunk by chunk, so that a run in a thread of 100,000 messages starts as quickly as in a short one.

    :param up_to: the position of the newest one; all of them where nothing is said.
    :param without: as :func:`window` has it.
    """
    hidden = {before_run, *without}
    rows = usable(thread_id).order_by("-position")
    position = None if up_to is None else up_to + 1
    size = FIRST_CHUNK
    while True:
        chunk = list((rows if position is None else rows.filter(position__lt=position))[:size])
        yield from (message for message in chunk if message.run_id not in hidden and message.pk not in hidden)
        if len(chunk) < size:
            return
        position = chunk[-1].position
        size = min(2 * size, CHUNK)


def as_chat_message(message: Message) -> dict[str, Any]:
    """A message as a chat-completions message: plain text where there is nothing but text.

    The pictures that a run's code has drawn are no part of what its model said.
    """
    is_answer = (message.run_id or message.copied_from) is not None and message.role == Message.Role.ASSISTANT
    is_answer = is_answer and bool(message.text)
    if is_answer or all(part["type"] == "text" for part in message.content):
        return {"role": message.role, "content": message.text}
    return {"role": message.role, "content": [_chat_part(part) for part in message.content]}


def _chat_part(part: dict[str, Any]) -> dict[str, Any]:
    """Images go to the engine as data only: it must not be made to fetch an address from inside the house.

    Those that are files are named: whether the model sees them is known when an engine is chosen.
    """
    if part["type"] == "text":
        return {"type": "text", "text": part["text"]["value"]}
    if part["type"] == "image_url" and part["image_url"]["url"].startswith("data:image/"):
        return part
    if part["type"] == pictures.STORED:
        return part
    return {"type": "text", "text": pictures.UNSEEN}
