"""What assistants and prompts are for: the one list of types that both are given."""

from __future__ import annotations

from django.db import models


class AssistantType(models.TextChoices):
    GENERAL = "general", "General"
    SPECIALIZED = "specialized", "Specialized"
    CONVERSATIONAL = "conversational", "Conversational"
    TASK_ORIENTED = "task_oriented", "Task-oriented"
    ANALYTICAL = "analytical", "Analytical"
    CREATIVE = "creative", "Creative"
    SUPPORT = "support", "Support"
    EDUCATIONAL = "educational", "Educational"


class Capability(models.TextChoices):
    """What an assistant may do; one that it lacks is left out of every request to a model."""

    TOOLS = "tools", "Calls tools"
    PARALLEL_TOOL_CALLS = "parallel_tool_calls", "Calls several tools at once"
    VISION = "vision", "Sees images"


def every_capability() -> list[str]:
    return list(Capability.values)


class Environment(models.TextChoices):
    """Where versions are deployed to, from the first to the last."""

    DEVELOPMENT = "development", "Development"
    TESTING = "testing", "Testing"
    STAGING = "staging", "Staging"
    PRODUCTION = "production", "Production"

    @property
    def following(self) -> Environment | None:
        """Where a version is promoted to from here; ``None`` after the last."""
        order = list(Environment)
        place = order.index(self) + 1
        return order[place] if place < len(order) else None


#: where people are answered, or nearly: versions are tried before they get there, and administrators decide
GUARDED: frozenset[str] = frozenset({Environment.STAGING.value, Environment.PRODUCTION.value})
