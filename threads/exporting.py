"""A thread to be taken along: as JSON, or as Markdown to be read. Made piece by piece, however long it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime

import orjson

from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import THREADS_READ
from sovereign.core.database import now, service
from threads import answers
from threads.models import Message, Thread
from threads.rendering import render_message, render_thread, unix
from threads.services import lock_thread

AT_ONCE = 200  # messages
SUFFIXES = {"json": "application/json", "md": "text/markdown; charset=utf-8"}


@service
def begin_export(*, principal: Principal, thread_id: str, kind: str) -> Thread:
    """The thread, whose leaving is recorded. Who redacts something in it just now is waited for.

    :param kind: of :data:`SUFFIXES`, or another word for how it leaves.
    :raises ApiError: 403, 404.
    """
    principal.require(THREADS_READ)
    thread = lock_thread(principal=principal, thread_id=thread_id)
    audit.record(principal, "thread.exported", thread, format=kind)
    return thread


def exported(threads: Sequence[Thread], kind: str) -> Iterator[bytes]:
    """The file's pieces. Of several threads JSON is an array."""
    return (piece for piece, _ in counted(threads, kind, is_one=len(threads) == 1))


def counted(threads: Iterable[Thread], kind: str, *, is_one: bool) -> Iterator[tuple[bytes, int]]:
    """As :func:`exported`, with how many messages end with each piece; threads are asked for one after the other."""
    pieces: Callable[[Thread], Iterator[tuple[str, int]]] = _json if kind == "json" else _markdown
    opening, between, closing = ("[", ",\n", "]") if kind == "json" and not is_one else ("", "\n", "")
    yield opening.encode(), 0
    for number, thread in enumerate(threads):
        yield (between if number else "").encode(), 0
        for piece, messages in pieces(thread):
            yield piece.encode(errors="replace"), messages
    yield f"{closing}\n".encode(), 0


def _answers(thread: Thread) -> Iterator[tuple[Message, list[str]]]:
    """What was said, in order: of an answer in parts the whole, with their ids."""
    for parts in answers.in_answers(_messages(thread)):
        yield answers.joined(parts), [part.pk for part in parts]


def _messages(thread: Thread) -> Iterator[Message]:
    position = 0
    rows = Message.objects.of_thread(thread.pk).order_by("position")
    while chunk := list(rows.filter(position__gt=position)[:AT_ONCE]):
        yield from chunk
        position = chunk[-1].position


def _json(thread: Thread) -> Iterator[tuple[str, int]]:
    head = {**render_thread(thread), "title": thread.title, "exported_at": unix(now())}
    yield f'{orjson.dumps(head).decode()[:-1]},"messages":[', 0
    for number, (message, parts) in enumerate(_answers(thread)):
        told = {
            **render_message(message),
            "redacted_at": unix(message.redacted_at),
            **({"parts": parts} if len(parts) > 1 else {}),
        }
        yield f"{',' if number else ''}\n{orjson.dumps(told).decode()}", len(parts)
    yield "\n]}", 0


def _markdown(thread: Thread) -> Iterator[tuple[str, int]]:
    """What was said is quoted, so that nothing of it looks like what stands around it."""
    title = " ".join(thread.title.split()) or thread.id
    yield f"# {title}\n\nThread `{thread.id}`, begun {_moment(thread.created_at)}.\n", 0
    for message, parts in _answers(thread):
        note = "" if message.status == Message.Status.COMPLETED else f" ({message.get_status_display().lower()})"
        yield f"\n## {message.get_role_display()}, {_moment(message.created_at)}{note}\n\n", 0
        yield "".join(f"> {line}\n" for line in _lines(message)), len(parts)


def _lines(message: Message) -> Iterator[str]:
    for part in message.content:
        if part["type"] == "text":
            yield from part["text"]["value"].splitlines()
        elif part["type"] == "image_file":
            yield f"[image {part['image_file']['file_id']}]"
        else:
            yield "[image]"
    for attachment in message.attachments:
        yield f"[file {attachment.get('file_id', '')}]"


def _moment(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
