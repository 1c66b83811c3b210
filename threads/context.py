"""Which messages of a thread a model gets to see."""

from __future__ import annotations

from typing import Any

from inference import pictures
from threads.models import Message

BYTES_PER_TOKEN = 3  # of UTF-8, a cautious estimate for any script: the engine's own tokenizer decides in the end
PROMPT_SHARE = 0.75  # of the context; the rest is the answer's
OPENING_SHARE = 0.25  # of the prompt, that a thread's first message may take where those behind it are dropped
DEFAULT_CONTEXT_LENGTH = 8_192  # tokens, where the engine does not say
FIRST_CHUNK = 5  # messages read at once, and twice as many each time: one may be as large as a request's body
CHUNK = 100  # and never more


def window(
    *,
    thread_id: str,
    before_run: str,
    truncation: dict[str, Any],
    context_length: int | None,
    prompt_budget: int | None = None,
    reserved: int = 0,
) -> list[dict[str, Any]]:
    """The messages that fit, oldest first, as chat messages ``{"role", "content"}``; the newest is always there.

    ``auto`` drops from the middle: the thread's first message says what it is about, and stays where it is short.

    :param before_run: the run that will answer; its own messages are not part of the window.
    :param truncation: the run's ``truncation_strategy``; ``last_messages`` gives the newest so many, if they fit.
    :param context_length: the engine's, in tokens.
    :param prompt_budget: what the run may still send, in tokens.
    :param reserved: bytes that are sent besides (instructions, tools, the run's own turns).
    """
    room = _room(context_length, prompt_budget) - reserved
    limit = truncation.get("last_messages") if truncation.get("type") == "last_messages" else None
    chosen: list[Message] = []
    left = room
    for message in _newest_first(thread_id, before_run):
        if limit is not None and len(chosen) >= limit:
            break
        left -= _size(message)
        if chosen and left < 0:
            if limit is None:
                _keep_opening(chosen, thread_id, before_run, room)
            break
        chosen.append(message)
    return [as_chat_message(message) for message in reversed(chosen)]


def _room(context_length: int | None, prompt_budget: int | None) -> float:
    """How much a prompt may be, in bytes."""
    tokens = (context_length or DEFAULT_CONTEXT_LENGTH) * PROMPT_SHARE
    return (tokens if prompt_budget is None else min(tokens, prompt_budget)) * BYTES_PER_TOKEN


def _keep_opening(chosen: list[Message], thread_id: str, before_run: str, room: float) -> None:
    """Make room for the thread's first message, at the cost of the oldest of those ``chosen`` (newest first)."""
    opening = _usable(thread_id).exclude(run_id=before_run).order_by("position").first()
    if opening is None or _size(opening) > room * OPENING_SHARE:
        return
    left = room - sum(_size(message) for message in (opening, *chosen))
    while left < 0 and len(chosen) > 1:
        left += _size(chosen.pop())
    chosen.append(opening)


def _size(message: Message) -> int:
    return len(message.text.encode())


def _usable(thread_id: str) -> Any:
    return Message.objects.of_thread(thread_id).exclude(status=Message.Status.IN_PROGRESS)


def _newest_first(thread_id: str, before_run: str) -> Any:
    """Chunk by chunk, so that a run in a thread of 100,000 messages starts as quickly as in a short one."""
    rows = _usable(thread_id).order_by("-position")
    position: int | None = None
    size = FIRST_CHUNK
    while True:
        chunk = list((rows if position is None else rows.filter(position__lt=position))[:size])
        yield from (message for message in chunk if message.run_id != before_run)
        if len(chunk) < size:
            return
        position = chunk[-1].position
        size = min(2 * size, CHUNK)


def as_chat_message(message: Message) -> dict[str, Any]:
    """A message as a chat-completions message: plain text where there is nothing but text.

    The pictures that a run's code has drawn are no part of what its model said.
    """
    is_answer = message.run_id is not None and bool(message.text)
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
