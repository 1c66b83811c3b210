"""What workers do for deployments, all of them at once: each thing is done by the one that comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog
from django.db import InterfaceError, OperationalError

from assistants.deployments import activation
from assistants.models import Deployment
from runs.lifecycle import smoke
from runs.lifecycle.judging import judge
from runs.lifecycle.metrics import CANARIES_TAKEN_BACK
from runs.lifecycle.signals import signals_of
from runs.worker.chores import to_its_end

log = structlog.get_logger(__name__)

Status = Deployment.Status
WATCH = 2.0  # seconds between two looks at the canaries


async def settle_deployments() -> None:
    """Begin what was scheduled, and go on with what is being tried."""
    await to_its_end(settle)


async def watch_canaries() -> None:
    """Take canaries back that do worse than they may."""
    await to_its_end(watch)
    await asyncio.sleep(WATCH)


def settle() -> None:
    activation.begin_due()
    for_each(Deployment.objects.filter(status=Status.VALIDATING).order_by("created_at"), _settle)


def watch() -> None:
    for_each(Deployment.objects.filter(status=Status.CANARY).order_by("created_at"), _watch)


def for_each(deployments: Iterable[Deployment], work: Callable[[Deployment], None]) -> None:
    """One that cannot be looked after must not keep the others waiting."""
    for deployment in deployments:
        try:
            work(deployment)
        except (OperationalError, InterfaceError):
            raise  # the database, not the deployment
        except Exception:
            log.exception("deployment_not_looked_after", deployment=deployment.pk)


def _settle(deployment: Deployment) -> None:
    smoke.ask_again(deployment.pk)
    settled = activation.settle(deployment.pk)
    if settled is not None and settled.status != Status.VALIDATING:
        smoke.leave(settled)
        log.info("deployment_settled", deployment=settled.pk, status=str(settled.status), reason=settled.reason or None)


def _watch(canary: Deployment) -> None:
    beside = activation.active_in(canary.assistant_id, canary.environment)
    if beside is None:
        return
    judgement = judge(
        signals_of(canary.pk),
        signals_of(beside.pk, since=canary.activated_at),
        signals_of(beside.pk).seconds,
        canary.thresholds,
    )
    if judgement is not None and activation.roll_back_canary(deployment_id=canary.pk, reason=judgement.reason):
        CANARIES_TAKEN_BACK.labels(cause=judgement.cause).inc()
        log.warning("canary_rolled_back", deployment=canary.pk, cause=judgement.cause, reason=judgement.reason)
