"""Taking files out of vector stores: what all ways of detaching have in common."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import QuerySet

from assistants.knowledge.models import FormerPlace, StoreFile
from assistants.knowledge.retrieval import indexing
from sovereign.core.database import now, service

PLACES_KEPT = timedelta(days=1)  # a list that is paged through takes minutes
FORGOTTEN_AT_ONCE = 1_000


def detach(members: QuerySet[StoreFile]) -> None:
    """Delete the rows, with all that was made for their search, inside the caller's transaction.

    Where they stood is kept for a day: lists are paged by files' ids, which do not tell when a file was put there.
    """
    indexing.forget(members)  # the stores are locked from here on
    instant = now()
    places = members.order_by("store_id", "file_id").values("store_id", "file_id", "created_at")
    FormerPlace.objects.bulk_create(
        [FormerPlace(**place, left_at=instant) for place in places],
        update_conflicts=True,  # it was put there again since: the newer place counts
        unique_fields=("store", "file_id"),
        update_fields=("created_at", "left_at"),
    )
    members.delete()


def forget_places() -> int:
    """Delete up to a thousand places that were kept long enough; returns how many. Nothing is locked without any."""
    over = FormerPlace.objects.filter(left_at__lte=now() - PLACES_KEPT)
    return _forget() if over.exists() else 0


@service
def _forget() -> int:
    over = FormerPlace.objects.filter(left_at__lte=now() - PLACES_KEPT).select_for_update(skip_locked=True)
    ids = list(over.order_by("left_at").values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE])
    return FormerPlace.objects.filter(pk__in=ids).delete()[0]
