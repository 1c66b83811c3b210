# ruff: noqa: T201  (a program that reports on its standard output)
"""Train the shipped embedder: ``python -m inference.embedder.training`` with an interpreter that has torch.

A text's vector is the mean of its tokens' vectors. They are learned from scratch, so that of all passages of a batch
the one a query belongs to is the nearest (InfoNCE, both ways, also for the first dimensions alone, so that vectors can
be cut). Nothing here imports Django.
"""

from __future__ import annotations

import argparse
import json
import math
import struct
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from .corpus import sources, thesaurus
from .pairs import SEED, Learned, Tokens, pairs
from .tokenizer import train_tokenizer

DIMENSIONS = 256
NESTED = (256, 128, 64)
BATCH = 1024
RATE = 0.02
FIRST_SPREAD = 0.1
TEMPERATURE = 0.05
ENCODED_AT_ONCE = 20_000


def read(path: Path) -> Iterator[tuple[str, str, str, list[str]]]:
    """Package, group, title and sentences of every passage that may be learned from."""
    with path.open() as file:
        for line in file:
            package, group, title, sentences = json.loads(line)
            if not sources.held_out(group):
                yield package, group, title, sentences


def texts(path: Path) -> Iterator[str]:
    """Everything that is learned from, for the tokenizer."""
    for package, _, title, sentences in read(path):
        yield f"{title}. {' '.join(sentences)}" if package != "botocore" else " ".join(sentences[:1])
    yield from (f"{query} {passage}" for turn in range(10) for query, passage in thesaurus.pairs(turn))


def tokenized(tokenizer: Tokenizer, path: Path) -> list[Learned]:
    """All passages in tokens, in the order of the file."""
    found: list[Learned] = []
    rows = read(path)
    while part := list(islice(rows, ENCODED_AT_ONCE)):
        flat = [text for _, _, title, sentences in part for text in (title, *sentences)]
        encoded = iter(tokenizer.encode_batch_fast(flat, add_special_tokens=False))
        for package, group, _, sentences in part:
            title, *rest = (next(encoded).ids for _ in range(len(sentences) + 1))
            found.append(Learned(package, group, tuple(title), tuple(map(tuple, rest))))
    return found


def mean_vectors(weight: Tensor, sides: list[Tokens]) -> Tensor:
    """The mean [texts, dimensions] of the vectors of each text's tokens."""
    begins = torch.tensor([0, *(len(side) for side in sides[:-1])]).cumsum(0)
    return F.embedding_bag(torch.tensor([token for side in sides for token in side]), weight, begins, mode="mean")


def loss_of(weight: Tensor, batch: list[tuple[Tokens, Tokens]]) -> Tensor:
    """Mean over the nested dimensions of the cross entropy in nats, both ways."""
    queries, answers = (mean_vectors(weight, list(side)) for side in zip(*batch, strict=True))
    wanted = torch.arange(len(batch))
    total = torch.zeros(())
    for size in NESTED:
        scores = F.normalize(queries[:, :size]) @ F.normalize(answers[:, :size]).T / TEMPERATURE
        total = total + F.cross_entropy(scores, wanted) + F.cross_entropy(scores.T, wanted)
    return total / (2 * len(NESTED))


def rate_factor(share: float) -> float:
    """The share of the full learning rate after ``share`` of the training: a short warm-up, then a cosine to zero."""
    return min(1.0, share / 0.03 + 0.05) * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def train(tokenizer: Tokenizer, passages: list[Learned], options: argparse.Namespace) -> tuple[Tensor, dict[str, Any]]:
    """The learned vectors [vocabulary, dimensions], and what the training came to."""
    torch.manual_seed(SEED)
    weight = torch.nn.Parameter(torch.randn(tokenizer.get_vocab_size(), DIMENSIONS) * FIRST_SPREAD)
    optimizer = torch.optim.Adam([weight], lr=RATE, betas=(0.9, 0.98), fused=True)
    begun, step, smooth, seen, line = time.monotonic(), 0, 0.0, 0, 0.0
    for round_number in range(options.rounds):
        drawn = mixed(tokenizer, passages, round_number, options.thesaurus)
        steps = len(drawn) // BATCH
        for number in range(steps):
            batch = drawn[number * BATCH : (number + 1) * BATCH]
            for group in optimizer.param_groups:
                group["lr"] = RATE * rate_factor((round_number + number / steps) / options.rounds)
            loss = loss_of(weight, batch)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            step, seen = step + 1, seen + len(batch)
            smooth = 0.97 * (smooth or loss.item()) + 0.03 * loss.item()
            if time.monotonic() - line > 20:
                line = time.monotonic()
                print(f"round {round_number} · step {step} of {steps * options.rounds} · loss {smooth:.4f}", flush=True)
    state = {"steps": step, "pairs": seen, "loss": round(smooth, 4), "seconds": round(time.monotonic() - begun)}
    return weight.detach(), state


def mixed(tokenizer: Tokenizer, passages: list[Learned], number: int, repeated: int) -> list[tuple[Tokens, Tokens]]:
    """The pairs of one round: those of the passages, and ``repeated`` times the thesaurus spread among them."""
    drawn = list(pairs(passages, number))
    if repeated:
        words = [pair for turn in range(repeated) for pair in thesaurus.pairs(number * repeated + turn)]
        left, right = (
            [found.ids for found in tokenizer.encode_batch_fast(list(side), add_special_tokens=False)]
            for side in zip(*words, strict=True)
        )
        drawn += [pair for pair in zip(left, right, strict=True) if pair[0] and pair[1]]
    generator = torch.Generator().manual_seed(SEED + number)
    return [drawn[place] for place in torch.randperm(len(drawn), generator=generator).tolist()]


def export(weight: Tensor, tokenizer: Tokenizer, folder: Path) -> None:
    """Write the folder in Model2Vec's layout: int8 vectors, and the size of each token's vector as its weight."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    scale = weight.abs().amax(1).clamp_min(1e-9) / 127
    tensors = {
        "embeddings": ("I8", (weight / scale[:, None]).round().to(torch.int8)),
        "weights": ("F32", scale / scale.mean()),
    }
    header, place = {}, 0
    for name, (kind, tensor) in tensors.items():
        size = tensor.numel() * tensor.element_size()
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [place, place + size]}
        place += size
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    data = b"".join(tensor.numpy().tobytes() for _, tensor in tensors.values())
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + data)
    config = {"model_type": "model2vec", "architectures": ["StaticModel"], "normalize": True}
    config |= {"hidden_dim": DIMENSIONS, "seq_length": 1_000_000, "embedding_dtype": "int8", "nested": list(NESTED)}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--packages", type=Path, action="append", default=[], help="folder of installed packages")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--thesaurus", type=int, default=3, help="how often it is read in a round")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.folder.mkdir(parents=True, exist_ok=True)
    kept = options.folder / "passages.jsonl"
    if options.packages or not kept.exists():
        read_packages = sources.write(kept, options.packages)
        (options.folder / "packages.json").write_text(json.dumps(read_packages, indent=2) + "\n")
    tokenizer = train_tokenizer(texts(kept))
    passages = tokenized(tokenizer, kept)
    tokens = sum(len(passage.tokens) for passage in passages)
    print(f"{len(passages)} passages, {tokens / 1e6:.1f} M tokens, vocabulary {tokenizer.get_vocab_size()}", flush=True)
    weight, state = train(tokenizer, passages, options)
    state |= {"passages": len(passages), "tokens": tokens, "thesaurus": options.thesaurus}
    export(weight, tokenizer, options.folder / "export")
    (options.folder / "export" / "training_state.json").write_text(json.dumps(state, indent=2) + "\n")
    print(state, flush=True)


if __name__ == "__main__":
    main()
