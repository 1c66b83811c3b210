"""What people decide about a deployment that exists: approval, its end, and a canary's share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from assistants.deployments import activation, canaries, deploying, rights
from assistants.models import Deployment
from assistants.services import locked_assistant
from assistants.services.archived import refuse_resting
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_PROMOTE
from sovereign.core.database import now, only_row, service, visible_row
from sovereign.core.errors import ApiError, not_found

Status = Deployment.Status


@dataclass(frozen=True, slots=True)
class Decision:
    """
    :ivar allowed: the statuses in which it can be made.
    :ivar carry_out: called with the locked deployment.
    """

    allowed: tuple[str, ...]
    carry_out: Callable[[Principal, Deployment, str], None]


@service
@transaction.atomic  # where it is refused, an outer transaction keeps nothing of it
def set_status(
    *, principal: Principal, deployment_id: str, status: str | None = None, percent: Any = None, reason: str = ""
) -> Deployment:
    """Decide about a deployment.

    :param status: ``approved``, ``rejected``, ``cancelled``, ``active`` (of a canary: for all threads) or ``retired``.
    :param percent: a canary's new share of the threads; those that have it keep it when it grows.
    :raises ApiError: 400 ``invalid_transition``; 403 ``four_eyes``; for what is begun by it, as ``deploy``.
    """
    deployment = locked_deployment(principal=principal, deployment_id=deployment_id)
    if percent is not None:
        _share(principal, deployment, percent)
    if status is not None:
        decision = DECISIONS[status]
        if deployment.status not in decision.allowed:
            raise _impossible(deployment, f"cannot be {status}: only one that {_words(decision)} can")
        decision.carry_out(principal, deployment, reason)
    elif percent is None:
        raise ApiError("Give a 'status' or a 'percent'.", param="status", code="missing_required_parameter")
    return deployment


def get_deployment(*, principal: Principal, deployment_id: str) -> Deployment:
    """With its version.

    :raises ApiError: 404, also where the assistant is one that somebody keeps to themselves.
    """
    found = visible_row(Deployment, principal, deployment_id)
    if found is None or not type(found.assistant).objects.visible_to(principal).filter(pk=found.assistant_id).exists():
        raise not_found("deployment", deployment_id)
    return found


def locked_deployment(*, principal: Principal, deployment_id: str) -> Deployment:
    """The same under its assistant's lock."""
    known = get_deployment(principal=principal, deployment_id=deployment_id)
    assistant = locked_assistant(principal=principal, assistant_id=known.assistant_id)
    rows = Deployment.objects.visible_to(principal).filter(pk=deployment_id)
    deployment: Deployment | None = only_row(rows.select_related("version"))
    if deployment is None:
        raise not_found("deployment", deployment_id)
    deployment.assistant = assistant
    return deployment


def _approve(principal: Principal, deployment: Deployment, reason: str) -> None:
    principal.require(ASSISTANTS_PROMOTE)
    rights.require_second_person(principal, deployment)
    refuse_resting(deployment.assistant)
    deployment.approved_by_user, deployment.approved_at = principal.user_id, now()
    deployment.reason = reason
    _record(principal, "deployment.approved", deployment, reason=reason)
    if deployment.scheduled_at is not None and deployment.scheduled_at > now():
        deployment.status = Status.SCHEDULED
        deployment.save()
        return
    deploying.refuse_pointless(deployment)
    deploying.begin(principal, deployment)


def _reject(principal: Principal, deployment: Deployment, reason: str) -> None:
    principal.require(ASSISTANTS_PROMOTE)
    _record(principal, "deployment.rejected", deployment, reason=reason)
    activation.end(principal, deployment, Status.CANCELLED, reason or "Rejected.")


def _cancel(principal: Principal, deployment: Deployment, reason: str) -> None:
    rights.require(principal, deployment.environment)
    activation.end(principal, deployment, Status.CANCELLED, reason)


def _complete(principal: Principal, deployment: Deployment, reason: str) -> None:
    rights.require(principal, deployment.environment)
    rights.require_second_person_again(principal, deployment)
    activation.put_in_service(principal, deployment)


def _retire(principal: Principal, deployment: Deployment, reason: str) -> None:
    rights.require(principal, deployment.environment)
    canary = activation.canary_in(deployment.assistant_id, deployment.environment)
    if canary is not None:
        raise activation.conflict(f"The canary '{canary.id}' is beside it: complete it or call it off first.")
    activation.end(principal, deployment, Status.RETIRED, reason)


def _share(principal: Principal, deployment: Deployment, percent: Any) -> None:
    rights.require(principal, deployment.environment)
    if deployment.status != Status.CANARY:
        raise _impossible(deployment, "has no share of the threads: only a canary has")
    wanted = canaries.checked_percent(percent)
    if deployment.percent is None or wanted > deployment.percent:
        rights.require_second_person_again(principal, deployment)
    deployment.percent = wanted
    deployment.save(update_fields=["percent"])
    _record(principal, "deployment.shared", deployment, percent=str(deployment.percent))


DECISIONS: dict[str, Decision] = {
    "approved": Decision((Status.AWAITING_APPROVAL,), _approve),
    "rejected": Decision((Status.AWAITING_APPROVAL,), _reject),
    "cancelled": Decision((Status.SCHEDULED, Status.AWAITING_APPROVAL, Status.VALIDATING, Status.CANARY), _cancel),
    "active": Decision((Status.CANARY,), _complete),
    "retired": Decision((Status.ACTIVE,), _retire),
}


def _words(decision: Decision) -> str:
    return " or ".join(f"is {status}" for status in decision.allowed)


def _impossible(deployment: Deployment, what: str) -> ApiError:
    return ApiError(
        f"The deployment '{deployment.id}' is {deployment.status} and {what}.",
        param="status",
        code="invalid_transition",
    )


def _record(principal: Principal, action: str, deployment: Deployment, **details: Any) -> None:
    where = {"assistant": deployment.assistant_id, "environment": deployment.environment}
    audit.record(principal, action, deployment, **where, version=deployment.version.number, **details)
