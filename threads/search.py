"""What was said in a project's threads: the newest messages are looked through, a bounded number of them.

Words are compared here and not by the database: of its two kinds one knows only ASCII's upper and lower case, and what
a column of JSON holds is no text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from django.db.models import F, QuerySet, TextField
from django.db.models.functions import Cast

from threads.models import Message, Thread
from threads.querysets import MessageQuerySet, ThreadQuerySet

THREADS = 100  # of each kind that are looked through, those first in which something happened last
MESSAGES = 40  # the newest of each
AT_ONCE = 10  # threads whose messages are read in one query
MAXIMUM_READ = 8 * 1024 * 1024  # characters, after which the search ends
MAXIMUM_WORDS = 16
THREADS_LISTED = 300  # that are looked through for a list of threads, and the newest messages of each
TITLES_READ = 5_000
LISTED_AT_ONCE = 30  # of those, whose messages are read in one query
IN_MEMORY = 20  # messages at once, where many are looked through: one may be as large as a request's body
FOLDED = re.compile("ss|st|f[fil]+")  # what one letter that is not ASCII's may stand for
UNPLAIN = frozenset('"\\')  # what JSON writes otherwise than it is


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
    words = _words(query)
    thread = Thread.objects.filter(pk=thread_id).first()
    if thread is None or not words:
        return Found([], is_everything=True)
    threads, is_everything = _threads(thread, user_id)
    found: list[Message] = []
    read = 0
    for message in _newest(threads):
        text = message.text
        read += len(text)
        if _holds(text, words):
            found.append(message)
        if len(found) == limit:
            break
        if read > MAXIMUM_READ:
            is_everything = False
            break
    return Found(found, is_everything)


def within(*, thread_id: str, query: str, limit: int) -> Found:
    """The newest messages of one thread that hold all words of ``query``, until enough of the thread is read."""
    words = _words(query)
    rows = _holding(Message.objects.of_thread(thread_id), words).order_by("-position")
    found: list[Message] = []
    read = 0
    for message in _by_position(rows) if words else ():
        text = message.text
        read += len(text)
        if _holds(text, words):
            found.append(message)
        if len(found) == limit:
            break
        if read > MAXIMUM_READ:
            return Found(found, is_everything=False)
    return Found(found, is_everything=True)


def _by_position(rows: MessageQuerySet) -> Iterator[Message]:
    """:param rows: of one thread, the newest first."""
    chunk = list(rows[:IN_MEMORY])
    while chunk:
        yield from chunk
        chunk = list(rows.filter(position__lt=chunk[-1].position)[:IN_MEMORY]) if len(chunk) == IN_MEMORY else []


def saying(threads: QuerySet[Thread], query: str) -> list[str]:
    """The ids of those of the threads, among the 300 in which something happened last, whose newest messages hold all
    words of ``query``: those in which something happened last are looked through first, until enough is read."""
    words = _words(query)
    newest = list(threads.order_by("-last_activity_at", "-id").values_list("id", flat=True)[:THREADS_LISTED])
    found: set[str] = set()
    read = 0
    for message in _newest_holding(newest, words) if words else ():
        text = message.text
        read += len(text)
        if _holds(text, words):
            found.add(message.thread_id)
        if read > MAXIMUM_READ:
            break
    return sorted(found)


def titled(threads: QuerySet[Thread], query: str) -> list[str]:
    """As :func:`saying`, of the words of their titles: of the 5,000 threads in which something happened last."""
    words = _words(query)
    newest = threads.order_by("-last_activity_at", "-id").values_list("id", "title")[:TITLES_READ] if words else ()
    return [thread_id for thread_id, title in newest if _holds(title, words)]


def _newest_holding(thread_ids: Sequence[str], words: Sequence[str]) -> Iterator[Message]:
    """Some threads after the other, and of those the newest messages in whatever order."""
    behind = F("thread__last_position") - MESSAGES
    for start in range(0, len(thread_ids), LISTED_AT_ONCE):
        some = thread_ids[start : start + LISTED_AT_ONCE]
        messages = Message.objects.filter(thread_id__in=some, position__gt=behind).order_by()
        held = _holding(messages, words).only("thread_id", "content")
        yield from held.iterator(chunk_size=IN_MEMORY)


def _words(query: str) -> list[str]:
    return query.replace("\0", " ").casefold().split()[:MAXIMUM_WORDS]


def _holds(text: str, words: Sequence[str]) -> bool:
    folded = text.casefold()
    return all(word in folded for word in words)


def _holding(messages: MessageQuerySet, words: Sequence[str]) -> MessageQuerySet:
    """As far as the database can tell: what of the words JSON writes as it is, in whatever case.

    What else folds to those letters is not looked for there (``ß`` to ``ss``); the words are compared here in any case.
    """
    plain = [word for word in words if word.isascii() and UNPLAIN.isdisjoint(word)]
    parts = {part for word in plain for part in FOLDED.split(word) if part}
    held = messages.annotate(written=Cast("content", TextField())) if parts else messages
    for part in sorted(parts):
        held = held.filter(written__icontains=part)
    return held


def _threads(thread: Thread, user_id: int | None) -> tuple[list[Thread], bool]:
    """Those that are looked through, in this order, and whether that is everything."""
    others = Thread.objects.standing().filter(project_id=thread.project_id).exclude(pk=thread.id)
    if thread.visitor_id is not None:
        kinds = [others.filter(visitor_id=thread.visitor_id)]
    else:
        kinds = [others.filter(owner_id__isnull=True, visitor_id__isnull=True)]
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
