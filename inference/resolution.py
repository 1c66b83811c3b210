"""From the name that a request gives to the model that is meant.

Alias, then registered model, then the default for the names of OpenAI's models, which old clients send; anything else
is unknown. (Prefixes of enabled providers come between, with those providers.)
"""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings

from inference.models import Engine, RegisteredModel
from sovereign.core.errors import model_not_found

OPENAI_NAMES = re.compile(r"(gpt-|chatgpt-|o[1-9](-|$)|text-|davinci|babbage|ft:gpt-|codex-)", re.IGNORECASE)
STARTER = "sovereign-starter"  # inference.starter.persona.MODEL_NAME, one room further up
STARTER_WEIGHTS = Path(__file__).resolve().parent / "starter" / "weights"
MAXIMUM_NAME = 200


def is_openai_name(name: str) -> bool:
    return OPENAI_NAMES.match(name) is not None


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

    :raises ApiError: 404 ``model_not_found``.
    """
    if (registered := find(name)) is not None:
        return registered
    if not is_openai_name(name):
        raise model_not_found(name[:MAXIMUM_NAME])
    return default_model()


def find(name: str) -> str | None:
    """The registered model that ``name`` names or is an alias of."""
    if not name or len(name) > MAXIMUM_NAME or "\x00" in name:
        return None
    found = list(RegisteredModel.objects.called(name).values_list("name", "aliases__alias"))
    aliased = [model for model, alias in found if alias == name]
    return next(iter(aliased or [model for model, _ in found]), None)


def default_model() -> str | None:
    """What a new assistant gets: the configured model, the one chosen in the admin, else the first that is served."""
    if settings.SOVEREIGN.model_name:
        configured = served_name(settings.SOVEREIGN.model_name)
        return find(configured) or configured
    models = list(RegisteredModel.objects.values_list("name", "is_default"))
    if chosen := [name for name, is_default in models if is_default]:
        return chosen[0]
    served = {entry["id"] for engine in Engine.objects.exclude(state="down") for entry in engine.served}
    names = [name for name, _ in models]
    return next((name for name in names if name in served), names[0] if names else None)
