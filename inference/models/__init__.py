"""The tables of this room."""

from inference.models.completions import StoredCompletion
from inference.models.pulls import ModelPull
from inference.models.registry import (
    CAPABILITY_NAMES,
    Engine,
    ModelAlias,
    ModelFallback,
    Provider,
    RegisteredModel,
)
from inference.models.usage import ModelPrice, UncountedCall, UsageRecord

__all__ = [
    "CAPABILITY_NAMES",
    "Engine",
    "ModelAlias",
    "ModelFallback",
    "ModelPrice",
    "ModelPull",
    "Provider",
    "RegisteredModel",
    "StoredCompletion",
    "UncountedCall",
    "UsageRecord",
]
