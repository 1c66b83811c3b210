"""How much of the house an assistant has in an environment, and what a project asks of deployments there."""

from __future__ import annotations

from assistants.deployments import rights
from assistants.kinds import Environment
from assistants.models import EnvironmentPolicy, Scale
from assistants.services import locked_assistant, versions
from sovereign.accounts import audit
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_PROMOTE
from sovereign.core.database import service

MOST_SLOTS = 1_000
MOST_PRIORITY = 100  # and as far below 0
MOST_TOKENS = 10**15


@service
def scale(*, principal: Principal, assistant_id: str, environment: str, **changes: int | None) -> Scale:
    """Set how many runs at once, which priority and how many tokens a day an assistant has in an environment.

    :param changes: ``worker_slots``, ``priority``, ``tokens_per_day``, those that change; ``None`` limits nothing.
    """
    principal.require(ASSISTANTS_PROMOTE)
    assistant = locked_assistant(principal=principal, assistant_id=assistant_id)
    versions.refuse_archived(assistant)
    wanted = {name: value or 0 if name == "priority" else value for name, value in changes.items()}
    row, _ = Scale.objects.update_or_create(
        assistant=assistant,
        environment=environment,
        defaults=wanted,
        create_defaults={"project_id": assistant.project_id, **wanted},
    )
    audit.record(principal, "assistant.scaled", assistant, environment=environment, **wanted)
    return row


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


def scales_of(assistant_id: str) -> list[Scale]:
    return list(Scale.objects.filter(assistant_id=assistant_id))
