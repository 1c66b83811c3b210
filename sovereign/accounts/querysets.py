"""The vocabulary of the accounts' queries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Case, Q, When

from sovereign.accounts.principals import Principal

if TYPE_CHECKING:
    from sovereign.accounts.models import ApiKey, AuditEvent, IdempotencyRecord, Limit, Membership, Project  # noqa: F401


class ProjectQuerySet(models.QuerySet["Project"]):
    def active(self) -> ProjectQuerySet:
        return self.filter(archived_at=None)

    def visible_to(self, principal: Principal) -> ProjectQuerySet:
        return self.filter(pk=principal.project_id)


class MembershipQuerySet(models.QuerySet["Membership"]):
    def visible_to(self, principal: Principal) -> MembershipQuerySet:
        return self.filter(project_id=principal.project_id)

    def in_force(self) -> MembershipQuerySet:
        """Of active people in projects that are not archived."""
        return self.filter(user__is_active=True, project__archived_at=None)


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def visible_to(self, principal: Principal) -> ApiKeyQuerySet:
        return self.filter(project_id=principal.project_id)

    def in_force(self, at: datetime) -> ApiKeyQuerySet:
        """Neither revoked nor expired, and of a project that is not archived."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=at), revoked_at=None, project__archived_at=None)


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def visible_to(self, principal: Principal) -> AuditEventQuerySet:
        return self.filter(project_id=principal.project_id)

    def by(self, principal: Principal) -> AuditEventQuerySet:
        """What this person or key did."""
        return self.filter(user_id=principal.user_id, key_id=principal.key_id)

    def about(self, obj: models.Model) -> AuditEventQuerySet:
        return self.filter(object_type=obj._meta.model_name, object_id=str(obj.pk))


class IdempotencyQuerySet(models.QuerySet["IdempotencyRecord"]):
    def retried(self, fingerprint: str, retry: int, at: datetime) -> IdempotencyQuerySet:
        """What the ``retry``-th retry of a request without a key may be a retry of, likeliest first.

        Two equal requests may both be retried: one that was answered with that retry's count already comes last, one
        that was retried before it goes before one that never was, and then a newer one before an older.
        """
        records = self.filter(key_digest=None, fingerprint=fingerprint, expires_at__gt=at)
        open_first = Case(When(retries__lt=retry, then=0), default=1)
        return records.order_by(open_first, "-retries", "-id")

    def made_by_retry(self, fingerprint: str, expiring_after: datetime) -> IdempotencyQuerySet:
        """What a retry of a request without a key did because its first was not done yet."""
        records = self.filter(key_digest=None, fingerprint=fingerprint, expires_at__gt=expiring_after)
        return records.filter(retries__gt=0).order_by("-id")


class LimitQuerySet(models.QuerySet["Limit"]):
    def visible_to(self, principal: Principal) -> LimitQuerySet:
        return self.filter(project_id=principal.project_id)

    def of(self, projects: Iterable[str], keys: Iterable[str]) -> LimitQuerySet:
        """Those of whole projects, and those of keys."""
        return self.filter(Q(project_id__in=projects, key=None) | Q(key_id__in=keys))
