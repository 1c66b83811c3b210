"""Asking for a version to be in service somewhere: at once, after a trial, after an approval, or at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from assistants import snapshots
from assistants.deployments import activation, canaries, checklist, rights
from assistants.deployments.checks import Verdict
from assistants.kinds import Environment
from assistants.models import Assistant, AssistantVersion, Deployment
from assistants.services import get_assistant, locked_assistant, versions
from assistants.services.archived import refuse_resting
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.core.database import now, service
from sovereign.core.errors import ApiError

Status = Deployment.Status
FURTHEST = timedelta(days=366)  # that something is scheduled ahead
MOST_WAITING = 10  # of an assistant in an environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a version is to come into service.

    :ivar percent: of the threads, as a canary beside what is in service; ``None``: of all.
    :ivar thresholds: see ``canaries``.
    :ivar scheduled_at: not before.
    :ivar expected: the id of what is in service there for all that the caller knows, ``None`` for nothing.
    :ivar is_expecting: whether ``expected`` was said.
    """

    percent: float | None = None
    thresholds: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""
    scheduled_at: datetime | None = None
    expected: str | None = None
    is_expecting: bool = False

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Wish:
        """
        :param request: ``percent``, ``thresholds``, ``notes``, ``scheduled_at`` and ``expected_deployment``, each
            where it is given.
        """
        known = {name: request[name] for name in ("percent", "scheduled_at") if name in request}
        return cls(
            **known,
            thresholds=request.get("thresholds") or {},
            notes=request.get("notes") or "",
            expected=request.get("expected_deployment"),
            is_expecting="expected_deployment" in request,
        )


@service
@transaction.atomic  # where it is refused, an outer transaction keeps nothing of it
def deploy(
    *, principal: Principal, assistant_id: str, environment: str, version: str | None = None, **request: Any
) -> Deployment:
    """Have a version in service in an environment.

    :param version: its id or number; without it the draft, which is published where it is no version yet.
    :param request: see ``Wish.of``.
    :returns: the deployment: ``active`` or ``canary`` where all checks could be made at once, else ``validating``,
        ``awaiting_approval`` or ``scheduled``.
    :raises ApiError: 400 ``not_ready`` with all checks; 409 ``deployment_conflict``; 400 ``already_deployed``,
        ``no_active_deployment``, ``assistant_archived``, ``assistant_inactive``, ``too_many_deployments``; 403, 404.
    """
    rights.require(principal, environment)
    assistant = locked_assistant(principal=principal, assistant_id=assistant_id)
    refuse_resting(assistant)
    chosen = _version(principal, assistant, version)
    return _ask(principal, assistant, chosen, environment, Wish.of(request))


@service
@transaction.atomic  # where it is refused, an outer transaction keeps nothing of it
def promote(*, principal: Principal, assistant_id: str, environment: str, **request: Any) -> Deployment:
    """Have what is in service in ``environment`` in the next one, too. Returns and raises like :func:`deploy`.

    :raises ApiError: 400 ``nothing_to_promote``, also of what is in production.
    """
    following = Environment(environment).following
    if following is None:
        raise ApiError(
            f"Nothing comes after {environment}: what is in service there cannot be promoted.",
            param="environment",
            code="nothing_to_promote",
        )
    rights.require(principal, following.value)
    assistant = locked_assistant(principal=principal, assistant_id=assistant_id)
    refuse_resting(assistant)
    source = activation.active_in(assistant.id, environment)
    if source is None:
        raise ApiError(
            f"No version of the assistant '{assistant.id}' is in service in {environment}. Deploy one there first.",
            param="environment",
            code="nothing_to_promote",
        )
    return _ask(principal, assistant, source.version, following.value, Wish.of(request), promoted_from=source.id)


def validate(
    *, principal: Principal, assistant_id: str, environment: str, version: str | None = None
) -> tuple[AssistantVersion, checklist.Findings]:
    """What the checks say of a version before anybody deploys it. Nothing is begun: what has to be tried is pending.

    :param version: its id or number; without it the draft, as :func:`deploy` would publish it.
    :returns: the version, which has no row where the draft is none yet.
    :raises ApiError: 404.
    """
    assistant = get_assistant(principal=principal, assistant_id=assistant_id)
    if version is None:
        chosen = _of_draft(assistant)
    else:
        chosen = versions.get_version(principal=principal, assistant_id=assistant.id, version=version)
    return chosen, checklist.look(_row(principal, assistant, chosen, environment, Wish()))


def _of_draft(assistant: Assistant) -> AssistantVersion:
    """The newest version, if the draft is still that; else the one that would come after it."""
    newest = versions.newest_version(assistant)
    content = snapshots.take_for_version(assistant)
    if newest is not None and newest.digest == content.digest():
        return newest
    return AssistantVersion(
        project_id=assistant.project_id,
        assistant=assistant,
        number=newest.number + 1 if newest is not None else 1,
        content=content.as_json(),
    )


def _version(principal: Principal, assistant: Assistant, version: str | None) -> AssistantVersion:
    if version is None:
        return versions.version_of_draft(principal=principal, assistant=assistant)
    return versions.get_version(principal=principal, assistant_id=assistant.id, version=version)


def _ask(
    principal: Principal,
    assistant: Assistant,
    version: AssistantVersion,
    environment: str,
    wish: Wish,
    promoted_from: str | None = None,
) -> Deployment:
    deployment = _row(principal, assistant, version, environment, wish)
    deployment.promoted_from = promoted_from
    _refuse_unexpected(deployment, wish)
    _refuse_past(wish.scheduled_at)
    if wish.scheduled_at is None:
        refuse_pointless(deployment)
    deployment.checks = checklist.look(deployment)
    if checklist.of_verdict(deployment.checks, Verdict.FAILED):
        raise checklist.not_ready(deployment, deployment.checks)
    if rights.needs_approval(deployment):
        deployment.status, deployment.reason = Status.AWAITING_APPROVAL, activation.AWAITED
    if deployment.status != Status.VALIDATING:
        _refuse_too_many(deployment)
    deployment.save(force_insert=True)
    audit.record(
        principal,
        "deployment.created",
        deployment,
        assistant=assistant.id,
        environment=environment,
        version=version.number,
        status=deployment.status,
    )
    if deployment.status == Status.VALIDATING:
        begin(principal, deployment)
    return deployment


def begin(principal: Principal, deployment: Deployment) -> None:
    """Begin a stored deployment, now, for somebody who waits for it.

    :raises ApiError: 400 ``not_ready``; nothing of it is kept then, and what was in the way before still is.
    """
    deployment.checks = checklist.begin(deployment)
    if checklist.of_verdict(deployment.checks, Verdict.FAILED):
        raise checklist.not_ready(deployment, deployment.checks)
    activation.conclude(principal, deployment)


def refuse_pointless(deployment: Deployment) -> None:
    """:raises ApiError: 409 ``deployment_conflict``; 400 ``already_deployed`` or ``no_active_deployment``."""
    activation.refuse_in_the_way(deployment)
    current = activation.active_in(deployment.assistant_id, deployment.environment)
    if current is not None and current.version_id == deployment.version_id:
        raise ApiError(
            f"Version {deployment.version.number} is in service in {deployment.environment} already.",
            param="version",
            code="already_deployed",
        )
    if current is None and deployment.percent is not None:
        raise ApiError(
            f"Nothing is in service in {deployment.environment} beside which a canary could be tried. Leave out "
            "'percent' to deploy the version for all threads.",
            param="percent",
            code="no_active_deployment",
        )


def _row(
    principal: Principal, assistant: Assistant, version: AssistantVersion, environment: str, wish: Wish
) -> Deployment:
    share: Decimal | None = None if wish.percent is None else canaries.checked_percent(wish.percent)
    if share is None and wish.thresholds:
        raise ApiError("Only a canary has thresholds: give 'percent', too.", param="thresholds", code="invalid_value")
    return Deployment(
        project_id=assistant.project_id,
        assistant=assistant,
        version=version,
        environment=environment,
        status=Status.VALIDATING if wish.scheduled_at is None else Status.SCHEDULED,
        percent=share,
        thresholds=canaries.checked(wish.thresholds) if share is not None else {},
        notes=wish.notes,
        scheduled_at=wish.scheduled_at,
        asked_by_user=principal.user_id,
        asked_by_key=principal.key_id,
    )


def _refuse_unexpected(deployment: Deployment, wish: Wish) -> None:
    if not wish.is_expecting:
        return
    refuse_other_than(wish.expected, activation.active_in(deployment.assistant_id, deployment.environment))


def refuse_other_than(expected: str | None, current: Deployment | None) -> None:
    """:raises ApiError: 409 ``deployment_conflict``, something else is in service than the caller knows of."""
    is_now = current.id if current is not None else None
    if is_now != expected:
        there = f"'{is_now}' is in service" if is_now else "nothing is in service"
        knew = f"'{expected[:64]}'" if expected else "nothing"
        raise activation.conflict(
            f"Somebody else has deployed meanwhile: {there}, and you expected {knew}. Look at what has changed, and "
            "ask again."
        )


def _refuse_past(instant: datetime | None) -> None:
    if instant is None:
        return
    today = now()
    if not today < instant <= today + FURTHEST:
        raise ApiError(
            f"Invalid 'scheduled_at': expected a time in the future, at most {FURTHEST.days} days from now.",
            param="scheduled_at",
            code="invalid_value",
        )


def _refuse_too_many(deployment: Deployment) -> None:
    """Of what waits for its time, or for an approval, an environment of an assistant has a few."""
    waiting = Deployment.objects.of(deployment.assistant_id).filter(environment=deployment.environment)
    if waiting.filter(status__in=(Status.SCHEDULED, Status.AWAITING_APPROVAL)).count() >= MOST_WAITING:
        raise ApiError(
            f"{MOST_WAITING} deployments to {deployment.environment} wait for their time or for approval already. "
            "Call one off first.",
            param="environment",
            code="too_many_deployments",
        )
