"""Deployments, and what is said of environments, as our own API's objects. Times are seconds since 1970."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from assistants.deployments.checklist import Findings, of_verdict
from assistants.deployments.checks import Verdict, required
from assistants.deployments.rights import SCOPE_OF
from assistants.kinds import Environment
from assistants.models import AssistantVersion, Deployment, Scale
from sovereign.accounts.models import ApiKey, User

#: of a deployment on its way to being in service
WAITING = (Deployment.Status.SCHEDULED, Deployment.Status.AWAITING_APPROVAL, Deployment.Status.VALIDATING)


def render_deployments(deployments: Sequence[Deployment]) -> list[dict[str, Any]]:
    """Each as ``render_deployment`` has it; people and keys are asked for once. They need their versions."""
    names = Names(deployments)
    return [_rendered(deployment, names) for deployment in deployments]


def render_deployment(deployment: Deployment) -> dict[str, Any]:
    return render_deployments([deployment])[0]


def render_with_snapshot(deployment: Deployment) -> dict[str, Any]:
    """With all that its version is made of."""
    return {**render_deployment(deployment), "snapshot": deployment.version.content}


class Names:
    """What the people and keys of deployments are called; those that were deleted have no name."""

    def __init__(self, deployments: Iterable[Deployment]) -> None:
        people = [user for row in deployments for user in (row.asked_by_user, row.approved_by_user, row.ended_by_user)]
        users = {user for user in people if user is not None}
        keys = {key for row in deployments for key in (row.asked_by_key, row.ended_by_key) if key is not None}
        self._users = dict(User.objects.filter(pk__in=users).values_list("pk", "username"))
        self._keys = dict(ApiKey.objects.filter(pk__in=keys).values_list("pk", "name")) if keys else {}

    def of(self, user_id: int | None, key_id: str | None = None) -> dict[str, Any] | None:
        if user_id is not None:
            return {"type": "user", "id": str(user_id), "name": self._users.get(user_id)}
        if key_id is not None:
            return {"type": "api_key", "id": key_id, "name": self._keys.get(key_id)}
        return None


def _rendered(deployment: Deployment, names: Names) -> dict[str, Any]:
    return {
        "id": deployment.id,
        "object": "assistant.deployment",
        "created_at": _seconds(deployment.created_at),
        "assistant_id": deployment.assistant_id,
        "version": render_version(deployment.version),
        "environment": deployment.environment,
        "status": deployment.status,
        "percent": float(deployment.percent) if deployment.percent is not None else None,
        "thresholds": deployment.thresholds or None,
        "checks": deployment.checks,
        "smoke_run_id": deployment.smoke_run_id,
        "notes": deployment.notes,
        "replaces": deployment.replaces,
        "promoted_from": deployment.promoted_from,
        "asked_by": names.of(deployment.asked_by_user, deployment.asked_by_key),
        "approved_by": names.of(deployment.approved_by_user),
        "approved_at": _seconds(deployment.approved_at),
        "scheduled_at": _seconds(deployment.scheduled_at),
        "activated_at": _seconds(deployment.activated_at),
        "ended_at": _seconds(deployment.ended_at),
        "ended_by": names.of(deployment.ended_by_user, deployment.ended_by_key),
        "reason": deployment.reason,
    }


def render_version(version: AssistantVersion) -> dict[str, Any]:
    return {"id": version.id, "number": version.number}


def _validated(version: AssistantVersion) -> dict[str, Any]:
    """One that is only thought of has no id."""
    return {"id": None if version._state.adding else version.id, "number": version.number}


def render_validation(version: AssistantVersion, environment: str, findings: Findings) -> dict[str, Any]:
    return {
        "object": "assistant.validation",
        "assistant_id": version.assistant_id,
        "version": _validated(version),
        "environment": environment,
        "verdict": verdict_of(findings),
        "checks": findings,
    }


def verdict_of(findings: Findings) -> str:
    """Of all together: failed where one has, pending where one is, else passed."""
    found = (verdict for verdict in (Verdict.FAILED, Verdict.PENDING) if of_verdict(findings, verdict))
    return next(found, Verdict.PASSED).value


def render_scale(assistant_id: str, environment: str, scale: Scale | None) -> dict[str, Any]:
    """``None``: what an assistant has for which nobody has said anything."""
    return {
        "object": "assistant.scale",
        "assistant_id": assistant_id,
        "environment": environment,
        "worker_slots": scale.worker_slots if scale is not None else None,
        "priority": scale.priority if scale is not None else 0,
        "tokens_per_day": scale.tokens_per_day if scale is not None else None,
    }


def render_environment(environment: Environment, *, four_eyes: bool) -> dict[str, Any]:
    following = environment.following
    return {
        "id": environment.value,
        "object": "environment",
        "title": environment.label,
        "following": following.value if following is not None else None,
        "four_eyes": four_eyes,
        "scope": SCOPE_OF[environment.value],
        "checks": [{"name": check.name, "title": check.title} for check in required(environment.value)],
    }


def render_status(assistant_id: str, deployments: Sequence[Deployment], scales: Sequence[Scale]) -> dict[str, Any]:
    """What is in service, tried, or waiting, of an assistant in every environment.

    :param deployments: of these statuses, the newest first, with their versions.
    """
    rendered = render_deployments(deployments)
    by_environment = {scale.environment: scale for scale in scales}
    return {
        "object": "assistant.deployment_status",
        "assistant_id": assistant_id,
        "environments": [
            {
                "environment": environment,
                **_places([each for each in rendered if each["environment"] == environment]),
                "scale": render_scale(assistant_id, environment, by_environment.get(environment)),
            }
            for environment in Environment.values
        ],
    }


def _places(rendered: list[dict[str, Any]]) -> dict[str, Any]:
    by_status = {each["status"]: each for each in rendered}
    return {
        "active": by_status.get(Deployment.Status.ACTIVE),
        "canary": by_status.get(Deployment.Status.CANARY),
        "pending": [each for each in rendered if each["status"] in WAITING],
    }


def _seconds(instant: datetime | None) -> int | None:
    return int(instant.timestamp()) if instant is not None else None
