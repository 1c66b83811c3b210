"""What a person does with a conversation of theirs as a whole: name it, pin it, put it away, throw it away.

What is thrown away is nobody's at once, everywhere, and is deleted some minutes later; until then it can be had back.
Of two threads that are compared with each other (:mod:`threads.comparing`) what is done to one is done to both.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import structlog
from django.db import InterfaceError, OperationalError

from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import THREADS_WRITE
from sovereign.core import errors
from sovereign.core.database import now, service
from threads.models import TITLE_LENGTH, Thread
from threads.services import lock_threads, lock_with_other, remove, tell_watchers

log = structlog.get_logger(__name__)

TRASH_KEPT = timedelta(minutes=10)
REMOVED_AT_ONCE = 20  # threads

#: What the rooms above do with locked threads (who asks, their ids) before they are nobody's: they fill it when they
#: start. They get all of them at once, to lock what is theirs in its order.
before_trashing: list[Callable[[Principal, list[str]], None]] = []


@service
def rename(*, principal: Principal, thread_id: str, title: str) -> Thread:
    """:raises ApiError: 404; 400 for no title, and for one that is too long."""
    title = " ".join(title.split())
    if not 0 < len(title) <= TITLE_LENGTH:
        raise errors.ApiError(f"A title has 1 to {TITLE_LENGTH} characters.", param="title", code="invalid_value")
    return _change(principal, thread_id, "thread.renamed", title=title)


@service
def pin(*, principal: Principal, thread_id: str, is_pinned: bool) -> Thread:
    """Put it first in the person's list, or not any more; one that was put away comes back. :raises ApiError: 404."""
    if not is_pinned:
        return _change(principal, thread_id, "thread.unpinned", pinned_at=None)
    return _change(principal, thread_id, "thread.pinned", pinned_at=now(), archived_at=None)


@service
def archive(*, principal: Principal, thread_id: str, is_archived: bool) -> Thread:
    """Put it away, from where it is still found, or take it out again. :raises ApiError: 404."""
    if not is_archived:
        return _change(principal, thread_id, "thread.unarchived", archived_at=None)
    return _change(principal, thread_id, "thread.archived", archived_at=now(), pinned_at=None)


@service
def trash(*, principal: Principal, thread_id: str) -> Thread:
    """Throw it away: a run at work on it is cancelled. :raises ApiError: 404."""
    thread_ids = [thread.pk for thread in _lock(principal, thread_id)]
    for prepare in before_trashing:
        prepare(principal, thread_ids)
    return _change(principal, thread_id, "thread.trashed", trashed_at=now())


@service
def restore(*, principal: Principal, thread_id: str) -> Thread:
    """Take it out of the trash. :raises ApiError: 404, it is not in there, or not any more."""
    return _change(principal, thread_id, "thread.restored", is_trashed=True, trashed_at=None)


def _change(principal: Principal, thread_id: str, action: str, *, is_trashed: bool = False, **fields: object) -> Thread:
    """:returns: the thread that was asked for."""
    threads = _lock(principal, thread_id, is_trashed=is_trashed)
    for thread in threads:
        for name, value in fields.items():
            setattr(thread, name, value)
        thread.save(update_fields=sorted(fields))
        tell_watchers(thread.pk)
        audit.record(principal, action, thread)
    return threads[0]


def _lock(principal: Principal, thread_id: str, *, is_trashed: bool = False) -> list[Thread]:
    """The thread, and behind it the one that it is compared with, both locked.

    :raises ApiError: 403; 404, it is not the person's own, or (not) in the trash.
    """
    principal.require(THREADS_WRITE)
    own = Thread.objects.filter(project_id=principal.project_id, trashed_at__isnull=not is_trashed)
    own = own.known_to(principal).owned_by(int(principal.user_id or 0))
    beside = own.filter(pk=thread_id).values_list("compared_with", flat=True).first()
    locked = lock_threads(filter(None, (thread_id, beside)))
    mine = {row.pk: row for row in own.filter(pk__in=list(locked))}  # read anew: somebody may have been first
    if thread_id not in mine:
        raise errors.not_found("thread", thread_id)
    return sorted(mine.values(), key=lambda thread: thread.pk != thread_id)


# ------------------------------------------------------------------------------------------------ for good


def empty_trash() -> int:
    """Delete threads that have been in the trash for long enough, some of them; how many.

    Whichever come: of those that cannot be deleted, however many they are, the same ones do not come each time.
    """
    due = Thread.objects.filter(trashed_at__lt=now() - TRASH_KEPT).order_by("?")
    return sum(_emptied(thread_id) for thread_id in list(due.values_list("id", flat=True)[:REMOVED_AT_ONCE]))


def _emptied(thread_id: str) -> bool:
    """One that cannot be deleted must not keep the others."""
    try:
        return _delete(thread_id)
    except (OperationalError, InterfaceError):
        raise  # the database, not the thread
    except Exception:
        log.exception("trashed_thread_not_deleted", thread=thread_id)
        return False


@service
def _delete(thread_id: str) -> bool:
    """Whether it was still there, and in the trash."""
    there = Thread.objects.filter(pk=thread_id).first()
    thread = lock_with_other(there).get(thread_id) if there is not None else None
    if thread is None or thread.trashed_at is None or thread.trashed_at > now() - TRASH_KEPT:
        return False
    remove(None, thread)
    return True
