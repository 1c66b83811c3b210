from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from functools import lru_cache, reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.db.models.functions import Now

from assistants.models import Assistant
from assistants.querysets import sees_all
from runs.states import ACTIVE, Status
from sovereign.accounts.scopes import CONVERSATIONS_READ

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal

MAXIMUM_CRASHES = 3  # workers that may die holding a run before it is taken for poison


class RunQuerySet(models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> RunQuerySet:
        """The runs on the threads the principal may see, as far as their assistants are :meth:`known_to` them."""
        return self.on_threads_of(principal).known_to(principal)

    def on_threads_of(self, principal: Principal) -> RunQuerySet:
        """The runs on the threads the principal may see, whether they know their assistants or not."""
        runs = self.filter(project_id=principal.project_id, thread__trashed_at=None)
        if principal.visitor_id is not None:
            return runs.filter(thread__visitor_id=principal.visitor_id)
        if principal.allows(CONVERSATIONS_READ):
            return runs
        nobodys = Q(thread__owner_id__isnull=True, thread__visitor_id__isnull=True)
        return runs.filter(nobodys if principal.user_id is None else nobodys | Q(thread__owner_id=principal.user_id))

    def known_to(self, principal: Principal) -> RunQuerySet:
        """Without those that are :meth:`unknown_to` them."""
        return self if sees_all(principal) else self.exclude(_is_unknown_to(principal))

    def unknown_to(self, principal: Principal) -> RunQuerySet:
        """Those of assistants that others keep to themselves: a run holds its assistant's instructions and tools.

        Who began a run knows it.
        """
        return self.none() if sees_all(principal) else self.filter(_is_unknown_to(principal))

    def tried(self) -> RunQuerySet:
        """Those of a version that nobody had deployed: evaluations, and first conversations."""
        return self.filter(version_id__isnull=False, deployment_id=None)

    def active(self) -> RunQuerySet:
        """Runs that hold their thread."""
        return self.filter(status__in=ACTIVE)

    def of_people_and_applications(self) -> RunQuerySet:
        """Without those that are :meth:`tried`, and without replays."""
        return self.filter(Q(version_id=None) | Q(deployment_id__isnull=False), replay_of=None)

    def replays_of(self, run_id: str) -> RunQuerySet:
        """Those that answer a run's question again, the newest first."""
        return self.filter(replay_of=run_id).order_by("-created_at", "-id")

    def unheld(self) -> RunQuerySet:
        """Runs that no living worker holds."""
        return self.filter(Q(lease_expires_at__isnull=True) | Q(lease_expires_at__lte=Now()))

    def held(self) -> RunQuerySet:
        """Runs that a living worker holds."""
        return self.filter(lease_owner__isnull=False, lease_expires_at__gt=Now())

    def claimable(
        self,
        *,
        models: Mapping[str, Collection[str]] | None = None,
        except_projects: Collection[str] = (),
        except_keys: Collection[str] = (),
    ) -> RunQuerySet:
        """Runs a worker may take: queued ones, and started ones that no worker holds any more.

        :param models: by project those that can be called for it now: of queued runs only theirs. SQLite takes some
            hundred projects.
        :param except_projects: of which no further model call may run now.
        :param except_keys: likewise.
        """
        waiting = Q(status=Status.QUEUED)
        if models is not None:
            served = [Q(project_id=project_id, model__in=sorted(names)) for project_id, names in sorted(models.items())]
            waiting &= reduce(or_, served, Q(pk__in=[]))
        orphaned = Q(status=Status.IN_PROGRESS) & ~self.is_poison()
        runs = self.unheld().filter(waiting | orphaned, expires_at__gt=Now())
        if except_projects:
            runs = runs.exclude(project_id__in=except_projects)
        return runs.exclude(created_by_key__in=except_keys) if except_keys else runs

    def poisoned(self) -> RunQuerySet:
        """Started runs that no living worker holds, and that have taken too many workers with them."""
        return self.unheld().filter(self.is_poison(), status=Status.IN_PROGRESS)

    @staticmethod
    def is_poison() -> Q:
        """The last worker died too (it never gave the lease back), and enough had died before it."""
        return Q(lease_owner__isnull=False, crash_count__gte=MAXIMUM_CRASHES - 1)

    def abandoned_cancels(self) -> RunQuerySet:
        """Runs to be cancelled that no living worker will end."""
        return self.unheld().filter(status=Status.CANCELLING)

    def overdue(self) -> RunQuerySet:
        """Active runs past their end of life."""
        return self.filter(status__in=ACTIVE, expires_at__lte=Now())

    def held_by(self, worker_id: str) -> RunQuerySet:
        return self.filter(lease_owner=worker_id)


@lru_cache(maxsize=4_096)
def _is_unknown_to(principal: Principal) -> Q:
    unknown = Q(Exists(Assistant.objects.hidden_from(principal).filter(pk=OuterRef("assistant_id"))))
    if principal.user_id is not None:
        unknown &= ~Q(created_by_user=principal.user_id)
    if principal.key_id is not None:
        unknown &= ~Q(created_by_key=principal.key_id)
    return unknown


class StepQuerySet(models.QuerySet[Any]):
    def of_run(self, run_id: str) -> StepQuerySet:
        return self.filter(run_id=run_id)


class EventQuerySet(models.QuerySet[Any]):
    def after(self, run_id: str, seq: int) -> EventQuerySet:
        """A run's events beyond a cursor, in order."""
        return self.filter(run_id=run_id, seq__gt=seq).order_by("seq")


class ToolUseQuerySet(models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> ToolUseQuerySet:
        return self.filter(project_id=principal.project_id)


class FeedbackQuerySet(models.QuerySet[Any]):
    def standing(self) -> FeedbackQuerySet:
        """Without those that were withdrawn."""
        return self.exclude(rating="")

    def by(self, principal: Principal) -> FeedbackQuerySet:
        """The principal's own."""
        return self.filter(user_id=principal.user_id, key_id=principal.key_id)

    def of_deployment(self, deployment_id: str) -> FeedbackQuerySet:
        """About the answers that a deployment gave."""
        return self.filter(run__deployment_id=deployment_id)


class DayTokensQuerySet(models.QuerySet[Any]):
    def add(self, tokens: int, day: date, **share: str) -> None:
        """Count on, from nothing where the row is of an earlier day: a late one counts for the day that has begun.

        :param share: ``assistant_id``, ``environment`` and ``project_id``.
        """
        is_past = Q(day__lt=day)
        counted = Case(When(is_past, then=Value(tokens)), default=F("tokens") + tokens)
        newest = Case(When(is_past, then=Value(day)), default=F("day"))
        row = self.filter(assistant_id=share["assistant_id"], environment=share["environment"])
        if not row.update(tokens=counted, day=newest):
            self.bulk_create([self.model(tokens=0, day=day, **share)], ignore_conflicts=True)  # or somebody else does
            row.update(tokens=counted, day=newest)
