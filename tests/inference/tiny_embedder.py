"""Folders with a static embedding model of a few words, in the layouts that exist."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

WORDS = ("[UNK]", "invoice", "bill", "holiday", "leave", "cat", "dog", "the")
TYPES = {"float32": "F32", "float16": "F16", "float64": "F64", "int8": "I8", "int64": "I64", "int32": "I32"}


def tokenizer() -> Tokenizer:
    found = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    found.normalizer = normalizers.BertNormalizer(lowercase=True)
    found.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    found.enable_truncation(3)
    found.enable_padding(length=3)
    return found


def vectors(rows: int = len(WORDS), dimensions: int = 4) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(rows, dimensions)).astype(np.float32)


def safetensors(tensors: dict[str, np.ndarray]) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, tensor in tensors.items():
        place = [len(data), len(data) + tensor.nbytes]
        header[name] = {"dtype": TYPES[str(tensor.dtype)], "shape": list(tensor.shape), "data_offsets": place}
        data += tensor.tobytes()
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + data


def write(folder: Path, tensors: dict[str, np.ndarray], **config: Any) -> Path:
    """Model2Vec's layout."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "model.safetensors").write_bytes(safetensors(tensors))
    settings = {"model_type": "model2vec", "architectures": ["StaticModel"], "normalize": True, **config}
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


def write_sentence_transformers(folder: Path, *, more: tuple[str, ...] = ("Normalize",)) -> Path:
    """The layout of Sentence Transformers' StaticEmbedding."""
    write(folder / "0_StaticEmbedding", {"embedding.weight": vectors()})
    (folder / "0_StaticEmbedding" / "config.json").unlink()
    kinds = {"0_StaticEmbedding": "StaticEmbedding"} | {f"{n}_{kind}": kind for n, kind in enumerate(more, 1)}
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(kinds.items())
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "config_sentence_transformers.json").write_text("{}")
    return folder
