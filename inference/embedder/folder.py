"""A folder with a static sentence-embedding model: what it holds, and one clear sentence where it cannot be used.

Two layouts are read: Model2Vec's (``embeddings``, optional ``weights`` and ``mapping``) and the one that Sentence
Transformers writes for ``StaticEmbedding`` (``embedding.weight``, in a folder that ``modules.json`` names). Weights are
read as safetensors only: a JSON header behind its length, then numbers. Imports nothing heavy.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIB = 1024**2
WEIGHTS_LIMIT = 2048 * MIB
TOKENIZER_LIMIT = 64 * MIB
HEADER_LIMIT = 1 * MIB
SETTINGS_LIMIT = 1 * MIB
LONGEST_VECTOR = 8192
DEFAULT_CONTEXT = 1_000_000  # tokens of one text
MODULE_STATIC, MODULE_NORMALIZE = "StaticEmbedding", "Normalize"
PICKLES = ("pytorch_model.bin", "model.bin", "model.pt", "model.pkl")
NUMPY_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I8": "|i1"}
NUMPY_INDEXES = {"I64": "<i8", "I32": "<i4", "U64": "<u8", "U32": "<u4", "U16": "<u2"}


class EmbedderError(Exception):
    """The folder cannot be used; the message is one sentence for the operator."""


@dataclass(frozen=True)
class TensorPlace:
    """Where a tensor lies in the file: numpy's name of its type, shape, and the first byte."""

    dtype: str
    shape: tuple[int, ...]
    offset: int


@dataclass(frozen=True)
class StaticModel:
    """A checked folder: ``vectors`` [rows, dimensions], perhaps ``weights`` and ``mapping`` [vocabulary]."""

    folder: Path
    weights_file: Path
    tokenizer_file: Path
    vectors: TensorPlace
    weights: TensorPlace | None
    mapping: TensorPlace | None
    context_length: int
    nested: bool  # the first dimensions alone are good vectors too
    drops_unknown: bool

    @property
    def dimensions(self) -> int:
        return self.vectors.shape[1]

    @property
    def vocabulary(self) -> int:
        """How many token ids there are vectors for."""
        return (self.mapping or self.vectors).shape[0]


def static_model(folder: Path) -> StaticModel:
    """Look at a folder.

    :raises EmbedderError: it is not there, not a static model, incomplete, too large or damaged.
    """
    if not folder.is_dir():
        raise EmbedderError(f"The embedder's folder {folder} does not exist.")
    home = _home(folder)
    weights_file, tokenizer_file = _file(home, "model.safetensors"), _file(home, "tokenizer.json")
    _bounded(weights_file, WEIGHTS_LIMIT)
    _bounded(tokenizer_file, TOKENIZER_LIMIT)
    tensors = _tensors(weights_file)
    own = "embeddings" in tensors
    vectors = tensors.get("embeddings" if own else "embedding.weight")
    if vectors is None:
        raise EmbedderError(
            f"{weights_file} has neither 'embeddings' nor 'embedding.weight': it is no static embedding model."
        )
    settings = _settings(home / "config.json")
    model = StaticModel(
        folder=folder,
        weights_file=weights_file,
        tokenizer_file=tokenizer_file,
        vectors=vectors,
        weights=tensors.get("weights") if own else None,
        mapping=tensors.get("mapping") if own else None,
        context_length=_context(settings),
        nested=bool(settings.get("nested")),
        drops_unknown=own,
    )
    _check(model)
    return model


def _home(folder: Path) -> Path:
    """The folder of tokenizer and weights, by ``modules.json`` where there is one."""
    modules = _modules(folder)
    if modules is None:
        _refuse_transformer(folder, _settings(folder / "config.json"))
        return folder
    kinds = [str(module.get("type", "")).rsplit(".", 1)[-1] for module in modules]
    if not kinds or kinds[0] != MODULE_STATIC:
        _refuse_transformer(folder, _settings(folder / "config.json"), named=kinds[0] if kinds else "nothing")
    if unknown := [kind for kind in kinds[1:] if kind != MODULE_NORMALIZE]:
        raise EmbedderError(f"{folder} has a module '{unknown[0]}' after its vectors, which this embedder cannot do.")
    home = (folder / str(modules[0].get("path", ""))).resolve()
    if not home.is_relative_to(folder.resolve()):
        raise EmbedderError(f"{folder}/modules.json names a folder outside of it.")
    return home


def _modules(folder: Path) -> list[dict[str, Any]] | None:
    path = folder / "modules.json"
    if not path.exists():
        return None
    found = _json(path)
    if not isinstance(found, list) or not all(isinstance(module, dict) for module in found):
        raise EmbedderError(f"{path} is not a list of modules.")
    return found


def _refuse_transformer(folder: Path, settings: dict[str, Any], named: str = "") -> None:
    """:raises EmbedderError: the folder holds a network, which is vLLM's to serve."""
    architectures = settings.get("architectures")
    found = architectures[0] if isinstance(architectures, list) and architectures else ""
    if named or found not in {"", "StaticModel", MODULE_STATIC}:
        raise EmbedderError(
            f"{folder} holds '{found or named}', not a static embedding model: serve it with vLLM's pooling runner "
            "(manage.py vllm_worker --model FOLDER -- --runner pooling) and leave SOVEREIGN_EMBEDDER as it was."
        )


def _file(home: Path, name: str) -> Path:
    path = home / name
    if path.is_file():
        return path
    if name.endswith(".safetensors") and (pickle := next((p for p in PICKLES if (home / p).exists()), "")):
        raise EmbedderError(f"{home / pickle} is a pickle, which could run code when it is read: save it as {name}.")
    raise EmbedderError(f"{home} has no {name}.")


def _bounded(path: Path, limit: int) -> None:
    if (size := path.stat().st_size) > limit:
        raise EmbedderError(f"{path} has {size // MIB} MiB, and at most {limit // MIB} are read.")


def _json(path: Path) -> Any:
    _bounded(path, SETTINGS_LIMIT)
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise EmbedderError(f"{path} is not JSON.") from None


def _settings(path: Path) -> dict[str, Any]:
    found = _json(path) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def _context(settings: dict[str, Any]) -> int:
    """Tokens of one text, from ``config.json``; a mean has no limit of its own."""
    value = settings.get("seq_length")
    return value if isinstance(value, int) and 0 < value <= DEFAULT_CONTEXT else DEFAULT_CONTEXT


def _tensors(path: Path) -> dict[str, TensorPlace]:
    """The header of a safetensors file: where each tensor lies. Nothing behind the header is read."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= length <= min(HEADER_LIMIT, size - 8):
            raise EmbedderError(f"{path} is damaged: it does not begin with a safetensors header.")
        try:
            header = json.loads(file.read(length))
            return {name: _place(row, 8 + length, size) for name, row in header.items() if name != "__metadata__"}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise EmbedderError(f"{path} is damaged: its safetensors header cannot be read.") from None


def _place(row: dict[str, Any], first: int, size: int) -> TensorPlace:
    """:raises ValueError: the header contradicts itself or the file's size."""
    shape = tuple(row["shape"])
    begin, end = row["data_offsets"]
    numbers = (*shape, begin, end)
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("no natural numbers")
    dtype = (NUMPY_TYPES | NUMPY_INDEXES).get(row["dtype"], "")
    width = int(dtype[-1]) if dtype else 0
    if not begin <= end <= size - first or (dtype and end - begin != width * math.prod(shape)):
        raise ValueError("a tensor outside of the file")
    return TensorPlace(dtype, shape, first + begin)


def _check(model: StaticModel) -> None:
    """:raises EmbedderError: the tensors are of no type or shape that fits."""
    path = model.weights_file
    numbers, indexes = set(NUMPY_TYPES.values()), set(NUMPY_INDEXES.values())
    shape = model.vectors.shape
    if model.vectors.dtype not in numbers or len(shape) != 2 or not shape[0] or not 1 <= shape[1] <= LONGEST_VECTOR:
        raise EmbedderError(f"{path} has vectors of a type or shape {shape} that cannot be used.")
    if model.mapping and (model.mapping.dtype not in indexes or len(model.mapping.shape) != 1):
        raise EmbedderError(f"{path} has a 'mapping' that is no list of whole numbers.")
    if model.weights and (model.weights.dtype not in numbers or model.weights.shape != (model.vocabulary,)):
        raise EmbedderError(f"{path} has 'weights' that are not one number for each token.")
