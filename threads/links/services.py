"""The only door for links by which conversations are shared."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from http import HTTPStatus

from django.db.models import Q

from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import MEMBERS_MANAGE, THREADS_WRITE
from sovereign.accounts.services.guards import require_in
from sovereign.accounts.tokens import digest_of
from sovereign.core import errors
from sovereign.core.database import now, service
from sovereign.core.ids import new_id
from threads.links.models import SharedLink
from threads.links.secrets import FORM, secret_of
from threads.models import Message, Thread
from threads.services import lock_thread

MOST = 20  # that are in force, of one thread
USE_RESOLUTION = timedelta(minutes=1)
NOTHING_SAID = "There is nothing to share yet."
FORBIDDEN = "Sharing by links is turned off in this project. Its administrators can allow it."


@service
def share(*, principal: Principal, thread_id: str) -> SharedLink:
    """A link to one of the person's own threads, that shows what is said by now: not what is being written.

    :raises ApiError: 403, also where the project forbids links; 404 for the thread; 400 where nothing is said, or too
        many links are in force.
    """
    principal.require(THREADS_WRITE)
    thread, owner_id = _own(principal, thread_id)
    if not thread.project.allows_shared_links:
        raise errors.ApiError(FORBIDDEN, status=HTTPStatus.FORBIDDEN, code="sharing_forbidden")
    whole = Message.objects.of_thread(thread.pk).exclude(status=Message.Status.IN_PROGRESS)
    last = whole.order_by("-position").values_list("position", flat=True).first()
    if last is None:
        raise errors.ApiError(NOTHING_SAID, code="nothing_to_share")
    if SharedLink.objects.in_force().filter(thread=thread).count() >= MOST:
        raise errors.ApiError(f"{MOST} links are open. Revoke one of them first.", code="too_many_links")
    link_id = new_id("share_")
    link = SharedLink.objects.create(
        id=link_id,
        project_id=thread.project_id,
        thread=thread,
        digest=digest_of(secret_of(link_id)),
        title=thread.title,
        up_to=last,
        created_by_id=owner_id,
    )
    audit.record(principal, "thread.shared", thread, link=link.pk)
    return link


@service
def revoke(*, principal: Principal, thread_id: str, link_id: str) -> None:
    """It opens nothing any more. Revoking twice changes nothing.

    :raises ApiError: 403; 404 for the thread or the link.
    """
    principal.require(THREADS_WRITE)
    thread, _ = _own(principal, thread_id)
    links = SharedLink.objects.visible_to(principal).filter(thread=thread, pk=link_id)
    if not links.exists():
        raise errors.not_found("link", link_id)
    _revoke(principal, thread, link_id)


@service
def revoke_of_member(*, principal: Principal, link: SharedLink) -> None:
    """Who manages the project revokes a link that any of its members made. Revoking twice changes nothing.

    :raises ApiError: 403; 404 for another project's.
    """
    require_in(principal, link.project_id, MEMBERS_MANAGE)
    _revoke(principal, link.thread, link.pk)


def forget_titles(thread_ids: Collection[str], lines: Collection[str]) -> None:
    """Links to one of these threads that are called by one of these lines, which was redacted, have no title any more:
    also those that are revoked, which the admin still lists."""
    SharedLink.objects.filter(thread__in=thread_ids, title__in=lines).update(title="")


def links_of(*, principal: Principal, thread: Thread) -> Sequence[SharedLink]:
    """Those of the person to this thread that nobody revoked, the newest first: also while the project forbids links
    and they open nothing.
    """
    return list(SharedLink.objects.visible_to(principal).filter(thread=thread, revoked_at=None))


def opened(secret: str) -> SharedLink | None:
    """The link with this secret, with its thread, and that it was used; ``None`` where it opens nothing."""
    if FORM.fullmatch(secret) is None:
        return None
    found = SharedLink.objects.in_force().filter(digest=digest_of(secret)).select_related("thread")
    link: SharedLink | None = found.first()
    if link is not None:
        _note_use(link)
    return link


def messages_of(link: SharedLink, *, after: int, limit: int) -> Sequence[Message]:
    """What it shows behind a position, in order."""
    said = Message.objects.of_thread(link.thread_id).filter(position__gt=after, position__lte=link.up_to)
    return list(said.exclude(status=Message.Status.IN_PROGRESS).order_by("position")[:limit])


def _own(principal: Principal, thread_id: str) -> tuple[Thread, int]:
    """The thread, locked, and its owner, who asks."""
    thread = lock_thread(principal=principal, thread_id=thread_id)
    if principal.user_id is None or thread.owner_id != principal.user_id:
        raise errors.not_found("thread", thread_id)
    return thread, principal.user_id


def _revoke(principal: Principal, thread: Thread, link_id: str) -> None:
    if SharedLink.objects.filter(pk=link_id, revoked_at=None).update(revoked_at=now()):
        audit.record(principal, "thread.link_revoked", thread, link=link_id)


def _note_use(link: SharedLink) -> None:
    """A condition, no lock: of many who read it at once, one writes."""
    long_ago = Q(last_used=None) | Q(last_used__lt=now() - USE_RESOLUTION)
    if link.last_used is None or link.last_used < now() - USE_RESOLUTION:
        SharedLink.objects.filter(long_ago, pk=link.pk).update(last_used=now())
