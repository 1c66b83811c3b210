"""The starter model's tokenizer: byte-level BPE with the chat markers and the tool tags as single tokens.

Needs the ``tokenizers`` package, which is part of the engine's environment. Nothing here imports Django.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .chat import END, START, TOOL_TAGS, Segment

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VOCABULARY = 2048
PAD = "<|pad|>"
TEMPLATE = Path(__file__).with_name("chat_template.jinja")


def train_tokenizer(texts: Iterable[str], size: int = VOCABULARY) -> Tokenizer:
    """Learn merges from ``texts``; digits stay single, so that any number can be copied."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [PAD, START, END]
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(TOOL_TAGS),
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    # Not special: a special token would be dropped from the text in which vLLM's parser looks for the call.
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TOOL_TAGS])
    return tokenizer


def encode(tokenizer: Tokenizer, pieces: list[Segment]) -> tuple[list[int], list[int]]:
    """Token ids of a conversation and, for each, the id itself where it is learned, else -100."""
    ids: list[int] = []
    targets: list[int] = []
    for text, learned in pieces:
        part = tokenizer.encode(text, add_special_tokens=False).ids
        ids += part
        targets += part if learned else [-100] * len(part)
    return ids, targets


def write_tokenizer(tokenizer: Tokenizer, folder: Path, context: int) -> None:
    """Write ``tokenizer.json``, its configuration and the chat template, as transformers reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "eos_token": END,
        "pad_token": PAD,
        "clean_up_tokenization_spaces": False,
        "additional_special_tokens": [START],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    (folder / "chat_template.jinja").write_text(TEMPLATE.read_text())
