"""From the name that a request gives to the model that is meant.

Alias, then registered model, then the default for the names of OpenAI's models, which old clients send; anything else
is unknown. (Prefixes of enabled providers come between, with those providers.)
"""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings
from django.db import connection

from inference.models import Engine, RegisteredModel
from sovereign.core.database import Prepared
from sovereign.core.errors import model_not_found, unsupported_model

OPENAI_NAMES = re.compile(r"(gpt-|chatgpt-|o[1-9](-|$)|text-|davinci|babbage|ft:gpt-|codex-)", re.IGNORECASE)
# engines list their models without saying what they are for: their names do, "nomic-embed-text" and "embedded-llama"
EMBEDDING_NAMES = re.compile(r"(?<![a-z])(embed|embedding|embeddings|rerank|reranker)(?![a-z])", re.IGNORECASE)
OTHER_OPENAI_NAMES = re.compile(r"-(embedding|moderation|transcribe|tts|image|realtime)(-|$)", re.IGNORECASE)
STARTER = "sovereign-starter"  # inference.starter.persona.MODEL_NAME, one room further up
STARTER_WEIGHTS = Path(__file__).resolve().parent / "starter" / "weights"
MAXIMUM_NAME = 200
#: names and aliases of the models that are called so
_CALLED = Prepared(lambda name: RegisteredModel.objects.called(name).values_list("name", "aliases__alias"))


def is_openai_name(name: str) -> bool:
    return OPENAI_NAMES.match(name) is not None


def is_embedding_name(name: str) -> bool:
    """Whether a model of this name makes vectors or scores, and no answers."""
    return EMBEDDING_NAMES.search(name) is not None


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


def resolve(name: str) -> str | None:
    """The registered model's name; ``None`` where only the default would do and there is none yet.

    :raises ApiError: 404 ``model_not_found``; 400 ``unsupported_model`` for one that cannot chat.
    """
    if (registered := find(name)) is not None:
        if is_embedding_name(registered):
            raise unsupported_model(name)
        return registered
    if not is_openai_name(name):
        raise model_not_found(name[:MAXIMUM_NAME])
    if OTHER_OPENAI_NAMES.search(name):
        raise unsupported_model(name[:MAXIMUM_NAME])
    return default_model()


def find(name: str) -> str | None:
    """The registered model that ``name`` names or is an alias of."""
    if not name or len(name) > MAXIMUM_NAME or "\x00" in name:
        return None
    with connection.cursor() as cursor:
        cursor.execute(*_CALLED.with_values(name))
        found = cursor.fetchall()
    aliased = [model for model, alias in found if alias == name]
    return next(iter(aliased or [model for model, _ in found]), None)


def default_model() -> str | None:
    """What a new assistant gets: the configured model, the one chosen in the admin, else the first that is served."""
    if settings.SOVEREIGN.model_name:
        configured = served_name(settings.SOVEREIGN.model_name)
        return find(configured) or configured
    registered = RegisteredModel.objects.values_list("name", "is_default")
    models = [(name, is_default) for name, is_default in registered if is_default or not is_embedding_name(name)]
    if chosen := [name for name, is_default in models if is_default]:
        return chosen[0]
    served = {entry["id"] for engine in Engine.objects.exclude(state="down") for entry in engine.served}
    names = [name for name, _ in models]
    return next((name for name in names if name in served), names[0] if names else None)
