"""Vectors of texts, from whatever model makes embeddings for a project: the one in this process, vLLM, a provider.

Vectors of different models cannot be compared, so every vector is filed under its ``Space``. Which model is meant is
said by the name ``text-embedding-3-small``, as it would be for a client: an alias of that name chooses another, else
the local embedder is taken, else the first engine that can.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from inference import gateway
from inference.calls import EmbeddingRequest
from inference.chat import NOBODY, Attribution, InferenceError
from inference.embedder import local_embedder, why_none
from inference.resolution import LOCAL, Target, resolve
from sovereign.core.database import in_database
from sovereign.core.errors import ApiError

if TYPE_CHECKING:
    import numpy as np

ASKED_FOR = "text-embedding-3-small"  # the name whose meaning decides
TEXTS_AT_ONCE = 64
CHARACTERS_AT_ONCE = 200_000
SHORTEST_HALF = 200  # characters: a text this short is not too long for any context
ENDS_READ = 1024**2  # bytes at both ends of the weights that tell versions apart
PURPOSE = "embedding"
NO_EMBEDDER = "No model here makes embeddings: the search goes by keywords alone."

_widths: dict[str, int] = {}  # by model; of one that is not in this process only an answer tells


@dataclass(frozen=True, slots=True)
class Space:
    """What makes vectors comparable: model, version of its weights (where they are known) and width."""

    model: str
    version: str
    width: int

    @property
    def name(self) -> str:
        """As it is stored: ``sovereign-embedding@0123456789ab/256``, ``some/model/1024``."""
        return f"{self.model}@{self.version}/{self.width}" if self.version else f"{self.model}/{self.width}"


_NAME = re.compile(r"(?P<model>.+?)(?:@(?P<version>[0-9a-f]{12}))?/(?P<width>\d+)", re.DOTALL)


def space_named(name: str) -> Space | None:
    """What :attr:`Space.name` says; ``None`` for a text that is none."""
    found = _NAME.fullmatch(name)
    return Space(found["model"], found["version"] or "", int(found["width"])) if found else None


async def current_space(project_id: str | None) -> Space | None:
    """The space of the vectors that are made for this project now; ``None`` where nothing makes any.

    :raises InferenceError: a model is there but does not answer, and its width is not known yet.
    """
    target = await in_database(_target, project_id)
    return await _space_of(target, project_id) if target is not None else None


def model_meant(project_id: str | None) -> tuple[str, str] | None:
    """Model, and version of its weights (where known), of the vectors that are made for this project now; ``None``
    where nothing makes any. Unlike :func:`current_space` it asks no model."""
    target = _target(project_id)
    if target is None:
        return None
    if target.kind == LOCAL and (embedder := local_embedder()) is not None:
        return embedder.name, _version(embedder.folder)
    return target.model, ""


async def is_available(space: Space, project_id: str | None) -> bool:
    """Whether texts can be embedded into this space: its model is there, in that version.

    :raises InferenceError: as ``current_space``.
    """
    target = await in_database(_target, project_id, space.model)
    return target is not None and await _space_of(target, project_id) == space


def why_not() -> str:
    """One sentence for where there is no space."""
    return why_none() or NO_EMBEDDER


async def embed(texts: Sequence[str], space: Space, attribution: Attribution = NOBODY) -> np.ndarray:
    """Vectors float32 [texts][space.width] of length one; zeros for a text that the model makes nothing of.

    A text beyond the model's context is read in halves, whose mean it gets.

    :raises InferenceError: nothing can make them now, or they are not of this space any more.
    """
    import numpy as np

    vectors: np.ndarray = np.zeros((len(texts), space.width), np.float32)
    for begin, batch in _batches(texts):
        vectors[begin : begin + len(batch)] = await _embed(batch, space, attribution)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


def _target(project_id: str | None, model: str = ASKED_FOR) -> Target | None:
    try:
        return resolve(model, project_id, "embeddings")
    except ApiError:
        return None


async def _space_of(target: Target, project_id: str | None) -> Space:
    if target.kind == LOCAL and (embedder := local_embedder()) is not None:
        return Space(embedder.name, _version(embedder.folder), embedder.dimensions)
    if target.model not in _widths:
        request = EmbeddingRequest(
            model=target.model, texts=["width"], attribution=Attribution(project=project_id, purpose=PURPOSE)
        )
        _widths[target.model] = len((await gateway.embed(request)).vectors[0])
    return Space(target.model, "", _widths[target.model])


@cache
def _version(folder: Path) -> str:
    """Twelve characters that other weights or another tokenizer change."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.name in ("model.safetensors", "tokenizer.json")):
        with path.open("rb") as file:
            digest.update(f"{path.name} {path.stat().st_size}".encode())
            digest.update(file.read(ENDS_READ))
            file.seek(-min(ENDS_READ, path.stat().st_size), 2)
            digest.update(file.read())
    return digest.hexdigest()[:12]


def _batches(texts: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The texts in groups that one request takes, with the place of the first."""
    batch: list[str] = []
    begin = characters = 0
    for index, text in enumerate(texts):
        if batch and (len(batch) == TEXTS_AT_ONCE or characters + len(text) > CHARACTERS_AT_ONCE):
            yield begin, batch
            batch, begin, characters = [], index, 0
        batch.append(text)
        characters += len(text)
    if batch:
        yield begin, batch


async def _embed(texts: list[str], space: Space, attribution: Attribution) -> np.ndarray:
    import numpy as np

    request = EmbeddingRequest(model=space.model, texts=texts, attribution=attribution)
    try:
        vectors = (await gateway.embed(request)).vectors
    except InferenceError as error:
        if not _is_too_long(error) or max(map(len, texts)) <= SHORTEST_HALF:
            raise
        return await _in_parts(texts, space, attribution)
    found: np.ndarray = np.asarray(vectors, np.float32)
    if found.shape != (len(texts), space.width):
        _widths.pop(space.model, None)
        raise InferenceError(f"The model '{space.model}' does not make vectors of {space.width} numbers any more.")
    return found


def _is_too_long(error: InferenceError) -> bool:
    """Engines say it in words of their own, but all refuse the request."""
    return error.code == "invalid_prompt"


async def _in_parts(texts: list[str], space: Space, attribution: Attribution) -> np.ndarray:
    """Each text alone, and what is refused alone in two halves: the mean of theirs stands for it."""
    import numpy as np

    found = []
    for text in texts:
        if len(texts) > 1:
            found.append((await _embed([text], space, attribution))[0])
        else:
            halves = await _embed([text[: len(text) // 2], text[len(text) // 2 :]], space, attribution)
            found.append(halves.mean(axis=0))
    return np.stack(found)
