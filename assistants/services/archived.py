"""What an archived assistant refuses."""

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
