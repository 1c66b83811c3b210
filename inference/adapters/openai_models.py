"""Reads lists of models in OpenAI's format, with what some servers add to it."""

from __future__ import annotations

from typing import Any

from inference.adapters.base import Served
from inference.chat import InferenceError
from inference.naming import MAXIMUM_NAME, is_embedding_name

MAXIMUM_MODELS = 5_000
CONTEXT_FIELDS = ("max_model_len", "context_length", "context_window", "max_context_length")
VLLM_CAPABILITIES = {"tools": True, "json_schema": True, "continuation": True, "completions": True, "logprobs": True}
NOT_A_LIST = "The engine sent a list of models that is not in OpenAI's format."
VECTORS_ONLY = {"chat": False, "embeddings": True}
#: what servers call a model that makes vectors, in the field ``type``
VECTOR_TYPES = frozenset({"embedding", "embeddings"})


def read_list(body: Any) -> Served:
    """``{"data": [{"id": …}]}``; names that could not be asked for are left out.

    :raises InferenceError: it is no such list.
    """
    try:
        entries = bounded(body["data"])
        models = [described(entry) for entry in entries if is_name(entry["id"])]
        capabilities = VLLM_CAPABILITIES if any(entry.get("owned_by") == "vllm" for entry in entries) else {}
    except (TypeError, KeyError, AttributeError, ValueError):
        raise InferenceError(NOT_A_LIST) from None
    return Served(models, dict(capabilities))


def bounded(entries: list[Any]) -> list[Any]:
    """:raises InferenceError: there are more than any provider has."""
    if not isinstance(entries, list):
        raise TypeError
    if len(entries) > MAXIMUM_MODELS:
        raise InferenceError(f"The engine lists more than {MAXIMUM_MODELS} models.")
    return entries


def is_name(name: Any) -> bool:
    """Whether a model may be called so. Others than texts make the list no list."""
    if not isinstance(name, str):
        raise TypeError
    return 0 < len(name) <= MAXIMUM_NAME and name.isprintable()


def described(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of ``Served.models``."""
    model: dict[str, Any] = {"id": entry["id"], "context_length": context_length(entry)}
    abilities = _abilities(entry)
    return model | ({"abilities": abilities} if abilities else {})


def context_length(entry: dict[str, Any]) -> int | None:
    lengths = (entry.get(name) for name in CONTEXT_FIELDS)
    return next((length for length in lengths if type(length) is int and 0 < length < 2**31), None)


def _abilities(entry: dict[str, Any]) -> dict[str, bool]:
    """What an entry says, or its name gives away, about one model."""
    kind, name = entry.get("type"), entry["id"]
    if kind in VECTOR_TYPES or (kind is None and is_embedding_name(name)):
        return dict(VECTORS_ONLY)
    if kind == "moderation" or (kind is None and "moderation" in name):
        return {"chat": False, "moderations": True}
    return {"vision": True} if kind == "vlm" else {}
