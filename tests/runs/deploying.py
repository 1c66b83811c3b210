"""Versions and deployments as rows, for tests of what runs do for them."""

from __future__ import annotations

from typing import Any

from assistants.deployments import activation, checklist
from assistants.deployments.canaries import DEFAULTS
from assistants.models import Assistant, AssistantVersion, Deployment
from assistants.snapshots import take
from sovereign.core.database import now, transact

Status = Deployment.Status


def published(assistant: Assistant, **content: Any) -> AssistantVersion:
    """The next version of the draft, with this instead of what the draft has."""
    taken = {**take(assistant).as_json(), **content}
    number = assistant.versions.count() + 1
    return AssistantVersion.objects.create(
        project_id=assistant.project_id, assistant=assistant, number=number, content=taken, digest=f"{number:064}"
    )


def deployed(version: AssistantVersion, status: str = Status.ACTIVE, **fields: Any) -> Deployment:
    """The version in production; what is not given is as it is by default."""
    given = {"environment": "production", "thresholds": dict(DEFAULTS), "activated_at": now(), **fields}
    if status == Status.CANARY:
        given.setdefault("percent", 50)
    return Deployment.objects.create(
        project_id=version.project_id, assistant_id=version.assistant_id, version=version, status=status, **given
    )


def being_tried(version: AssistantVersion, **fields: Any) -> Deployment:
    """A deployment whose checks have begun."""
    deployment = deployed(version, Status.VALIDATING, environment="staging", activated_at=None, **fields)

    def begin() -> None:
        deployment.checks = checklist.begin(deployment)
        activation.conclude(None, deployment)

    transact(begin)
    return deployment
