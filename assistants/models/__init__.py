"""The assistants of a project, their versions, the prompts they use, and where they are deployed."""

from assistants.models.assistants import (
    DESCRIPTION_LENGTH,
    INSTRUCTIONS_LENGTH,
    MAXIMUM_SUGGESTIONS,
    MAXIMUM_TAGS,
    MAXIMUM_TOOLS,
    MODEL_LENGTH,
    NAME_LENGTH,
    PERSONALITY_LENGTH,
    SUGGESTION_LENGTH,
    TAG_LENGTH,
    Assistant,
    LifeStatus,
    ReasoningEffort,
    Retrieval,
    Visibility,
    auto,
)
from assistants.models.deployments import Deployment, EnvironmentPolicy, Scale
from assistants.models.links import PromptLink
from assistants.models.uses import ExternalUse
from assistants.models.versions import AssistantVersion

__all__ = [
    "DESCRIPTION_LENGTH",
    "INSTRUCTIONS_LENGTH",
    "MAXIMUM_SUGGESTIONS",
    "MAXIMUM_TAGS",
    "MAXIMUM_TOOLS",
    "MODEL_LENGTH",
    "NAME_LENGTH",
    "PERSONALITY_LENGTH",
    "SUGGESTION_LENGTH",
    "TAG_LENGTH",
    "Assistant",
    "AssistantVersion",
    "Deployment",
    "EnvironmentPolicy",
    "ExternalUse",
    "LifeStatus",
    "PromptLink",
    "ReasoningEffort",
    "Retrieval",
    "Scale",
    "Visibility",
    "auto",
]
