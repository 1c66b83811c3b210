"""Where conversations branch: a question that is put otherwise, or an answer that is made again, goes on in a thread of
its own that begins as the first one did. What was said before stays as it was.

All branches that come of one thread are its family. In a family one *fork* is one place at which it goes on in several
ways, its *versions*: the message that stood there first, and the first message that each branch has of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from django.db.models import F, Q

from sovereign.accounts.principals import Principal
from sovereign.core.database import now, service
from threads.context import Past
from threads.copying import copy_thread
from threads.models import Message, Thread
from threads.querysets import ThreadQuerySet

MOST_OF_FAMILY = 200  # branches that are looked at, the newest
OURS = "sovereign_"  # begins the names of metadata that say what a thread is for, which its branches are not


class Version(NamedTuple):
    """:ivar message_id: ``None`` where the branch has none of its own yet: it is being answered."""

    thread_id: str
    message_id: str | None


class Fork(NamedTuple):
    """
    :ivar message_id: the one that stands there in the thread that was asked about.
    :ivar current: which of the versions that is, from 0.
    """

    message_id: str | None
    current: int
    versions: Sequence[Version]


@service
def begin(
    *, principal: Principal, source: Thread, message: Message, after: int, without: Collection[str] = ()
) -> Thread:
    """A branch with what was said up to a position, to go on in the place of ``message`` (of ``source``).

    :param without: as :func:`threads.copying.copy_thread` has it.
    :raises ApiError: 404, the source was deleted meanwhile.
    """
    made = copy_thread(
        principal=principal,
        source=source,
        past=Past(after, now()),
        title=source.title,
        metadata={name: value for name, value in source.metadata.items() if not name.startswith(OURS)},
        branched_from=source.pk,
        branched_at=_fork_of(message),
        family=source.family or source.pk,
        without=without,
    )
    made.branched_after = made.last_position
    made.save(update_fields=["branched_after"])
    return made


def _fork_of(message: Message) -> str:
    """The message that stood first where this one stands."""
    first = message.copied_from or message.pk
    own = Message.objects.filter(pk=first, position=F("thread__branched_after") + 1)
    return own.values_list("thread__branched_at", flat=True).first() or first


def origin_of(thread: Thread, user_id: int) -> Thread | None:
    """The person's thread that this one is a branch of."""
    own = Thread.objects.standing().owned_by(user_id)
    found: Thread | None = own.filter(pk=thread.branched_from, project_id=thread.project_id).first()
    return found


def forks(thread: Thread, user_id: int) -> list[Fork]:
    """Where the thread goes on in another of the person's threads, or another one does in it; in no order."""
    own = Thread.objects.standing().owned_by(user_id).filter(project_id=thread.project_id)
    family = own.of_family(thread.family or thread.pk).filter(branched_at__isnull=False)
    branches = list(family.order_by("-created_at", "-id")[:MOST_OF_FAMILY])[::-1]
    if not branches:
        return []
    places = _versions(branches, _originals(branches, own))
    here = _here(thread, {version.message_id for versions in places.values() for version in versions})
    found = (_fork(thread, versions, here) for versions in places.values() if len(versions) > 1)
    return [fork for fork in found if fork is not None]


def _originals(branches: Iterable[Thread], own: ThreadQuerySet) -> dict[str, str]:
    """The threads of the messages at which they branch, as far as these are the person's still."""
    at = {branch.branched_at for branch in branches}
    return dict(Message.objects.filter(pk__in=at, thread__in=own).values_list("id", "thread_id"))


def _versions(branches: Sequence[Thread], originals: dict[str, str]) -> dict[str, list[Version]]:
    """By the message that stood there first."""
    own = Message.objects.filter(thread__in=branches, position=F("thread__branched_after") + 1)
    first = dict(own.values_list("thread_id", "id"))
    versions: defaultdict[str, list[Version]] = defaultdict(list)
    for at, thread_id in originals.items():
        versions[at].append(Version(thread_id, at))
    for branch in branches:
        versions[str(branch.branched_at)].append(Version(branch.pk, first.get(branch.pk)))
    return versions


def _here(thread: Thread, message_ids: set[str | None]) -> dict[str, str]:
    """Which of these messages the thread has, itself or as copies: the thread's own ids by theirs."""
    wanted = [message_id for message_id in message_ids if message_id is not None]
    rows = Message.objects.of_thread(thread.pk).filter(Q(pk__in=wanted) | Q(copied_from__in=wanted))
    return {copied_from or pk: pk for pk, copied_from in rows.values_list("pk", "copied_from")}


def _fork(thread: Thread, versions: Sequence[Version], here: dict[str, str]) -> Fork | None:
    """``None`` where the thread took another way before it came there."""
    for place, version in enumerate(versions):
        if version.thread_id == thread.pk or version.message_id in here:
            return Fork(here.get(str(version.message_id)), place, versions)
    return None
