"""Sentence vectors without a server: a small static model on the CPU, ours or the one in a folder.

``SOVEREIGN_EMBEDDER`` names the folder; empty means ours (``weights``), ``none`` that there is none, and then search
goes by keywords alone. Networks are served by vLLM's pooling runner or a provider, not here.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from .folder import EmbedderError
from .local import LocalEmbedder, TextTooLong, Vectors

__all__ = ["OWN_NAME", "EmbedderError", "LocalEmbedder", "TextTooLong", "Vectors", "local_embedder", "why_none"]

OWN_NAME = "sovereign-embedding"
NONE = "none"
WEIGHTS = Path(__file__).parent / "weights"


def local_embedder() -> LocalEmbedder | None:
    """The configured embedder, one for the process; None where there is none, and ``why_none`` says why."""
    return _configured(_folder())[0]


def why_none() -> str:
    """One sentence about why there is no local embedder; empty where there is one."""
    return _configured(_folder())[1]


def _folder() -> str:
    # Here and not above: the training runs with the engine's interpreter, which has no Django.
    from django.conf import settings

    folder: str = settings.SOVEREIGN.embedder
    return folder


@cache
def _configured(folder: str) -> tuple[LocalEmbedder | None, str]:
    if folder.lower() == NONE:
        return None, "There is no local embedder, because SOVEREIGN_EMBEDDER is 'none': search goes by keywords alone."
    try:
        embedder = LocalEmbedder(Path(folder).expanduser()) if folder else LocalEmbedder(WEIGHTS, OWN_NAME)
    except EmbedderError as error:
        return None, str(error)
    except OSError as error:
        return None, f"The embedder's folder {folder or WEIGHTS} cannot be read: {error.strerror}."
    return embedder, ""
