"""Answers in parts. One that broke off and was gone on with is several messages, which stay as they are; and one answer
to whoever reads it: a model, a person, a file that is taken along.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from threads.models import Message

MOST_PARTS = 50  # of one answer


def goes_on(message: Message, before: Message) -> bool:
    """Whether a message is one answer with the one that stands right before it."""
    return message.goes_on_with is not None and message.goes_on_with == (before.copied_from or before.pk)


def parts_of(message: Message) -> list[Message]:
    """The answer up to a message: those that it goes on with, and itself, in order. A query for each of them."""
    parts = [message]
    said = Message.objects.of_thread(message.thread_id).order_by("-position")
    while parts[0].goes_on_with is not None and len(parts) < MOST_PARTS:
        before = said.filter(position__lt=parts[0].position).first()
        if before is None or not goes_on(parts[0], before):
            break  # it was deleted
        parts.insert(0, before)
    return parts


def in_answers(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """Messages that follow each other, those together that are one answer."""
    parts: list[Message] = []
    for message in messages:
        if parts and (len(parts) == MOST_PARTS or not goes_on(message, parts[-1])):
            yield parts
            parts = []
        parts.append(message)
    if parts:
        yield parts


def joined(parts: Sequence[Message]) -> Message:
    """One message that says what its parts do, for readers: it is not to be saved.

    It is the last part, as which it ended, begun when the first one was.
    """
    if len(parts) == 1:
        return parts[0]
    whole = copy.copy(parts[-1])
    whole.created_at = parts[0].created_at
    whole.redacted_at = next((part.redacted_at for part in parts if part.redacted_at), None)
    whole.attachments = [attachment for part in parts for attachment in part.attachments]
    whole.content = []
    for part in parts:
        whole.content = _joined(whole.content, part.content)
    return whole


def _joined(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A text goes on in the text behind it."""
    if not (before and after and before[-1]["type"] == after[0]["type"] == "text"):
        return [*before, *after]
    first, second = before[-1]["text"], after[0]["text"]
    moved = [_moved(annotation, len(first["value"])) for annotation in second.get("annotations") or ()]
    text = {"value": first["value"] + second["value"], "annotations": [*(first.get("annotations") or ()), *moved]}
    return [*before[:-1], {"type": "text", "text": text}, *after[1:]]


def _moved(annotation: Any, by: int) -> Any:
    """:param by: code points."""
    places = {name: annotation[name] + by for name in ("start_index", "end_index") if name in annotation}
    return {**annotation, **places}
