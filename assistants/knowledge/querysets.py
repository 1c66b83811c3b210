from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Count, Sum

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal


class TenantQuerySet(models.QuerySet[Any]):
    """Rows that belong to a project: files, uploads, vector stores."""

    def visible_to(self, principal: Principal) -> TenantQuerySet:
        """The rows of the principal's project."""
        return self.filter(project_id=principal.project_id)


@dataclass(slots=True)
class Tally:
    """How many files of a store or of a batch are in which state, and what all of them take."""

    in_progress: int = 0
    completed: int = 0
    cancelled: int = 0
    failed: int = 0
    usage_bytes: int = 0

    @property
    def total(self) -> int:
        return self.in_progress + self.completed + self.cancelled + self.failed


class StoreFileQuerySet(models.QuerySet[Any]):
    """Files in stores."""

    def tallies(self, by: str, among: Collection[str]) -> dict[str, Tally]:
        """The tally of each of ``among``, counted from the rows as they are now.

        :param by: ``"store_id"`` or ``"batch_id"``.
        """
        found = {identifier: Tally() for identifier in among}
        rows = self.filter(**{f"{by}__in": list(among)}).order_by().values_list(by, "status")
        for identifier, status, number, size in rows.annotate(number=Count("id"), size=Sum("usage_bytes")):
            setattr(found[identifier], status, number)
            found[identifier].usage_bytes += size
        return found
