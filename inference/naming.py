"""What names tell by themselves: whose models are called like that, and what a model of that name is for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from django.conf import settings

from inference.models import Provider

Ability = Literal["chat", "completions", "embeddings", "moderations"]

OPENAI_NAMES = re.compile(r"(gpt-|chatgpt-|o[1-9](-|$)|text-|davinci|babbage|ft:gpt-|codex-)", re.IGNORECASE)
# engines list their models without saying what they are for: their names do, "nomic-embed-text" and "embedded-llama"
EMBEDDING_NAMES = re.compile(r"(?<![a-z])(embed|embedding|embeddings|rerank|reranker)(?![a-z])", re.IGNORECASE)
MODERATION_NAMES = re.compile(r"(?<![a-z])moderation(?![a-z])", re.IGNORECASE)
OTHER_OPENAI_NAMES = re.compile(r"-(embedding|moderation|transcribe|tts|image|realtime)(-|$)", re.IGNORECASE)
#: which names a provider is asked for that did not list them: it may have more models than it lists
PREFIXES: dict[str, re.Pattern[str]] = {
    Provider.Kind.OPENAI.value: re.compile(r"(gpt-|chatgpt-|o[1-9](-|$)|ft:|text-|omni-)", re.IGNORECASE),
    Provider.Kind.ANTHROPIC.value: re.compile(r"claude-", re.IGNORECASE),
}
STARTER = "sovereign-starter"  # inference.starter.persona.MODEL_NAME, one room further up
STARTER_WEIGHTS = Path(__file__).resolve().parent / "starter" / "weights"
MAXIMUM_NAME = 200


def suits(name: str, ability: Ability) -> bool:
    """What a model's name tells of what it is for: engines that are merely OpenAI-compatible do not say."""
    if ability == "embeddings":
        return is_embedding_name(name)
    if ability == "moderations":
        return MODERATION_NAMES.search(name) is not None
    return not is_embedding_name(name) and MODERATION_NAMES.search(name) is None


def is_openai_name(name: str) -> bool:
    return OPENAI_NAMES.match(name) is not None


def is_embedding_name(name: str) -> bool:
    """Whether a model of this name makes vectors or scores, and no answers."""
    return EMBEDDING_NAMES.search(name) is not None


# ----------------------------------------------------------------------------------------- names of our own


def configured_model() -> str:
    """The name under which the operator's ``MODEL_NAME`` is served; empty where none is set."""
    return served_name(settings.SOVEREIGN.model_name) if settings.SOVEREIGN.model_name else ""


def served_name(model: str) -> str:
    """The name under which we serve ``model``: of a folder its last part, of a repository all of it.

    >>> served_name("/models/qwen"), served_name("Qwen/Qwen3-8B"), served_name("")
    ('qwen', 'Qwen/Qwen3-8B', 'sovereign-starter')
    """
    folder = model_folder(model)
    if folder is None:
        return model[:MAXIMUM_NAME]
    return STARTER if folder == STARTER_WEIGHTS else folder.name[:MAXIMUM_NAME]


def model_folder(model: str) -> Path | None:
    """The folder that ``model`` means (it may be missing); ``None`` for a name in a repository of models."""
    if not model:
        return STARTER_WEIGHTS
    path = Path(model).expanduser()
    return path.resolve() if path.is_absolute() or model.startswith(".") or path.is_dir() else None
