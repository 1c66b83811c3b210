"""Sentence vectors on this machine's CPU: the mean of the vectors of a text's tokens, of length one.

Until the first text comes neither numpy nor the tokenizer is loaded; the vectors stay in a file that is mapped into
memory. Everything is read-only after that, so that threads share it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from .folder import EmbedderError, StaticModel, TensorPlace, static_model

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer

PIECE = 32_768  # characters that are tokenized at once: bounds the memory of a long text
AT_ONCE = 65_536  # characters of the texts that are tokenized and summed together
BLANK = re.compile(r"\s")


class TextTooLong(ValueError):
    """A text has more tokens than the embedder's context; ``index`` is its place."""

    def __init__(self, index: int, limit: int) -> None:
        super().__init__(f"The text has more than {limit} tokens, which is the most this embedder reads.")
        self.index = index


@dataclass(frozen=True)
class Vectors:
    """``vectors`` [texts][dimensions] of length one (of zeros for a text without a known token), ``tokens`` of each."""

    vectors: list[list[float]]
    tokens: list[int]


@dataclass(frozen=True)
class _Loaded:
    tokenizer: Tokenizer
    vectors: np.ndarray
    weights: np.ndarray | None
    mapping: np.ndarray | None
    unknown: int | None


class LocalEmbedder:
    """The embedder in a folder; ``name`` is what its vectors are filed under.

    :raises EmbedderError: the folder cannot be used.
    """

    def __init__(self, folder: Path, name: str = "") -> None:
        self._model = static_model(folder)
        self.name = name or folder.name
        self._lock = Lock()
        self._loaded: _Loaded | None = None

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self._model.folder

    @property
    def made_at(self) -> datetime:
        """When its weights were written."""
        return datetime.fromtimestamp(self._model.folder.stat().st_mtime, UTC)

    @property
    def dimensions(self) -> int:
        return self._model.dimensions

    @property
    def context_length(self) -> int:
        """The most tokens of one text."""
        return self._model.context_length

    @property
    def nested(self) -> bool:
        """Whether vectors may be cut to their first dimensions."""
        return self._model.nested

    def embed(self, texts: Sequence[str], dimensions: int | None = None) -> list[list[float]]:
        """The vectors of the texts; see ``embed_counted``."""
        return self.embed_counted(texts, dimensions).vectors

    def embed_counted(self, texts: Sequence[str], dimensions: int | None = None) -> Vectors:
        """Vectors and token counts. A text's vector does not depend on the texts beside it.

        :param dimensions: the first so many, of length one again; all where it is None.
        :raises ValueError: ``dimensions`` are none that the embedder has.
        :raises TextTooLong: a text is beyond the context.
        :raises EmbedderError: the files cannot be read any more, or do not fit each other.
        """
        import numpy as np

        size = self._size(dimensions)
        loaded = self._ready()
        sums: np.ndarray = np.zeros((len(texts), self.dimensions), np.float32)
        tokens = [0] * len(texts)
        for group in _groups(texts):
            encodings = loaded.tokenizer.encode_batch_fast([piece for _, piece in group], add_special_tokens=False)
            for (index, _), encoding in zip(group, encodings, strict=True):
                ids = encoding.ids
                tokens[index] += len(ids)
                if tokens[index] > self.context_length:
                    raise TextTooLong(index, self.context_length)
                if ids:
                    sums[index] += _sum(loaded, ids)
        cut = sums[:, :size]
        lengths = np.linalg.norm(cut, axis=1, keepdims=True)
        cut = np.divide(cut, lengths, out=np.zeros_like(cut), where=lengths > 0)
        return Vectors(cut.tolist(), tokens)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has."""
        tokens = [0] * len(texts)
        tokenizer = self._ready().tokenizer
        for group in _groups(texts):
            encodings = tokenizer.encode_batch_fast([piece for _, piece in group], add_special_tokens=False)
            for (index, _), encoding in zip(group, encodings, strict=True):
                tokens[index] += len(encoding.ids)
        return tokens

    def _size(self, dimensions: int | None) -> int:
        if dimensions is None or dimensions == self.dimensions:
            return self.dimensions
        if not self.nested:
            raise ValueError(f"The vectors of {self.name} have {self.dimensions} dimensions and cannot be cut.")
        if not 1 <= dimensions <= self.dimensions:
            raise ValueError(f"The vectors of {self.name} can be cut to 1 to {self.dimensions} dimensions.")
        return dimensions

    def _ready(self) -> _Loaded:
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(self._model)
            return self._loaded


def _load(model: StaticModel) -> _Loaded:
    # One text needs one core; Rust's thread pool would outlive it and warn whenever a process is forked.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import numpy as np
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(model.tokenizer_file))
    except Exception:  # the package raises Exception itself
        raise EmbedderError(f"{model.tokenizer_file} is not a tokenizer that can be read.") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = tokenizer.get_vocab(with_added_tokens=True)
    if max(ids.values(), default=0) >= model.vocabulary:
        raise EmbedderError(f"{model.folder} has a tokenizer with more tokens than it has vectors.")
    mapping = _array(model, model.mapping)
    if mapping is not None and (mapping.min() < 0 or mapping.max() >= model.vectors.shape[0]):
        raise EmbedderError(f"{model.weights_file} maps a token to a vector that is not there.")
    weights = _array(model, model.weights)
    unknown = getattr(tokenizer.model, "unk_token", None) if model.drops_unknown else None
    vectors = _array(model, model.vectors)
    assert vectors is not None
    weights = None if weights is None else np.asarray(weights, np.float32)
    return _Loaded(tokenizer, vectors, weights, mapping, ids.get(unknown) if unknown else None)


def _array(model: StaticModel, place: TensorPlace | None) -> Any:
    import numpy as np

    if place is None:
        return None
    try:
        return np.memmap(model.weights_file, place.dtype, "r", place.offset, place.shape)
    except (OSError, ValueError):
        raise EmbedderError(f"{model.weights_file} cannot be read.") from None


def _sum(loaded: _Loaded, ids: list[int]) -> np.ndarray:
    """The weighted sum [dimensions] of the tokens' vectors; its direction is the mean's."""
    import numpy as np

    found = np.asarray(ids)
    if loaded.unknown is not None:
        found = found[found != loaded.unknown]
    rows = loaded.vectors[found if loaded.mapping is None else loaded.mapping[found]].astype(np.float32)
    total: np.ndarray = rows.sum(0) if loaded.weights is None else loaded.weights[found] @ rows
    return total


def _groups(texts: Sequence[str]) -> Iterator[list[tuple[int, str]]]:
    """Pieces of all texts with the place of their text, some ten thousand characters at a time."""
    group: list[tuple[int, str]] = []
    characters = 0
    for index, text in enumerate(texts):
        for piece in _pieces(text):
            group.append((index, piece))
            characters += len(piece)
            if characters >= AT_ONCE:
                yield group
                group, characters = [], 0
    if group:
        yield group


def _pieces(text: str) -> Iterator[str]:
    """A text in pieces that end at a blank where there is one, in what a tokenizer can read."""
    # A lone surrogate has no UTF-8; two that belong together become the character they stand for.
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if not text.isascii() else text
    place = 0
    while len(text) - place > PIECE:
        blank = BLANK.search(text, place + PIECE // 2, place + PIECE)
        end = blank.start() if blank else place + PIECE
        yield text[place:end]
        place = end
    yield text[place:]
