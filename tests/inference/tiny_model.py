"""A Llama with random weights, small enough to be made in a test: plain JSON and safetensors, no torch."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

HIDDEN, LAYERS, HEADS, MIDDLE = 64, 2, 2, 128
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_model(folder: Path, seed: int = 7) -> Path:
    """Write a whole model's folder; every byte follows from ``seed``."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={character: number for number, character in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|im_start|>"), AddedToken("<|im_end|>")])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    write(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast", eos_token="<|im_end|>")
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    vocabulary = tokenizer.get_vocab_size()
    write(
        folder / "config.json",
        architectures=["LlamaForCausalLM"],
        model_type="llama",
        vocab_size=vocabulary,
        hidden_size=HIDDEN,
        intermediate_size=MIDDLE,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        head_dim=HIDDEN // HEADS,
        max_position_embeddings=512,
        eos_token_id=tokenizer.token_to_id("<|im_end|>"),
        tie_word_embeddings=True,
        torch_dtype="float32",
    )
    write_weights(folder / "model.safetensors", vocabulary, random.Random(seed))
    return folder


def write(path: Path, **content: object) -> None:
    path.write_text(json.dumps(content))


def make_adapter(folder: Path, model: Path, seed: int = 9, rank: int = 8) -> Path:
    """Write a LoRA adapter for ``model`` (any small Llama) that changes its answers."""
    configuration = json.loads((model / "config.json").read_text())
    hidden = configuration["hidden_size"]
    wide = configuration["num_attention_heads"] * configuration["head_dim"]
    folder.mkdir(parents=True, exist_ok=True)
    write(
        folder / "adapter_config.json",
        peft_type="LORA",
        task_type="CAUSAL_LM",
        r=rank,
        lora_alpha=rank,
        lora_dropout=0.0,
        bias="none",
        target_modules=["q_proj", "v_proj"],
    )
    shapes: dict[str, list[int]] = {}
    for layer in range(configuration["num_hidden_layers"]):
        for name in ("q_proj", "v_proj"):
            prefix = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            shapes |= {f"{prefix}.lora_A.weight": [rank, hidden], f"{prefix}.lora_B.weight": [wide, rank]}
    write_tensors(folder / "adapter_model.safetensors", shapes, random.Random(seed))
    return folder


def make_embedder(folder: Path) -> Path:
    """The tiny model as one that makes vectors."""
    make_model(folder)
    (folder / "chat_template.jinja").unlink()
    write(folder / "modules.json")
    return folder


def write_weights(path: Path, vocabulary: int, chance: random.Random) -> None:
    shapes: dict[str, list[int]] = {"model.embed_tokens.weight": [vocabulary, HIDDEN], "model.norm.weight": [HIDDEN]}
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        shapes |= {f"{prefix}{name}_layernorm.weight": [HIDDEN] for name in ("input", "post_attention")}
        shapes |= {f"{prefix}self_attn.{name}_proj.weight": [HIDDEN, HIDDEN] for name in "qkvo"}
        shapes |= {f"{prefix}mlp.{name}_proj.weight": [MIDDLE, HIDDEN] for name in ("gate", "up")}
        shapes[f"{prefix}mlp.down_proj.weight"] = [HIDDEN, MIDDLE]
    write_tensors(path, shapes, chance)


def write_tensors(path: Path, shapes: dict[str, list[int]], chance: random.Random) -> None:
    header, chunks, offset = {}, [], 0
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        values = [1.0] * count if "norm" in name else [chance.gauss(0, 0.3) for _ in range(count)]
        chunks.append(struct.pack(f"<{count}f", *values))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + 4 * count]}
        offset += 4 * count
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + b"".join(chunks))
