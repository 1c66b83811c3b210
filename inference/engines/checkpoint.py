"""What a model's folder holds, and what is wrong with it: said before minutes of loading, and without running it.

Weights are read as safetensors (or GGUF) only; pickles and Python files are code, and code that comes with a model is
never run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inference.engines.installation import EngineCannotRun

PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt")
CODE = ("*.py", "*.so")
#: what sentence-transformers leaves in the folder of a model that makes vectors
POOLING_FILES = ("modules.json", "config_sentence_transformers.json")
LARGEST_FILE = 64 * 1024 * 1024  # bytes of a JSON file that are read


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is known of a model before it is loaded; all of it empty for a repository's name."""

    configuration: dict[str, Any] = field(default_factory=dict)
    template: str = ""
    weights: int = 0  # bytes
    makes_vectors: bool = False

    @property
    def text_configuration(self) -> dict[str, Any]:
        """Of the language model: models with eyes have it one level down."""
        inner = self.configuration.get("text_config")
        return inner if isinstance(inner, dict) else self.configuration

    @property
    def context_length(self) -> int | None:
        """Tokens."""
        length = self.text_configuration.get("max_position_embeddings")
        return length if type(length) is int and 0 < length < 2**31 else None

    @property
    def sees(self) -> bool:
        return isinstance(self.configuration.get("vision_config"), dict)


def read_checkpoint(folder: Path) -> Checkpoint:
    """
    :raises EngineCannotRun: it is missing, is no model, or brings code along.
    """
    if not folder.is_dir():
        raise EngineCannotRun(f"There is no model folder {folder}.")
    configuration = _json(folder / "config.json")
    if configuration is None:
        raise EngineCannotRun(f"{folder} is not a model: its config.json is missing or not JSON.")
    tokenizer = _json(folder / "tokenizer_config.json", {})
    if not isinstance(configuration, dict) or not isinstance(tokenizer, dict):
        raise EngineCannotRun(f"{folder} is not a model: its config.json is not an object.")
    if "auto_map" in configuration or "auto_map" in tokenizer:
        raise EngineCannotRun(f"{folder} brings code of its own (auto_map), which is never run.")
    files = [*folder.glob("*.safetensors"), *folder.glob("*.gguf")]
    if not files:
        raise EngineCannotRun(f"{folder} holds no weights in safetensors format, the only one that is loaded.")
    return Checkpoint(
        configuration=configuration,
        template=_template(folder, tokenizer),
        weights=sum(path.stat().st_size for path in files),
        makes_vectors=any((folder / name).exists() for name in POOLING_FILES),
    )


def check_adapter(name: str, folder: Path) -> None:
    """Refuse a LoRA adapter that is none, or that could run code.

    :raises EngineCannotRun: with one sentence.
    """
    configuration = _json(folder / "adapter_config.json")
    if not folder.is_dir():
        raise EngineCannotRun(f"There is no folder {folder} for the LoRA adapter '{name}'.")
    if not isinstance(configuration, dict):
        raise EngineCannotRun(f"{folder} is not a LoRA adapter: its adapter_config.json is missing or not JSON.")
    if configuration.get("auto_mapping") or "auto_map" in configuration:
        raise EngineCannotRun(f"The LoRA adapter '{name}' brings code of its own, which is never run.")
    if found := _first(folder, CODE):
        raise EngineCannotRun(f"The LoRA adapter '{name}' brings code of its own ({found}), which is never run.")
    if found := _first(folder, PICKLES):
        raise EngineCannotRun(f"The LoRA adapter '{name}' holds a pickle ({found}), which is never loaded.")
    if not (folder / "adapter_model.safetensors").is_file():
        raise EngineCannotRun(f"{folder} holds no adapter_model.safetensors, the only format that is loaded.")


def _first(folder: Path, patterns: tuple[str, ...]) -> str:
    return next((path.name for pattern in patterns for path in sorted(folder.rglob(pattern))), "")


def _template(folder: Path, tokenizer: dict[str, Any]) -> str:
    """The chat template: a file of its own, or a text (or a list of named ones) of the tokenizer."""
    if text := _text(folder / "chat_template.jinja"):
        return text
    kept = tokenizer.get("chat_template")
    if kept is None:
        kept = (_json(folder / "chat_template.json", {}) or {}).get("chat_template")
    if isinstance(kept, list):
        return "\n".join(str(entry.get("template", "")) for entry in kept if isinstance(entry, dict))
    return kept if isinstance(kept, str) else ""


def _json(path: Path, default: Any = None) -> Any:
    """The content; ``default`` where there is no file, ``None`` where it is no JSON."""
    if not path.exists():
        return default
    try:
        return json.loads(_text(path))
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(LARGEST_FILE)
    except (OSError, UnicodeDecodeError):
        return ""
