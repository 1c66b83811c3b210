"""How much of the house an assistant has in an environment."""

from __future__ import annotations

from assistants.models import Scale
from assistants.services import locked_assistant, versions
from sovereign.accounts import audit
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


def scales_of(assistant_id: str) -> list[Scale]:
    return list(Scale.objects.filter(assistant_id=assistant_id))
