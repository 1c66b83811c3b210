"""Pulls: begun and called off by people, followed by whichever worker has time.

What is written about a pull is written by conditions that name its lease: of one that was called off, or that another
worker took, nobody writes any more.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet

from inference.models import ModelPull, Provider
from sovereign.accounts import audit
from sovereign.core.database import now, service
from sovereign.core.errors import ApiError, not_found
from sovereign.core.visible import storable

LEASE = timedelta(seconds=15)
MOST_ATTEMPTS = 5  # workers that may die following it
KEPT = timedelta(days=30)  # pulls that are over
MAXIMUM_STEP, MAXIMUM_ERROR = 200, 500  # characters
NOT_OLLAMA = "Only an Ollama that is enabled can be told to fetch a model."
ABANDONED = "It was begun again and again, and never came to its end."

Status = ModelPull.Status


@dataclass(frozen=True, slots=True)
class ClaimedPull:
    """A pull that the caller follows until its lease ends."""

    id: str
    provider_id: str
    model: str
    token: str


@service
def begin_pull(*, provider: Provider, model: str, user_id: int | None = None) -> ModelPull:
    """Have a provider fetch a model, in the background. One that is under way already is that one.

    :raises ApiError: not a provider that can.
    """
    current = Provider.objects.filter(pk=provider.pk, kind=Provider.Kind.OLLAMA, enabled=True).first()
    if current is None:
        raise ApiError(NOT_OLLAMA, param="model")
    instant = now()
    ModelPull.objects.filter(ended_at__lt=instant - KEPT).delete()
    fields = {"provider": current, "model": model, "user_id": user_id, "created_at": instant}
    try:
        with transaction.atomic():
            made: ModelPull = ModelPull.objects.create(**fields)
    except IntegrityError:
        open_one: ModelPull | None = ModelPull.objects.active().filter(provider=current, model=model).first()
        if open_one is not None:
            return open_one
        made = ModelPull.objects.create(**fields)  # that one has ended meanwhile
    audit.record_of_person(user_id, "provider.model_pulled", current, name=current.name, model=model)
    return made


@service
def cancel_pull(*, pull_id: str, user_id: int | None = None) -> ModelPull:
    """Call a pull off; nothing changes where it is over.

    :raises ApiError: 404.
    """
    pull: ModelPull | None = ModelPull.objects.select_related("provider").filter(pk=pull_id).first()
    if pull is None:
        raise not_found("pull", pull_id)
    if ModelPull.objects.active().filter(pk=pull_id).update(status=Status.CANCELLED, ended_at=now(), **_NO_LEASE):
        details = {"name": pull.provider.name, "model": pull.model}
        audit.record_of_person(user_id, "provider.pull_cancelled", pull.provider, **details)
    pull.refresh_from_db()
    return pull


def claim_pull() -> ClaimedPull | None:
    """The oldest pull that nobody follows. Looks before it locks."""
    return _claim() if _unfollowed().exists() else None


@service
def _claim() -> ClaimedPull | None:
    for pull in _unfollowed().order_by("created_at", "id").select_for_update(skip_locked=True, no_key=True):
        instant = now()
        if pull.attempts >= MOST_ATTEMPTS:
            ModelPull.objects.filter(pk=pull.pk).update(
                status=Status.FAILED, error=ABANDONED, ended_at=instant, **_NO_LEASE
            )
            continue
        token = secrets.token_hex(8)
        ModelPull.objects.filter(pk=pull.pk).update(
            status=Status.IN_PROGRESS,
            attempts=F("attempts") + 1,
            started_at=pull.started_at or instant,
            lease_owner=token,
            lease_expires_at=instant + LEASE,
        )
        return ClaimedPull(pull.pk, pull.provider_id, pull.model, token)
    return None


@service
def keep_pull(claimed: ClaimedPull, step: str, completed: int, total: int) -> bool:
    """Write how far it is, and hold it further; false where it is nobody's or another's by now."""
    written = _held(claimed).update(
        step=storable(step, MAXIMUM_STEP),
        completed_bytes=completed,
        total_bytes=total,
        lease_expires_at=now() + LEASE,
    )
    return bool(written == 1)


@service
def end_pull(claimed: ClaimedPull, error: str = "") -> None:
    """The provider is done, or ``error`` says why it is not."""
    status = Status.FAILED if error else Status.COMPLETED
    error = storable(error, MAXIMUM_ERROR)
    _held(claimed).update(status=status, error=error, step="", ended_at=now(), **_NO_LEASE)


@service
def give_back_pull(claimed: ClaimedPull) -> None:
    """The worker stops: another one goes on at once, from where the provider is."""
    _held(claimed).update(attempts=F("attempts") - 1, **_NO_LEASE)


_NO_LEASE = {"lease_owner": None, "lease_expires_at": None}


def _unfollowed() -> QuerySet[ModelPull]:
    free = Q(lease_expires_at=None) | Q(lease_expires_at__lte=now())
    rows: QuerySet[ModelPull] = ModelPull.objects.active().filter(free)
    return rows


def _held(claimed: ClaimedPull) -> QuerySet[ModelPull]:
    rows: QuerySet[ModelPull] = ModelPull.objects.filter(
        pk=claimed.id, status=Status.IN_PROGRESS, lease_owner=claimed.token
    )
    return rows
