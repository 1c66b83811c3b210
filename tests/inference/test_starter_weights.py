"""The starter model's folder: complete, small, and with a tokenizer that loses nothing."""

from __future__ import annotations

import json
import struct

import pytest

from inference.starter import persona
from inference.starter.chat import END, START, TOOL_TAGS
from inference.starter.figures import figures
from inference.starter.interpreter import WEIGHTS, engine_python
from inference.starter.tokenizer import TEMPLATE

FILES = (
    "model.safetensors",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "training_state.json",
    "evaluation.json",
    "README.md",
)
LIMIT_BYTES = 14 * 1024 * 1024


def test_the_folder_is_complete_and_at_most_fourteen_megabytes():
    assert all((WEIGHTS / name).is_file() for name in FILES)
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) <= LIMIT_BYTES


def test_the_weights_fit_their_configuration():
    config = json.loads((WEIGHTS / "config.json").read_text())
    with (WEIGHTS / "model.safetensors").open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert "auto_map" not in config
    assert header["model.embed_tokens.weight"]["shape"] == [config["vocab_size"], config["hidden_size"]]
    layers = {int(name.split(".")[2]) for name in header if name.startswith("model.layers.")}
    assert layers == set(range(config["num_hidden_layers"]))


def test_the_template_beside_the_weights_is_the_tested_one():
    assert (WEIGHTS / "chat_template.jinja").read_text() == TEMPLATE.read_text()


def test_the_tokenizer_keeps_every_text_and_the_tool_tags_in_it():
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))
    for text in ("Grüße, 漢字 and 🙂!", "  two  blanks\n\ttab", 'sk-sov-0123 {"a": 1}', "".join(TOOL_TAGS)):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    for mark in (START, END, *TOOL_TAGS):
        assert len(tokenizer.encode(mark).ids) == 1
    config = json.loads((WEIGHTS / "config.json").read_text())
    assert tokenizer.get_vocab_size() == config["vocab_size"]
    assert config["eos_token_id"] == tokenizer.token_to_id(END)


def test_the_card_says_what_was_measured():
    card = (WEIGHTS / "README.md").read_text()
    for name, row in figures().items():
        assert f"| {name} | {row['right']} of {row['total']} " in card


def test_a_missing_engine_is_told_in_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="install_engine"):
        engine_python("", tmp_path)


def test_the_demo_assistant_introduces_itself_as_a_demonstration():
    assert "Sovereign" in persona.DEMO_NAME
    assert "small demonstration model" in persona.DEMO_INSTRUCTIONS
