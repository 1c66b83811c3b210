"""What a project asks of deployments to an environment."""

from __future__ import annotations

from assistants.deployments import rights
from assistants.kinds import Environment
from assistants.models import EnvironmentPolicy
from sovereign.accounts import audit
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_PROMOTE
from sovereign.core.database import service


@service
def set_policy(*, principal: Principal, environment: str, four_eyes: bool) -> EnvironmentPolicy:
    """Set whether deployments to an environment need somebody else's approval. What waits for one goes on waiting.

    :raises ApiError: 403; ``four_eyes``, it is lifted by somebody else than an owner.
    """
    principal.require(ASSISTANTS_PROMOTE)
    if not four_eyes and policies_of(principal)[environment]:
        rights.require_owner(principal)
    project = Project.objects.select_for_update(no_key=True).get(pk=principal.project_id)
    row, _ = EnvironmentPolicy.objects.update_or_create(
        project=project, environment=environment, defaults={"four_eyes": four_eyes}
    )
    audit.record(principal, "environment.policy_set", row, environment=environment, four_eyes=four_eyes)
    return row


def policies_of(principal: Principal) -> dict[str, bool]:
    """Which environments of the project ask for a second person, by their names."""
    rows = EnvironmentPolicy.objects.filter(project_id=principal.project_id)
    return dict.fromkeys(Environment.values, False) | dict(rows.values_list("environment", "four_eyes"))
