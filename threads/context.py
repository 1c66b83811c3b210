"""Which messages of a thread a model gets to see."""

from __future__ import annotations

from typing import Any

from threads.models import Message

CHARACTERS_PER_TOKEN = 3  # a cautious estimate: the engine's own tokenizer decides in the end
PROMPT_SHARE = 0.75  # of the context; the rest is the answer's
DEFAULT_CONTEXT_LENGTH = 8_192  # tokens, where the engine does not say
UNSEEN_IMAGE = "[An image at an address that the model was not shown.]"
CHUNK = 100  # messages read at once


def window(
    *,
    thread_id: str,
    before_run: str,
    truncation: dict[str, Any],
    context_length: int | None,
    prompt_budget: int | None = None,
    reserved: str = "",
) -> list[dict[str, Any]]:
    """The newest messages that fit, oldest first, as chat messages ``{"role", "content"}``.

    :param before_run: the run that will answer; its own messages are not part of the window.
    :param truncation: the run's ``truncation_strategy``; ``last_messages`` bounds the number of messages.
    :param context_length: the engine's, in tokens.
    :param prompt_budget: what the run may still send, in tokens.
    :param reserved: text that is sent besides the messages (instructions), counted against the budget.
    """
    tokens = (context_length or DEFAULT_CONTEXT_LENGTH) * PROMPT_SHARE
    if prompt_budget is not None:
        tokens = min(tokens, prompt_budget)
    budget = tokens * CHARACTERS_PER_TOKEN - len(reserved)
    limit = truncation.get("last_messages") if truncation.get("type") == "last_messages" else None
    chosen: list[dict[str, Any]] = []
    for message in _newest_first(thread_id, before_run):
        chat = as_chat_message(message)
        budget -= len(message.text)
        if chosen and (budget < 0 or (limit is not None and len(chosen) >= limit)):
            break
        chosen.append(chat)
    chosen.reverse()
    return chosen


def _newest_first(thread_id: str, before_run: str) -> Any:
    """Chunk by chunk, so that a run in a thread of 100,000 messages starts as quickly as in a short one."""
    rows = Message.objects.of_thread(thread_id).exclude(status=Message.Status.IN_PROGRESS).order_by("-position")
    position: int | None = None
    while True:
        chunk = list((rows if position is None else rows.filter(position__lt=position))[:CHUNK])
        yield from (message for message in chunk if message.run_id != before_run)
        if len(chunk) < CHUNK:
            return
        position = chunk[-1].position


def as_chat_message(message: Message) -> dict[str, Any]:
    """A message as a chat-completions message: plain text where there is nothing but text."""
    if all(part["type"] == "text" for part in message.content):
        return {"role": message.role, "content": message.text}
    return {"role": message.role, "content": [_chat_part(part) for part in message.content]}


def _chat_part(part: dict[str, Any]) -> dict[str, Any]:
    """Images go to the engine as data only: it must not be made to fetch an address from inside the house."""
    if part["type"] == "text":
        return {"type": "text", "text": part["text"]["value"]}
    if part["type"] == "image_url" and part["image_url"]["url"].startswith("data:image/"):
        return part
    return {"type": "text", "text": UNSEEN_IMAGE}
