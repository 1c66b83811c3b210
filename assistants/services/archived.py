"""What an archived assistant refuses, and an inactive one."""

from __future__ import annotations

from assistants.models import Assistant, LifeStatus
from sovereign.core.errors import ApiError


def refuse_archived(assistant: Assistant) -> None:
    """:raises ApiError: 400 ``assistant_archived``."""
    if assistant.status == LifeStatus.ARCHIVED:
        raise ApiError(
            f"The assistant '{assistant.id}' is archived. Bring it back before you change it.",
            param="assistant_id",
            code="assistant_archived",
        )


def refuse_resting(assistant: Assistant) -> None:
    """What would be in service would answer nobody.

    :raises ApiError: 400 ``assistant_archived`` or ``assistant_inactive``.
    """
    refuse_archived(assistant)
    if assistant.status == LifeStatus.INACTIVE:
        raise inactive(assistant)


def inactive(assistant: Assistant) -> ApiError:
    """Of one that does not answer in environments, with the way back."""
    way = "Make it active again" if assistant.status == LifeStatus.INACTIVE else "Bring it back and make it active"
    return ApiError(
        f"The assistant '{assistant.id}' is {assistant.status} and answers nobody. {way}: on its page in the admin, or "
        f"by its status with PUT /api/v1/assistants/{assistant.id}.",
        param="assistant_id",
        code="assistant_inactive",
    )
