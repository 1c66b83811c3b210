"""The vocabulary of the accounts' queries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from django.apps import apps
from django.db import models
from django.db.models import BooleanField, Case, Exists, ExpressionWrapper, OuterRef, Q, When

from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import MEMBERS_MANAGE, ROLE_SCOPES, Role

if TYPE_CHECKING:
    from sovereign.accounts.models import (  # noqa: F401
        ApiKey,
        AuditEvent,
        IdempotencyRecord,
        Invitation,
        Limit,
        Membership,
        Project,
        RetiredSecret,
    )

MANAGERS = [role for role, scopes in ROLE_SCOPES.items() if MEMBERS_MANAGE in scopes]


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


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def visible_to(self, principal: Principal) -> InvitationQuerySet:
        return self.filter(project_id=principal.project_id)

    def in_force(self, at: datetime) -> InvitationQuerySet:
        """Those that somebody may still come by."""
        standing = self.filter(accepted_at=None, revoked_at=None, expires_at__gt=at, project__archived_at=None)
        return standing.filter(_maker_may())

    def backed(self) -> InvitationQuerySet:
        """With ``is_backed``: whether who made it might make it today."""
        return self.annotate(is_backed=ExpressionWrapper(_maker_may(), BooleanField()))


def _maker_may() -> Q:
    """Nobody who lost a right comes back by an invitation that they made before."""
    members = MembershipQuerySet(apps.get_model("accounts", "Membership")).in_force()
    makers = members.filter(project_id=OuterRef("project_id"), user_id=OuterRef("created_by"))
    managers = Q(Exists(makers.filter(role__in=MANAGERS))) & ~Q(role=Role.OWNER)
    superusers = Q(created_by__is_superuser=True, created_by__is_active=True)
    return Q(is_by_operator=True) | superusers | managers | Q(Exists(makers.filter(role=Role.OWNER)))


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def visible_to(self, principal: Principal) -> ApiKeyQuerySet:
        return self.filter(project_id=principal.project_id)

    def in_force(self, at: datetime) -> ApiKeyQuerySet:
        """Neither revoked nor expired, and of a project that is not archived."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=at), revoked_at=None, project__archived_at=None)


class RetiredSecretQuerySet(models.QuerySet["RetiredSecret"]):
    def in_force(self, at: datetime) -> RetiredSecretQuerySet:
        """Those that are still taken."""
        return self.filter(valid_until__gt=at)


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
