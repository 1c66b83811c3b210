# ruff: noqa: T201, S311  (a program that reports on its standard output; random numbers are reproducible, not secret)
"""Train the starter model: ``python -m inference.starter.training`` with an interpreter that has torch.

It takes its documents from the corpus by number, in pools that are sorted by length so that batches hold little
padding, and keeps a checkpoint from which it resumes at the very batch. Matrices are trained by Muon, the rest by
AdamW; the rate warms up, stays, and falls linearly to zero over the last part of ``--tokens``. Nothing here imports
Django.
"""

from __future__ import annotations

import argparse
import json
import os
import random as std_random
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from . import chat
from .corpus import quoting, vocabulary
from .corpus.answers import ANSWERS, GOODBYE, GREETING, OUTSIDE, THANKS
from .corpus.mix import SEED, document
from .model import Llama, ModelShape
from .persona import DEMO_INSTRUCTIONS
from .tokenizer import PAD, encode, train_tokenizer, write_tokenizer

POOL_DOCUMENTS = 512
BATCH_TOKENS = 4096
LONGEST = 1024
WARMUP_TOKENS = 400_000
REWARM_TOKENS = 120_000
MUON_RATE = 0.015
ADAM_RATE = 2e-3
TOKENIZER_DOCUMENTS = 6_000
CHECKPOINT_SECONDS = 240
CUT_SHARE = 0.12
SHORT_SHARE = 0.75
# Kinds whose answers are copies: their ends teach as much as their beginnings.
COPIED = ("copying", "persona")
QUOTED = ("quoting", "searching")


@dataclass
class Place:
    """Where a training stands; ``pool`` and ``batch`` name the next batch."""

    step: int = 0
    tokens: int = 0
    learned: int = 0
    pool: int = 0
    batch: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Batch:
    """Right-padded token ids and targets (-100: not scored), both [documents, length]."""

    tokens: Tensor
    targets: Tensor


def tokenizer_texts() -> Iterator[str]:
    """Texts for the tokenizer: tool conversations, the answers to be learned, and a list of words."""
    for number in range(TOKENIZER_DOCUMENTS):
        found = document(number)
        yield "".join(text for text, _ in chat.segments(found.messages, found.tools))
    answers = [answer for alternatives in ANSWERS.values() for answer in alternatives]
    yield from [*answers, GREETING, THANKS, GOODBYE, *OUTSIDE, DEMO_INSTRUCTIONS] * 60
    yield from vocabulary.TEXTS * 120


def pool_batches(tokenizer: Tokenizer, pool: int) -> list[Batch]:
    """The batches of pool ``pool``, in their fixed random order."""
    encoded = []
    for number in range(pool * POOL_DOCUMENTS, (pool + 1) * POOL_DOCUMENTS):
        found = document(number)
        pieces = chat.segments(found.messages, found.tools)
        random = std_random.Random(f"{SEED}:cut:{number}")
        if random.random() < CUT_SHARE:
            pieces = chat.cut(pieces, random)
        elif found.kind in QUOTED:
            pieces = chat.begun(pieces, random)
        elif found.kind not in COPIED and random.random() < SHORT_SHARE:
            pieces = chat.shorten(pieces, random)
        ids, targets = encode(tokenizer, pieces)
        encoded.append((ids[:LONGEST], targets[:LONGEST]))
    encoded.sort(key=lambda pair: len(pair[0]))
    groups: list[list[tuple[list[int], list[int]]]] = [[]]
    for pair in encoded:
        if len(pair[0]) * (len(groups[-1]) + 1) > BATCH_TOKENS and groups[-1]:
            groups.append([])
        groups[-1].append(pair)
    std_random.Random(f"{SEED}:pool:{pool}").shuffle(groups)
    pad = tokenizer.encode(PAD).ids[0]
    batches = [padded(group, pad) for group in groups]
    # Of a document that was cut to its length nothing may be left to learn: its loss would be no number.
    return [batch for batch in batches if (batch.targets >= 0).any()]


def padded(group: list[tuple[list[int], list[int]]], pad: int) -> Batch:
    """One batch of documents; targets are shifted, so that position ``i`` is scored on token ``i + 1``."""
    length = max(len(ids) for ids, _ in group) - 1
    # A multiple of eight keeps the number of shapes small.
    length += -length % 8
    tokens = torch.full((len(group), length), pad)
    targets = torch.full((len(group), length), -100)
    for row, (ids, wanted) in enumerate(group):
        tokens[row, : len(ids) - 1] = torch.tensor(ids[:-1])
        targets[row, : len(ids) - 1] = torch.tensor(wanted[1:])
    return Batch(tokens, targets)


def rate_factor(tokens: int, total: int, decay_share: float) -> float:
    """The share of the full learning rate after ``tokens`` of ``total``."""
    start = total * (1 - decay_share)
    falling = (total - tokens) / max(total - start, 1)
    return max(0.0, min(1.0, tokens / WARMUP_TOKENS + 0.01, falling))


def adopt(model: Llama, found: dict[str, Tensor]) -> None:
    """Take over weights, also those of fewer heads or layers: what is added says nothing at first."""
    own = model.state_dict()
    for name, value in own.items():
        if name not in found or found[name].shape != value.shape:
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                value.zero_()
            if name in found:
                value[tuple(slice(size) for size in found[name].shape)] = found[name]
        else:
            value.copy_(found[name])


class Training:
    """Model, optimizers and place, with their files in ``folder``."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder, self.options = folder, options
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(SEED)
        self.tokenizer = self._tokenizer()
        self.shape = ModelShape(vocab_size=self.tokenizer.get_vocab_size())
        self.model = Llama(self.shape)
        self.place = Place()
        named = list(self.model.named_parameters())
        matrices = [p for name, p in named if p.ndim == 2 and "embed" not in name]
        others = [p for name, p in named if p.ndim != 2 or "embed" in name]
        self.optimizers = [
            (torch.optim.Muon(matrices, lr=MUON_RATE, weight_decay=0.05), MUON_RATE),
            (torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0), ADAM_RATE),
        ]
        self.stopping = False
        self.began = time.monotonic()
        self.new_from = -REWARM_TOKENS
        self._load()
        self.first_factor = rate_factor(self.place.tokens, options.tokens, options.decay)

    def _tokenizer(self) -> Tokenizer:
        path = self.folder / "tokenizer.json"
        if self.options.start and not path.exists():
            path = self.options.start / "tokenizer.json"
        if path.exists():
            return Tokenizer.from_file(str(path))
        tokenizer = train_tokenizer(tokenizer_texts())
        write_tokenizer(tokenizer, self.folder, ModelShape().max_positions)
        return tokenizer

    def _load(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            if self.options.start:
                self._adopt(self.options.start)
            return
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        for (optimizer, _), saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.place = Place(**state["place"])

    def _adopt(self, weights: Path) -> None:
        """Go on from published weights, at their place in the curriculum; the optimizers begin anew."""
        found = load_file(weights / "model.safetensors")
        adopt(self.model, {name.removeprefix("model."): value for name, value in found.items()})
        state = json.loads((weights / "training_state.json").read_text())
        self.place = Place(**{name: state[name] for name in asdict(self.place)})
        self.new_from = self.place.tokens

    def save(self) -> None:
        """Write checkpoint and loadable model, each whole or not at all."""
        state = {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer, _ in self.optimizers],
            "place": asdict(self.place),
        }
        partial = self.folder / "checkpoint.part"
        torch.save(state, partial)
        partial.replace(self.folder / "checkpoint.pt")
        export(self.model, self.tokenizer, self.folder / "export", self.place)

    def factor(self) -> float:
        """The present share of the full learning rate; it falls to zero by the end of ``--minutes``, where given."""
        planned = rate_factor(self.place.tokens, self.options.tokens, self.options.decay)
        # Optimizers without a past take too large steps at first.
        planned *= min(1.0, 0.05 + (self.place.tokens - self.new_from) / REWARM_TOKENS)
        return min(planned, self.first_factor * self.time_left()) if self.options.minutes else planned

    def time_left(self) -> float:
        """The share of ``--minutes`` that is left, 1 to 0; always 1 where none were given."""
        minutes = self.options.minutes
        return max(0.0, 1 - (time.monotonic() - self.began) / (60 * minutes)) if minutes else 1.0

    def finished(self) -> bool:
        """True when tokens or time are used up, or somebody asked to stop."""
        return self.stopping or self.place.tokens >= self.options.tokens or self.time_left() <= 0

    def step(self, batch: Batch) -> float:
        """One update; returns the loss in nats per learned token."""
        factor = self.factor()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.bf16):
            loss = self.model.loss(batch.tokens, batch.targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer, rate in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad()
        self.place.step += 1
        self.place.tokens += batch.tokens.numel()
        self.place.learned += int((batch.targets >= 0).sum())
        return float(loss.detach())

    def run(self) -> None:
        """Train until the wanted number of tokens, or until asked to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        smooth, last_save, last_line = 0.0, time.monotonic(), time.monotonic()
        while not self.finished():
            batches = pool_batches(self.tokenizer, self.place.pool)
            for batch in batches[self.place.batch :]:
                begun = time.monotonic()
                loss = self.step(batch)
                self.place.batch += 1
                self.place.seconds += time.monotonic() - begun
                smooth = loss if not smooth else 0.97 * smooth + 0.03 * loss
                if time.monotonic() - last_line > 20:
                    last_line = time.monotonic()
                    report(self.place, smooth)
                if self.finished():
                    break
            else:
                self.place.pool, self.place.batch = self.place.pool + 1, 0
            if time.monotonic() - last_save > CHECKPOINT_SECONDS:
                self.save()
                last_save = time.monotonic()
        self.save()
        report(self.place, smooth)

    def _stop(self, *_: Any) -> None:
        self.stopping = True


def report(place: Place, loss: float) -> None:
    """One line of progress."""
    speed = place.tokens / max(place.seconds, 1e-9)
    print(
        f"step {place.step} · {place.tokens / 1e6:.2f} M tokens · document {place.pool * POOL_DOCUMENTS} · "
        f"loss {loss:.4f} · {speed:.0f} tokens/s · {time.strftime('%H:%M:%S')}",
        flush=True,
    )


def config(shape: ModelShape, tokenizer: Tokenizer) -> dict[str, Any]:
    """``config.json`` for transformers' and vLLM's ``LlamaForCausalLM``."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.num_layers,
        "num_attention_heads": shape.num_heads,
        "num_key_value_heads": shape.num_heads,
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": shape.max_positions,
        "rms_norm_eps": shape.rms_norm_eps,
        "rope_theta": shape.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": tokenizer.token_to_id(chat.END),
        "pad_token_id": tokenizer.token_to_id(PAD),
        "torch_dtype": "float32",
        "use_cache": True,
    }


def export(model: Llama, tokenizer: Tokenizer, folder: Path, place: Place) -> None:
    """Write the folder that vLLM loads: weights (float32), configuration, tokenizer, template, training state."""
    write_tokenizer(tokenizer, folder, model.shape.max_positions)
    tensors = {f"model.{name}": value.detach().clone().contiguous() for name, value in model.named_parameters()}
    partial = folder / "model.part"
    save_file(tensors, partial, metadata={"format": "pt"})
    partial.replace(folder / "model.safetensors")
    settings = config(model.shape, tokenizer)
    generation = {
        "eos_token_id": settings["eos_token_id"],
        "pad_token_id": settings["pad_token_id"],
        "do_sample": False,
    }
    state = {
        **asdict(place),
        "documents": place.pool * POOL_DOCUMENTS,
        "seed": SEED,
        "parameters": model.parameter_count(),
    }
    for name, content in (
        ("config.json", settings),
        ("generation_config.json", generation),
        ("training_state.json", state),
    ):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("SOVEREIGN_DATA_DIR", "var")
    parser.add_argument("--folder", type=Path, default=Path(data) / "starter", help="checkpoints and export")
    parser.add_argument("--start", type=Path, help="begin with the weights of this folder, where no checkpoint is")
    parser.add_argument("--prose", type=Path, help="sentences of documentation, as lines of JSON")
    parser.add_argument("--tokens", type=int, default=36_000_000, help="tokens in all, padding included")
    parser.add_argument("--decay", type=float, default=0.25, help="share of the tokens over which the rate falls")
    parser.add_argument("--minutes", type=float, default=0, help="end in this time, the rate falling to zero by then")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True, help="products in bfloat16")
    return parser.parse_args()


def main() -> None:
    """Train, or go on where the last training stopped."""
    options = arguments()
    torch.set_num_threads(options.threads)
    quoting.PROSE.extend([options.prose] if options.prose else [])
    Training(options.folder, options).run()


if __name__ == "__main__":
    main()
