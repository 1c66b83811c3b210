"""The tables of this room."""

from inference.models.completions import StoredCompletion
from inference.models.registry import (
    CAPABILITY_NAMES,
    Engine,
    ModelAlias,
    ModelFallback,
    Provider,
    RegisteredModel,
)
from inference.models.usage import ModelPrice, UsageRecord

__all__ = [
    "CAPABILITY_NAMES",
    "Engine",
    "ModelAlias",
    "ModelFallback",
    "ModelPrice",
    "Provider",
    "RegisteredModel",
    "StoredCompletion",
    "UsageRecord",
]
