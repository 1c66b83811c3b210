"""What was said in a project's threads: the newest messages are looked through, a bounded number of them.

Words are compared here and not by the database: of its two kinds one knows only ASCII's upper and lower case, and what
a column of JSON holds is no text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from django.db.models import F

from threads.models import Message, Thread
from threads.querysets import ThreadQuerySet

THREADS = 100  # of each kind that are looked through, those first in which something happened last
MESSAGES = 40  # the newest of each
AT_ONCE = 10  # threads whose messages are read in one query
MAXIMUM_READ = 8 * 1024 * 1024  # characters, after which the search ends
MAXIMUM_WORDS = 16


class Found(NamedTuple):
    """:ivar is_everything: no message was passed over, unless as many as were wanted had been found before it."""

    messages: list[Message]
    is_everything: bool


def search(*, thread_id: str, user_id: int | None, query: str, limit: int) -> Found:
    """The newest messages that hold all words of ``query``, in whatever order and case.

    What is found is read by everybody who reads the thread. So its owner's other chats are looked through where the
    search is its owner's, too, and nobody else's ever; threads of applications, which all members see, are always.

    :param thread_id: for which it is searched; its own messages are passed over.
    :param user_id: who searches; ``None`` for keys.
    """
    words = query.casefold().split()[:MAXIMUM_WORDS]
    thread = Thread.objects.filter(pk=thread_id).first()
    if thread is None or not words:
        return Found([], is_everything=True)
    threads, is_everything = _threads(thread, user_id)
    found: list[Message] = []
    read = 0
    for message in _newest(threads):
        text = message.text
        read += len(text)
        if all(word in text.casefold() for word in words):
            found.append(message)
        if len(found) == limit:
            break
        if read > MAXIMUM_READ:
            is_everything = False
            break
    return Found(found, is_everything)


def _threads(thread: Thread, user_id: int | None) -> tuple[list[Thread], bool]:
    """Those that are looked through, in this order, and whether that is everything."""
    others = Thread.objects.filter(project_id=thread.project_id).exclude(pk=thread.id)
    kinds = [others.filter(owner_id__isnull=True)]
    if user_id is not None and thread.owner_id == user_id:
        kinds.append(others.owned_by(user_id))
    found = [_last_active(kind) for kind in kinds]
    threads = [one for kind in found for one in kind[:THREADS]]
    left_out = any(len(kind) > THREADS for kind in found) or any(one.last_position > MESSAGES for one in threads)
    return sorted(threads, key=lambda one: (one.last_activity_at, one.id), reverse=True), not left_out


def _last_active(threads: ThreadQuerySet) -> list[Thread]:
    """One more than are looked through, where there are more.

    :param threads: with one owner, or with none: then Postgres uses the index only where it is sorted by owner, too.
    """
    newest = threads.order_by("-owner_id", "-last_activity_at", "-id")
    return list(newest.only("id", "last_activity_at", "last_position")[: THREADS + 1])


def _newest(threads: Sequence[Thread]) -> Iterator[Message]:
    """Their newest messages: thread by thread, in each the newest first."""
    behind = F("thread__last_position") - MESSAGES
    for start in range(0, len(threads), AT_ONCE):
        places = {thread.id: place for place, thread in enumerate(threads[start : start + AT_ONCE])}
        messages = Message.objects.filter(thread_id__in=list(places), position__gt=behind).order_by()
        read = messages.only("id", "thread_id", "position", "role", "content", "created_at")
        yield from sorted(read, key=lambda one: (places[one.thread_id], -one.position))
