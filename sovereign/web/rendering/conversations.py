"""What is said as pages show it: all of it where nothing is written (printed, or shared), bit by bit elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import Any

from django.utils.safestring import SafeString, mark_safe

from sovereign.web.rendering.messages import is_cached, rendered_texts
from threads.answers import joined, parts_of
from threads.models import Message


@dataclass(frozen=True, slots=True)
class Part:
    """A text, or else an image."""

    html: SafeString | None = None
    image_id: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A message as such a page shows it."""

    id: str
    is_answer: bool
    by: str  # the assistant's name, where the page tells it
    at: datetime
    is_whole: bool
    parts: list[Part]
    files: list[str] = field(default_factory=list)  # the names of its attachments, where the page tells them


def shown(
    messages: Iterable[Message], *, names: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None
) -> list[Shown]:
    """
    :param names: of assistants, by their ids.
    :param files: names of files, by their ids; one that is not there is not told.
    """
    return [_shown(message, names or {}, files or {}) for message in messages]


def rendered_answers(messages: Iterable[Message], *, room: float = math.inf, is_bare: bool = False) -> dict[str, Any]:
    """``{"data": {id: [the HTML of each of its texts]}, "parts": {id: ids}}`` of whole messages.

    One that goes on with others has the texts of all of them: ``parts`` says which these are, in order.

    :param room: characters that are read as Markdown; what there is no room for is left out, unless it is the first.
    """
    told: dict[str, list[str]] = {}
    before: dict[str, list[str]] = {}
    for message in messages:
        parts = parts_of(message)
        answer = joined(parts)
        size = 0 if is_cached(answer, is_bare=is_bare) else len(answer.text)
        if size > room and told:
            continue
        room -= size
        told[message.pk] = rendered_texts(answer, is_bare=is_bare)
        if len(parts) > 1:
            before[message.pk] = [part.pk for part in parts[:-1]]
    return {"data": told, "parts": before}


def fitting(messages: Sequence[Message], room: int) -> Sequence[Message]:
    """As many of the first ones as have ``room`` characters together, and at least one: reading Markdown takes time."""
    sizes = accumulate(len(message.text) for message in messages)
    return messages[: max(1, sum(size <= room for size in sizes))]


def _shown(message: Message, names: Mapping[str, str], files: Mapping[str, str]) -> Shown:
    attached = [attachment.get("file_id") or "" for attachment in message.attachments]
    return Shown(
        id=message.pk,
        is_answer=message.role == Message.Role.ASSISTANT,
        by=names.get(message.assistant_id or "", ""),
        at=message.created_at,
        is_whole=message.status == Message.Status.COMPLETED,
        parts=_parts(message),
        files=[files[file_id] for file_id in attached if file_id in files],
    )


def _parts(message: Message) -> list[Part]:
    texts = iter(rendered_texts(message, is_bare=True))
    return [_text(next(texts)) if part.get("type") == "text" else _image(part) for part in message.content]


def _text(html: str) -> Part:
    return Part(html=mark_safe(html))  # noqa: S308 - it was cleaned


def _image(part: Mapping[str, Mapping[str, str]]) -> Part:
    return Part(image_id=(part.get("image_file") or {}).get("file_id", ""))
