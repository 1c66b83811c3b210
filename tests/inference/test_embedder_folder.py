"""A folder that is no static embedding model is refused with one sentence, and nothing of it is run."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from inference.embedder import EmbedderError, LocalEmbedder
from inference.embedder import folder as folders
from tests.inference import tiny_embedder
from tests.inference.tiny_embedder import vectors


@pytest.fixture
def folder(tmp_path) -> Path:
    return tiny_embedder.write(tmp_path / "model", {"embeddings": vectors()})


def refused(folder: Path) -> str:
    """The sentence with which the folder is refused, at the latest by the first text."""
    with pytest.raises(EmbedderError) as error:
        LocalEmbedder(folder).embed(["cat"])
    sentence = str(error.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def header(folder: Path, content: bytes, data: bytes = b"", length: int | None = None) -> None:
    head = struct.pack("<Q", len(content) if length is None else length)
    (folder / "model.safetensors").write_bytes(head + content + data)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert f"has no {name}" in refused(folder)


def test_a_pickle_is_not_read(folder, tmp_path):
    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "exploded",)

    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    assert "is a pickle, which could run code" in refused(folder)
    assert not (tmp_path / "exploded").exists()


def test_a_pickle_under_the_other_name_is_damaged(folder):
    (folder / "model.safetensors").write_bytes(pickle.dumps({"embeddings": [1] * 100}))
    assert "is damaged" in refused(folder)


def test_a_transformer_is_vllms(folder):
    (folder / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    sentence = refused(folder)
    assert "'BertModel'" in sentence
    assert "--runner pooling" in sentence


def test_modules_with_a_transformer_are_vllms(tmp_path):
    folder = tiny_embedder.write_sentence_transformers(tmp_path)
    (folder / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Transformer", "path": ""}]))
    assert "--runner pooling" in refused(folder)


def test_a_layer_behind_the_vectors_is_not_left_out_in_silence(tmp_path):
    folder = tiny_embedder.write_sentence_transformers(tmp_path, more=("Dense", "Normalize"))
    assert "a module 'Dense'" in refused(folder)


@pytest.mark.parametrize("path", ["..", "/etc", "0_StaticEmbedding/../.."])
def test_modules_do_not_lead_out_of_the_folder(tmp_path, path):
    folder = tiny_embedder.write_sentence_transformers(tmp_path / "st")
    (folder / "modules.json").write_text(json.dumps([{"type": "x.StaticEmbedding", "path": path}]))
    assert "outside" in refused(folder)


@pytest.mark.parametrize("content", ["{}", "[1]", "nonsense", "[" * 100_000])
def test_modules_that_are_none(folder, content):
    (folder / "modules.json").write_text(content)
    assert "modules.json is not" in refused(folder)


@pytest.mark.parametrize(
    ("limit", "name"), [("WEIGHTS_LIMIT", "model.safetensors"), ("TOKENIZER_LIMIT", "tokenizer.json")]
)
def test_files_are_bounded_before_they_are_read(folder, monkeypatch, limit, name):
    monkeypatch.setattr(folders, limit, 10)
    assert f"{name} has 0 MiB, and at most 0 are read." in refused(folder)


@pytest.mark.parametrize(
    ("content", "length"),
    [(b"", None), (b"{}", 2**63), (b"{}", 100), (b"no json", None), (b"[" * 50_000, None), (b"[1]", None)],
)
def test_a_header_that_is_none_is_damage(folder, content, length):
    header(folder, content, length=length)
    assert "is damaged" in refused(folder)


@pytest.mark.parametrize(
    "row",
    [
        {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 64]},  # behind the end
        {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 16]},  # of another size
        {"dtype": "F32", "shape": [2, -4], "data_offsets": [0, 32]},
        {"dtype": "F32", "shape": [2.0, 4], "data_offsets": [0, 32]},
        {"dtype": "F32", "shape": [2, 4], "data_offsets": [32, 0]},
        {"dtype": "F32", "shape": "24", "data_offsets": [0, 32]},
        {"dtype": ["F32"], "shape": [2, 4], "data_offsets": [0, 32]},
        {"shape": [2, 4]},
        "vectors",
        None,
    ],
)
def test_a_tensor_that_contradicts_the_file_is_damage(folder, row):
    header(folder, json.dumps({"embeddings": row}).encode(), b"\0" * 32)
    assert "is damaged" in refused(folder)


@pytest.mark.parametrize(
    "row",
    [
        {"dtype": "BF16", "shape": [4, 4], "data_offsets": [0, 32]},
        {"dtype": "F32", "shape": [8], "data_offsets": [0, 32]},
        {"dtype": "F32", "shape": [0, 4], "data_offsets": [0, 0]},
        {"dtype": "I64", "shape": [2, 2], "data_offsets": [0, 32]},
    ],
)
def test_vectors_of_an_unknown_type_or_shape(folder, row):
    header(folder, json.dumps({"embeddings": row}).encode(), b"\0" * 32)
    assert "cannot be used" in refused(folder)


def test_weights_of_something_else(folder):
    header(folder, b'{"classifier.weight": {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]}}', b"\0" * 32)
    assert "it is no static embedding model" in refused(folder)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"weights": np.ones(3)}, "not one number for each token"),
        ({"mapping": np.ones(8)}, "no list of whole numbers"),
        ({"mapping": np.array([0, 1, 2, 3, 4, 5, 6, 8])}, "a vector that is not there"),
        ({"mapping": np.array([0, 1, 2, 3, 4, 5, 6, -1])}, "a vector that is not there"),
        ({"embeddings": vectors(7)}, "more tokens than it has vectors"),
    ],
)
def test_tensors_that_do_not_fit_each_other(tmp_path, tensors, words):
    assert words in refused(tiny_embedder.write(tmp_path, {"embeddings": vectors(), **tensors}))


@pytest.mark.parametrize("content", ["", "{}", "nonsense", '{"model": {"type": "Surprise"}}'])
def test_a_tokenizer_that_is_none(folder, content):
    (folder / "tokenizer.json").write_text(content)
    assert "is not a tokenizer that can be read" in refused(folder)


def test_settings_that_are_no_json(folder):
    (folder / "config.json").write_text("{")
    assert "config.json is not JSON" in refused(folder)
