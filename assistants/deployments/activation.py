"""From the wish to the end: how a deployment is tried, comes into service, and leaves it.

Everything here happens under the lock of the assistant's row, so that one thing at a time is done to what is deployed
of it; the unique constraints of the table are behind that.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import F, OuterRef, QuerySet, Subquery

from assistants.deployments import checklist, rights
from assistants.deployments.checks import Verdict
from assistants.models import Assistant, Deployment, LifeStatus
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.core.database import now, only_row, service
from sovereign.core.errors import ApiError

Status = Deployment.Status
REASON_LENGTH = 500
DUE_AT_ONCE = 100  # scheduled deployments that are begun in one go
IN_THE_WAY = (Status.VALIDATING, Status.CANARY)  # of any other in the same environment
AWAITED = "Somebody else than who asked for it has to approve it."

log = structlog.get_logger(__name__)


# ------------------------------------------------------------------------------------------- the product's own work


def settle(deployment_id: str) -> Deployment | None:
    """Look at what is being tried again: into service when all of it has passed, out when something has not.

    Any number of workers may do this at once, and again and again: where nothing is new, nothing is written.

    :returns: the deployment as it is now; ``None`` where it is not being tried (any more).
    """
    tried = Deployment.objects.filter(pk=deployment_id, status=Status.VALIDATING)
    deployment: Deployment | None = only_row(tried.select_related("version", "assistant"))
    if deployment is None or checklist.look_again(deployment) == deployment.checks:
        return deployment
    return _settle(deployment_id)


@service
def _settle(deployment_id: str) -> Deployment | None:
    deployment = _locked(deployment_id, Status.VALIDATING)
    if deployment is None:
        return None
    deployment.checks = checklist.look_again(deployment)
    conclude(None, deployment)
    return deployment


def begin_due() -> list[str]:
    """Begin every scheduled deployment whose time has come; the ids of those that were begun here.

    Those that something is in the way of are told so once and then left out by the query, so that any number of them
    keeps no other waiting and costs no transaction.
    """
    due = _due()
    for deployment_id in _ids(due.filter(other__isnull=False).exclude(reason__contains=F("other"))):
        _begin_due(deployment_id)
    return [deployment_id for deployment_id in _ids(due.filter(other=None)) if _begun(deployment_id)]


def _due() -> QuerySet[Any]:
    """Each with the ``other`` that is being tried, or is a canary, where it is to come; see ``refuse_in_the_way``."""
    others = Deployment.objects.filter(
        assistant_id=OuterRef("assistant_id"), environment=OuterRef("environment"), status__in=IN_THE_WAY
    )
    due = Deployment.objects.filter(status=Status.SCHEDULED, scheduled_at__lte=now()).order_by("scheduled_at", "pk")
    return due.annotate(other=Subquery(others.order_by("pk").values("pk")[:1]))


def _ids(due: QuerySet[Any]) -> list[str]:
    return list(due.values_list("pk", flat=True)[:DUE_AT_ONCE])


def _begun(deployment_id: str) -> bool:
    """Begin one; that which cannot be begun is ended: it must not be the first again at every look."""
    try:
        return _begin_due(deployment_id)
    except (OperationalError, InterfaceError):
        raise  # the database, not the deployment
    except Exception:
        log.exception("deployment_not_begun", deployment=deployment_id)
        _give_up(deployment_id)
        return False


@service
def _give_up(deployment_id: str) -> None:
    if (deployment := _locked(deployment_id, Status.SCHEDULED)) is not None:
        end(None, deployment, Status.FAILED, "A mistake of this server kept it from being begun. Deploy it again.")


@service
def _begin_due(deployment_id: str) -> bool:
    deployment = _locked(deployment_id, Status.SCHEDULED)
    if deployment is None or deployment.scheduled_at is None or deployment.scheduled_at > now():
        return False
    if deployment.assistant.status in (LifeStatus.ARCHIVED, LifeStatus.INACTIVE):
        end(None, deployment, Status.FAILED, f"The assistant is {deployment.assistant.status}.")
        return False
    if deployment.approved_at is None and rights.needs_approval(deployment):  # the policy is younger
        deployment.status, deployment.reason = Status.AWAITING_APPROVAL, AWAITED
        deployment.save()
        _record(None, deployment)
        return False
    try:
        refuse_in_the_way(deployment)
    except ApiError as refused:
        _note(deployment, refused.message)
        return False
    deployment.checks = checklist.begin(deployment)
    conclude(None, deployment)
    return True


@service
def roll_back_canary(*, deployment_id: str, reason: str) -> bool:
    """Take a canary back, as the product itself: its threads get the version beside it from their next run on.

    :returns: whether this call did it, of all that came to the same conclusion.
    """
    deployment = _locked(deployment_id, Status.CANARY)
    if deployment is None:
        return False
    end(None, deployment, Status.ROLLED_BACK, reason)
    return True


def _locked(deployment_id: str, status: str) -> Deployment | None:
    """The deployment and its assistant, if it has this status: the assistant's row is locked first, as everywhere."""
    assistant_id = Deployment.objects.filter(pk=deployment_id).values_list("assistant_id", flat=True).first()
    assistants = Assistant.objects.select_for_update(no_key=True).filter(pk=assistant_id)
    assistant: Assistant | None = only_row(assistants)
    if assistant is None:
        return None
    found: Deployment | None = only_row(
        Deployment.objects.filter(pk=deployment_id, status=status).select_related("version")
    )
    if found is not None:
        found.assistant = assistant
    return found


# ------------------------------------------------------------------------------------------- steps of all of it


def conclude(principal: Principal | None, deployment: Deployment) -> None:
    """What follows of the checks' findings: in service, out of the way, or still being tried.

    :param deployment: stored, under its assistant's lock, with ``checks``.
    """
    if checklist.of_verdict(deployment.checks, Verdict.FAILED):
        end(principal, deployment, Status.FAILED, checklist.summary(deployment.checks))
    elif checklist.of_verdict(deployment.checks, Verdict.PENDING):
        deployment.status = Status.VALIDATING
        deployment.reason = ""
        deployment.save()
    elif problem := _misplaced(deployment):
        end(principal, deployment, Status.FAILED, problem)
    else:
        put_in_service(principal, deployment)


def put_in_service(principal: Principal | None, deployment: Deployment) -> None:
    """Make it the active one in place of the one that was, or a canary beside it.

    :raises ApiError: 409 ``deployment_conflict``.
    """
    current = active_in(deployment.assistant_id, deployment.environment)
    is_canary = deployment.percent is not None and deployment.status != Status.CANARY
    try:
        with transaction.atomic():
            if current is not None and not is_canary:
                _supersede(principal, current, deployment)
            deployment.status = Status.CANARY if is_canary else Status.ACTIVE
            deployment.percent = deployment.percent if is_canary else None
            deployment.replaces = current.id if current is not None else None
            deployment.activated_at = now()
            deployment.reason = ""
            deployment.save()
    except IntegrityError:
        raise conflict(f"Something else was deployed to {deployment.environment} at the same moment.") from None
    _record(principal, deployment)


def _supersede(principal: Principal | None, current: Deployment, successor: Deployment) -> None:
    """Where the product does it, because all checks have passed, it is who asked for the successor that ended it."""
    current.ended_by_user = principal.user_id if principal else successor.asked_by_user
    current.ended_by_key = principal.key_id if principal else successor.asked_by_key
    _end(principal, current, Status.SUPERSEDED, f"Version {successor.version.number} took its place.")


def end(principal: Principal | None, deployment: Deployment, status: str, reason: str = "") -> None:
    """Take it out of service, or out of the way to it."""
    deployment.ended_by_user = principal.user_id if principal else None
    deployment.ended_by_key = principal.key_id if principal else None
    _end(principal, deployment, status, reason)


def _end(principal: Principal | None, deployment: Deployment, status: str, reason: str) -> None:
    deployment.status = status
    deployment.ended_at = now()
    deployment.reason = reason[:REASON_LENGTH]
    deployment.save()
    _record(principal, deployment)


def active_in(assistant_id: str, environment: str) -> Deployment | None:
    return _of_status(assistant_id, environment, Status.ACTIVE)


def canary_in(assistant_id: str, environment: str) -> Deployment | None:
    return _of_status(assistant_id, environment, Status.CANARY)


def refuse_in_the_way(deployment: Deployment) -> None:
    """One thing at a time: while one is being tried or is a canary, no other is begun.

    :raises ApiError: 409 ``deployment_conflict``.
    """
    others = Deployment.objects.of(deployment.assistant_id).filter(environment=deployment.environment)
    other = others.filter(status__in=IN_THE_WAY).exclude(pk=deployment.pk).first()
    if other is not None:
        doing = "is being tried" if other.status == Status.VALIDATING else "is a canary"
        raise conflict(
            f"The deployment '{other.id}' {doing} in {other.environment} at the moment. Wait for its end, or call it "
            "off first."
        )


def conflict(message: str) -> ApiError:
    return ApiError(message, status=HTTPStatus.CONFLICT, param="environment", code="deployment_conflict")


def _misplaced(deployment: Deployment) -> str:
    """Why it makes no sense any more to put it in service, if it does not."""
    current = active_in(deployment.assistant_id, deployment.environment)
    if current is None and deployment.percent is not None:
        return "Nothing is in service any more beside which a canary could be tried."
    if current is not None and current.version_id == deployment.version_id:
        return "The same version has come into service meanwhile."
    return ""


def _of_status(assistant_id: str, environment: str, status: str) -> Deployment | None:
    rows = Deployment.objects.of(assistant_id).filter(environment=environment, status=status)
    found: Deployment | None = only_row(rows.select_related("version"))
    return found


def _note(deployment: Deployment, reason: str) -> None:
    """Say why it waits, once."""
    if deployment.reason != reason[:REASON_LENGTH]:
        deployment.reason = reason[:REASON_LENGTH]
        deployment.save(update_fields=["reason"])


def _record(principal: Principal | None, deployment: Deployment) -> None:
    """In the audit log: ``deployment.active``, ``deployment.rolled_back`` …"""
    audit.record(
        principal,
        f"deployment.{deployment.status}",
        deployment,
        assistant=deployment.assistant_id,
        environment=deployment.environment,
        version=deployment.version.number,
        reason=deployment.reason,
    )
