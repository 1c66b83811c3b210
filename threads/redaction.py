"""Taking what a message says out of a thread, for good: nobody reads it any more, and no model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from django.db.models import F, Q
from django.db.models.functions import Coalesce

from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import THREADS_REDACT
from sovereign.accounts.services.idempotency import answers_with, forget_kept
from sovereign.core import errors
from sovereign.core.database import now, service
from threads.models import Message, Thread, ThreadSummary
from threads.services import forget_summaries, get_message, lock_threads, text_part, title_by

MARK = "[This message was redacted.]"  # what stands in its place, for people and models
REASON_LENGTH = 500
ATTEMPTS = 5  # at finding all copies, while replays make more of them

#: What the rooms above do with a message as it was, whose thread is locked, before it loses its words: they take them
#: out of what they keep, and give the ids of the rows that tell of them. They add to it when they start.
before_redaction: list[Callable[[Message], list[str]]] = []

#: How the rooms above find messages that say the same since they themselves took it from there, and the other way
#: round: they give their ids. They add to it when they start.
taken_over: list[Callable[[Message], Iterable[str]]] = []

#: By what one knows the answers to requests in which they tell what a message says, though not its id: all of some
#: strings stand in one, ids and other pieces of compact JSON. They add to it when they start.
told_in: list[Callable[[Message], Iterable[Collection[str]]]] = []

#: What they do with titles that they took from threads (whose ids they get, which are locked), where such a title is
#: one of these lines. They add to it when they start.
after_untitling: list[Callable[[Collection[str], Collection[str]], None]] = []


def redact_message(*, principal: Principal, thread_id: str, message_id: str, reason: str = "") -> Message:
    """Put a mark in the place of a message's text, pictures and attachments, wherever they lie.

    They are gone from the message, from the one that it repeats, and from all copies of that, on branches, where a
    run was replayed, beside another assistant and where an evaluation asked it; from the events and tool calls of the
    runs that wrote or answered them, and of those that found them by ``search_threads``; from the titles and summaries
    of the threads and their branches, and of links to them; from cases of evaluations that were made of them and what
    came of these, and from answers that are kept to be repeated. What else quotes it stays: other messages, feedback,
    files, and what left this server. Nothing happens to a message that was redacted before.

    :param reason: for the audit log; it must not tell what it is about.
    :raises ApiError: 403; 404 for the thread or the message; 400 while a run is active on the thread: its model has
        read the message, and it still writes; 503 where it is copied again and again meanwhile.
    """
    principal.require(THREADS_REDACT)
    asked = get_message(principal=principal, thread_id=thread_id, message_id=message_id)
    for _ in range(ATTEMPTS):
        alike = _alike(asked)
        # found before anything is locked: they have to be read one by one
        kept = answers_with(principal.project_id, list(_signs(alike)))
        if (message := _redact_all(principal, asked, alike, reason, kept)) is not None:
            return message
    raise errors.unavailable("Replays copy this message again and again just now. Please retry.")


def _alike(message: Message) -> list[str]:
    """The message, and all that say the same since it was taken from there, or this from them."""
    found = {message.pk: message}
    unread = [message]
    while unread:
        alike = {pk for one in unread for pk in _same_as(one)} - found.keys()
        unread = list(Message.objects.filter(pk__in=alike, project_id=message.project_id).select_related("thread"))
        found |= {one.pk: one for one in unread}
    return list(found)


def _signs(alike: list[str]) -> Iterator[Collection[str]]:
    """By what one knows the kept answers that tell of these messages."""
    yield from ([pk] for pk in alike)
    for message in Message.objects.filter(pk__in=alike, redacted_at=None).iterator():
        for look in told_in:
            yield from look(message)


def _same_as(message: Message) -> Iterator[str]:
    """The message that was there first, if it still is, and all of its copies: each of them names that one. What was
    asked in two threads at once, and what the rooms above know of."""
    first = message.copied_from or message.pk
    yield from Message.objects.filter(Q(pk=first) | Q(copied_from=first)).values_list("id", flat=True)
    if message.redacted_at is None:
        yield from _asked_beside(message)
        for look in taken_over:
            yield from look(message)


def _asked_beside(message: Message) -> Iterator[str]:
    """Of those that say the same there the one that is as far along: "Yes" may be said more than once."""
    if message.role != Message.Role.USER or message.thread.compared_with is None:
        return
    asked = Message.objects.filter(role=Message.Role.USER).order_by("position").only("id", "content")
    earlier = asked.filter(thread_id=message.thread_id, position__lt=message.position)
    place = sum(other.content == message.content for other in earlier.iterator())
    beside = asked.filter(thread_id=message.thread.compared_with).iterator()
    yield from [other.pk for other in beside if other.content == message.content][place : place + 1]


@service
def _redact_all(
    principal: Principal, message: Message, alike: list[str], reason: str, kept: list[int]
) -> Message | None:
    """The threads of all are locked before anything of them is, as everybody locks them: by their ids.

    Whoever copies one of them has its lock, too. ``None`` where a copy was made before it was taken here.
    """
    messages = Message.objects.filter(pk__in=alike)
    own = set(messages.values_list("thread_id", flat=True))
    named, summed_up = _named_alike(messages), _only_summed_up(messages) - own
    threads = lock_threads(own | named | summed_up)
    if not set(alike).issuperset(_alike(message)):
        return None
    found = messages.in_bulk()
    if message.pk not in found:
        raise errors.not_found("message", message.pk)
    _forget_titles([threads[thread_id] for thread_id in own | named if thread_id in threads], found.values())
    for each in found.values():
        _redact(principal, threads[each.thread_id], each, reason)
    for thread_id in summed_up & threads.keys():
        forget_summaries(thread_id, 1)
    forget_kept(kept)
    return found[message.pk]


def _redact(principal: Principal, thread: Thread, message: Message, reason: str) -> None:
    if thread.active_run_id:
        raise errors.ApiError(
            f"Can't redact messages of {thread.id} while the run {thread.active_run_id} is active. Cancel it or wait.",
            code="run_active",
        )
    if message.redacted_at is not None:
        return
    message.thread = thread
    told = [row for redact in before_redaction for row in redact(message)]
    forget_summaries(thread.id, message.position)
    message.content, message.attachments, message.redacted_at = [text_part(MARK)], [], now()
    message.save(update_fields=["content", "attachments", "redacted_at"])
    audit.record(principal, "message.redacted", message, thread=thread.id, runs=told, reason=reason[:REASON_LENGTH])


def _named_alike(messages: Any) -> set[str]:
    """The threads that may be called by what one of the messages says: a branch has the name of its family, also where
    it begins otherwise."""
    families = Thread.objects.filter(messages__in=messages).annotate(first=Coalesce("family", "id")).values("first")
    return set(Thread.objects.filter(Q(pk__in=families) | Q(family__in=families)).values_list("id", flat=True))


def _only_summed_up(messages: Any) -> set[str]:
    """The threads that go on from one of the messages' and have no copy of it: of a long thread the beginning and the
    newest messages are copied, with the summary of what is between."""
    found: set[str] = set()
    for message in messages.only("id", "thread_id", "position"):
        behind = Message.objects.of_thread(message.thread_id).filter(position__gt=message.position)
        firsts = behind.annotate(first=Coalesce(F("copied_from"), F("id"))).values("first")
        copies = Message.objects.filter(Q(copied_from__in=firsts) | Q(pk__in=firsts))
        summaries = ThreadSummary.objects.filter(thread__in=copies.values("thread"))
        found |= set(summaries.exclude(thread=message.thread_id).values_list("thread_id", flat=True))
    return found


def _forget_titles(threads: Sequence[Thread], messages: Iterable[Message]) -> None:
    """A thread that nobody gave a title is called by the first line of its first message. What was made of the thread
    before somebody gave it another one has that title still."""
    lines = {title_by(message) for message in messages if message.redacted_at is None} - {""}
    for thread in threads:
        if thread.title in lines:
            thread.title = ""
            thread.save(update_fields=["title"])
    for forget in after_untitling:
        forget([thread.pk for thread in threads], lines)


def redacted_parts(parts: list[Any]) -> list[dict[str, Any]]:
    """What stands in the place of a message's content; nothing where there was nothing."""
    return [text_part(MARK)] if parts else []
