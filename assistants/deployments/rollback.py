"""Rolling back: what was in service before is so again, at once and without any trial."""

from __future__ import annotations

from assistants.deployments import activation, rights
from assistants.deployments.deploying import refuse_other_than
from assistants.models import Assistant, Deployment
from assistants.models.versions import NOTES_LENGTH
from assistants.services import locked_assistant
from sovereign.accounts.principals import Principal
from sovereign.core.database import now, only_row, service
from sovereign.core.errors import ApiError

Status = Deployment.Status


@service
def roll_back(
    *, principal: Principal, assistant_id: str, environment: str, reason: str = "", **expectation: str | None
) -> Deployment:
    """Take back what came last: the canary where there is one, else what is in service, for what it had replaced.

    :param expectation: ``expected_deployment``, what is in service for all that the caller knows.
    :returns: what is in service now. Of what was put back it is a new row, and asked to go back again, it goes on from
        there.
    :raises ApiError: 400 ``nothing_to_roll_back_to``; 409 ``deployment_conflict``; 403, 404.
    """
    rights.require(principal, environment)
    assistant = locked_assistant(principal=principal, assistant_id=assistant_id)
    current = activation.active_in(assistant.id, environment)
    if "expected_deployment" in expectation:
        refuse_other_than(expectation["expected_deployment"], current)
    canary = activation.canary_in(assistant.id, environment)
    if current is not None and canary is not None:
        activation.end(principal, canary, Status.ROLLED_BACK, reason)
        return current
    former = _replaced_by(current)
    if current is None or former is None:
        raise _nothing(assistant, environment, current)
    activation.end(principal, current, Status.ROLLED_BACK, reason)
    return _put_back(principal, former, f"In service again after version {current.version.number}. {reason}".strip())


def _replaced_by(current: Deployment | None) -> Deployment | None:
    """What stood there before. A deployment that is not of this assistant any more there cannot be."""
    if current is None or current.replaces is None:
        return None
    rows = Deployment.objects.of(current.assistant_id).filter(pk=current.replaces, environment=current.environment)
    former: Deployment | None = only_row(rows.select_related("version", "assistant"))
    return former


def _put_back(principal: Principal, former: Deployment, notes: str) -> Deployment:
    back = Deployment(
        project_id=former.project_id,
        assistant=former.assistant,
        version=former.version,
        environment=former.environment,
        status=Status.VALIDATING,
        checks=former.checks,  # what it passed when it came
        notes=notes[:NOTES_LENGTH],
        promoted_from=former.promoted_from,
        asked_by_user=principal.user_id,
        asked_by_key=principal.key_id,
        scheduled_at=None,
        activated_at=now(),
    )
    activation.put_in_service(principal, back)
    back.replaces = former.replaces  # the next one back is before it, and not what was just taken back
    back.save(update_fields=["replaces"])
    return back


def _nothing(assistant: Assistant, environment: str, current: Deployment | None) -> ApiError:
    if current is None:
        why = f"no version of the assistant '{assistant.id}' is in service in {environment}."
    else:
        why = f"version {current.version.number} in {environment} took the place of nothing."
    return ApiError(f"There is nothing to roll back to: {why}", param="environment", code="nothing_to_roll_back_to")
