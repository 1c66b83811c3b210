"""What answers people in an environment, and by whom that is ended together with its assistant."""

from __future__ import annotations

from assistants.kinds import GUARDED
from assistants.models import Assistant, Deployment
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_PROMOTE
from sovereign.core import errors

Status = Deployment.Status
SERVING = (Status.ACTIVE, Status.CANARY)
DELETED = "The assistant was deleted."


def refuse_to_end(principal: Principal, assistant: Assistant) -> None:
    """What answers in staging or production is ended by those alone who may promote to there.

    :raises ApiError: 403.
    """
    if principal.allows(ASSISTANTS_PROMOTE):
        return
    if Deployment.objects.of(assistant.id).filter(environment__in=GUARDED, status__in=SERVING).exists():
        raise errors.forbidden(ASSISTANTS_PROMOTE)


def record_end(principal: Principal, assistant: Assistant) -> None:
    """In the audit log, for each environment that an assistant leaves when it is deleted, rows and all."""
    serving = Deployment.objects.of(assistant.id).filter(status__in=SERVING).select_related("version")
    for deployment in serving.order_by("created_at", "id"):
        audit.record(
            principal,
            f"deployment.{Status.RETIRED}",
            deployment,
            assistant=assistant.id,
            environment=deployment.environment,
            version=deployment.version.number,
            reason=DELETED,
        )
