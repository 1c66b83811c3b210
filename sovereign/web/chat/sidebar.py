"""The list of a person's own conversations, and what they do with one as a whole; the contract has neither."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter
from typing import Any

from django.db.models import Exists, OuterRef, Q, TextField
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from runs.lifecycle.smoke import PURPOSE
from runs.models import Run
from sovereign.accounts.principals import Principal
from sovereign.core import errors
from sovereign.core.api.validation import StrictBoolean, StrictSerializer, StrictString
from sovereign.web.chat.answers import Asked, json_page
from sovereign.web.trying.choices import TRIAL
from threads import comparing, keeping, search
from threads.models import TITLE_LENGTH, Thread
from threads.querysets import ThreadQuerySet

PAGE = 50  # conversations at once
MOST_PINNED = 50
LONGEST_QUERY = 200  # characters
WEEK = 7  # days
UNTITLED = gettext_lazy("Untitled")
IS_REPLAY = Exists(Run.objects.filter(thread=OuterRef("pk"), replay_of__isnull=False))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DIGITS = 16  # of microseconds, for some centuries


class Change(StrictSerializer):
    """One thing that is done with a conversation."""

    title = StrictString(max_length=4 * TITLE_LENGTH, required=False)
    is_pinned = StrictBoolean(required=False)
    is_archived = StrictBoolean(required=False)
    is_trashed = StrictBoolean(required=False)
    is_chosen = StrictBoolean(required=False)


@json_page("GET")
def threads(asked: Asked) -> dict[str, Any]:
    """The person's conversations in their active project, see :func:`listed`: ``?archived=1`` those that were put away,
    ``?q=`` those in whose title or newest messages these words are, ``?after=`` those behind what was listed."""
    query = asked.request.GET
    if words := query.get("q", "").strip()[:LONGEST_QUERY]:
        return found(asked.principal, words)
    return listed(asked.principal, is_archived=query.get("archived") == "1", after=query.get("after", ""))


@json_page("POST")
def keep(asked: Asked, thread_id: str) -> dict[str, Any]:
    """Do one of the things of :class:`Change`: ``{"data": the conversation's entry}``. Of one that was thrown away
    ``kept_for`` are the seconds in which it can be had back."""
    given = Change.checked(asked.body)
    if len(given) != 1:
        raise errors.ApiError("Exactly one change is made at once.", code="invalid_value")
    name, value = next(iter(given.items()))
    (entry,) = _entries([_kept(asked.principal, thread_id, name, value)])
    return {"data": entry, **({"kept_for": keeping.TRASH_KEPT.seconds} if given.get("is_trashed") else {})}


def _kept(principal: Principal, thread_id: str, name: str, value: Any) -> Thread:
    whose: dict[str, Any] = {"principal": principal, "thread_id": thread_id}
    if name == "title":
        return keeping.rename(title=value, **whose)
    if name == "is_pinned":
        return keeping.pin(is_pinned=value, **whose)
    if name == "is_archived":
        return keeping.archive(is_archived=value, **whose)
    if name == "is_trashed":
        return keeping.trash(**whose) if value else keeping.restore(**whose)
    if not value:
        raise errors.ApiError("What was chosen stays chosen.", param=name, code="invalid_value")
    return comparing.choose(**whose)


# ------------------------------------------------------------------------------------------ lists


def listed(principal: Principal, *, is_archived: bool = False, after: str = "") -> dict[str, Any]:
    """A page of conversations: ``data``, their entries (see :func:`_entry`), and ``next``, where the next page begins.

    Those that are pinned come first, then those in which something happened last. Without those on which a run was
    replayed, which are found at that run, and those in which an assistant was tried.
    """
    own = _own(principal).filter(archived_at__isnull=not is_archived)
    rows = own.filter(pinned_at=None).order_by("-last_activity_at", "-id")
    page = list(_behind(rows, after)[: PAGE + 1])
    pinned = [] if is_archived or after else list(own.exclude(pinned_at=None).order_by("-pinned_at")[:MOST_PINNED])
    return {
        "data": _entries([*pinned, *page[:PAGE]]),
        "next": _cursor(page[PAGE - 1]) if len(page) > PAGE else None,
    }


def found(principal: Principal, words: str) -> dict[str, Any]:
    """As :func:`listed`, those in which the words are found, wherever they were put."""
    own = _own(principal)
    talks = _talks(principal)
    ids = {*search.titled(own, words), *search.saying(talks, words)}
    beside = talks.filter(pk__in=ids, compared_with__isnull=False).values_list("compared_with", flat=True)
    rows = own.filter(pk__in=ids.union(beside)).order_by("-last_activity_at", "-id")[:PAGE]
    return {"data": _entries(rows), "next": None}


def _own(principal: Principal) -> ThreadQuerySet:
    """Of two that are compared the one in which something happened last stands for both."""
    other = Thread.objects.standing().filter(pk=OuterRef("compared_with"))
    is_later = Q(last_activity_at__gt=OuterRef("last_activity_at"))
    is_left = Q(last_activity_at=OuterRef("last_activity_at"), pk__lt=OuterRef("pk"))
    return _talks(principal).filter(Q(compared_with=None) | ~Exists(other.filter(is_later | is_left)))


def _talks(principal: Principal) -> ThreadQuerySet:
    """The person's own, with both sides of comparisons."""
    own = Thread.objects.visible_to(principal).owned_by(int(principal.user_id or 0)).exclude(IS_REPLAY)
    own = own.annotate(purpose=Cast(KT(f"metadata__{PURPOSE}"), TextField()))
    talks: ThreadQuerySet = own.filter(Q(purpose=None) | ~Q(purpose=TRIAL))
    return talks


def _cursor(thread: Thread) -> str:
    return f"{(thread.last_activity_at - EPOCH) // MICROSECOND}.{thread.pk}"


def _behind(rows: ThreadQuerySet, cursor: str) -> ThreadQuerySet:
    """:param cursor: of the last one that was listed; none, and one that is no cursor, begin at the beginning."""
    at, _dot, thread_id = cursor.partition(".")
    if not (at.isascii() and at.isdecimal() and len(at) <= DIGITS) or "\0" in thread_id:
        return rows
    moment = EPOCH + int(at) * MICROSECOND
    return rows.filter(Q(last_activity_at__lt=moment) | Q(last_activity_at=moment, pk__lt=thread_id))


# ------------------------------------------------------------------------------------------ one of them


def _entries(threads: Iterable[Thread]) -> list[dict[str, Any]]:
    """Of two that are compared one entry tells, whichever of them is given."""
    threads = list(threads)
    compared = [thread.compared_with for thread in threads if thread.compared_with is not None]
    others = Thread.objects.standing().in_bulk(compared) if compared else {}
    today = _today()
    return [_entry(sorted(_pair(thread, others), key=attrgetter("pk")), today) for thread in threads]


def _pair(thread: Thread, others: Mapping[str, Thread]) -> list[Thread]:
    return [thread, others[thread.compared_with]] if thread.compared_with in others else [thread]


def _entry(sides: Sequence[Thread], today: date) -> dict[str, Any]:
    """``last_activity_at`` in unix seconds; ``is_active``: an answer is being written; ``group``: what it stands under,
    in the reader's words and time zone.

    :param sides: the conversation; or the two that are compared, the left one first, which gives both its id.
    """
    thread = sides[0]
    latest = max(sides, key=attrgetter("last_activity_at"))
    return {
        "id": thread.pk,
        "title": next((side.title for side in sides if side.title), title_of(thread)),
        "address": _address(thread),
        "group": _group(latest, today),
        "last_activity_at": int(latest.last_activity_at.timestamp()),
        "is_active": any(side.active_run_id is not None for side in sides),
        "is_pinned": thread.pinned_at is not None,
        "is_archived": thread.archived_at is not None,
        "is_branch": thread.branched_from is not None,
        "is_comparison": thread.compared_with is not None,
    }


def title_of(thread: Thread) -> str:
    return thread.title or str(UNTITLED)


def _address(thread: Thread) -> str:
    if thread.compared_with is None:
        return reverse("chat-thread", args=[thread.pk])
    return f"{reverse('chat-compare')}?thread={thread.pk}"


def _group(thread: Thread, today: date) -> str:
    if thread.pinned_at is not None:
        return _("Pinned")
    days = (today - timezone.localtime(thread.last_activity_at).date()).days
    if days <= 0:
        return _("Today")
    if days == 1:
        return _("Yesterday")
    return _("Last 7 days") if days <= WEEK else _("Older")


def _today() -> date:
    return timezone.localtime().date()
