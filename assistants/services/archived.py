"""What an archived assistant refuses, and an inactive one."""

from __future__ import annotations

from assistants.models import Assistant, LifeStatus
from assistants.resolution import inactive
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
