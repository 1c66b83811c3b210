"""Two threads in which two assistants are asked the same, side by side: one conversation in a person's list."""

from __future__ import annotations

from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import THREADS_WRITE
from sovereign.core import errors
from sovereign.core.database import now, service
from threads import services
from threads.models import Thread


@service
def begin(*, principal: Principal) -> tuple[Thread, Thread]:
    """Two empty threads of the person: the left one, which was made first, and the right one."""
    principal.require(THREADS_WRITE)
    left = services.create_thread(principal=principal)
    right = services.create_thread(principal=principal)
    left.compared_with, right.compared_with = right.pk, left.pk
    for thread in (left, right):
        thread.save(update_fields=["compared_with"])
    return left, right


def pair_of(thread: Thread) -> tuple[Thread | None, Thread | None]:
    """The left and the right one of those that a thread is of; ``None`` for one that was deleted."""
    other: Thread | None = Thread.objects.standing().filter(pk=thread.compared_with).first()
    return (thread, other) if thread.is_left else (other, thread)


@service
def choose(*, principal: Principal, thread_id: str) -> Thread:
    """Go on with this one, as a conversation like any other; the other one is put away as such.

    :raises ApiError: 404; 400, it is compared with nothing.
    """
    principal.require(THREADS_WRITE)
    thread = services.get_thread(principal=principal, thread_id=thread_id)
    if thread.owner_id != principal.user_id:
        raise errors.not_found("thread", thread_id)  # who may read it does nothing with it
    locked = services.lock_with_other(thread)
    if thread.pk not in locked:
        raise errors.not_found("thread", thread.pk)
    if thread.compared_with is None or locked[thread.pk].compared_with != thread.compared_with:
        raise errors.ApiError("This conversation is compared with nothing.", code="not_compared")  # or not any more
    for row in locked.values():
        row.compared_with, row.archived_at = None, None
        if row.pk != thread.pk:
            row.archived_at, row.pinned_at = now(), None
        row.save(update_fields=["compared_with", "archived_at", "pinned_at"])
    audit.record(principal, "thread.chosen", locked[thread.pk], beside=thread.compared_with)
    return locked[thread.pk]
