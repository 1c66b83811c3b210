"""Everything that is particular to vLLM: flags, environment variables, what a model's folder needs, what its log means.

Written against 0.32, CPU and CUDA builds. It is never imported here: it runs as a server of its own.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.engines.installation import EngineCannotRun
from inference.resolution import STARTER, model_folder, served_name

SERVER = "vllm.entrypoints.openai.api_server"
GIB = 1024**3
CPU_MAXIMUM_SEQUENCES = 64  # streams that a CPU engine computes at once
STARTER_CACHE_GIB = 1
LARGEST_CACHE_GIB = 16
BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
STRUCTURED_OUTPUTS = {"backend": "xgrammar", "disable_any_whitespace": True}

#: what the log says → one sentence; the first match wins
FAILURES = (
    (
        re.compile(r"trust_remote_code|execute the configuration file", re.I),
        "Its repository holds code of its own, which is never run.",
    ),
    (
        re.compile(
            r"out of memory|OutOfMemoryError|Cannot allocate memory|less than desired|No available memory", re.I
        ),
        "It ran out of memory.",
    ),
    (
        re.compile(
            r"larger than the maximum number of tokens that can be stored in KV cache|max seq len .* is larger", re.I
        ),
        "Its context is longer than the memory for it allows: give --max-model-len.",
    ),
    (re.compile(r"address already in use", re.I), "Its port was taken by another program."),
    (re.compile(r"No space left on device", re.I), "The disk is full."),
    (
        re.compile(
            r"LocalEntryNotFoundError|OfflineModeIsEnabled|couldn't connect|Connection error|MaxRetryError", re.I
        ),
        "The model is not on this machine and its repository could not be reached.",
    ),
    (
        re.compile(r"RepositoryNotFoundError|is not a local folder and is not a valid model", re.I),
        "There is no such model.",
    ),
    (re.compile(r"GatedRepoError|401 Client Error", re.I), "The repository of the model asks for a permission."),
    (re.compile(r"No module named '?vllm", re.I), "vLLM is not installed in the engine's environment."),
    (re.compile(r"unrecognized arguments: (?P<detail>.+)", re.I), "vLLM does not know the option"),
    (
        re.compile(r"architectures? (?P<detail>.{0,80}?) (are|is) not supported", re.I),
        "vLLM cannot run this architecture:",
    ),
)
STAGES = (
    (re.compile(r"Application startup complete"), "Answering its first question."),
    (re.compile(r"Loading \w+ checkpoint shards:\s+(\d+)%"), "Loading the weights."),
    (re.compile(r"Starting to load model"), "Loading the weights."),
    (re.compile(r"Capturing CUDA graph|Compiling a graph"), "Compiling for this GPU."),
    (re.compile(r"Initializing a V1 LLM engine"), "Starting the engine's processes."),
    (re.compile(r"Downloading|Fetching \d+ files"), "Downloading the model."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How one engine is started: ``command`` still lacks host and port, ``environment`` the key."""

    name: str  # under which the model is served
    source: str  # folder or repository
    command: tuple[str, ...]
    environment: dict[str, str]
    context_length: int | None


def plan(model: str, *, python: Path, extra: Sequence[str] = ()) -> Launch:
    """How to serve ``model``: a folder, a repository's name, or ``""`` for the starter model.

    :param extra: passed on to vLLM as they are.
    :raises EngineCannotRun: a missing or unusable folder, or an option that would run a repository's code.
    """
    configuration = check(model, extra)
    folder = model_folder(model)
    name, source = served_name(model), str(folder or model)
    gpu = has_gpu_build(python)
    command = [str(python), "-m", SERVER, "--model", source, "--served-model-name", name, *flags(gpu=gpu), *extra]
    return Launch(
        name=name,
        source=source,
        command=tuple(command),
        environment=environment(gpu=gpu, starter=name == STARTER, local=folder is not None),
        context_length=configuration.get("max_position_embeddings"),
    )


def check(model: str, extra: Sequence[str] = ()) -> dict[str, Any]:
    """The configuration of ``model`` where it is a folder; what is wrong needs no engine to be said.

    :raises EngineCannotRun: as :func:`plan`.
    """
    for option in extra:
        if option.startswith("--t") and "--trust-remote-code".startswith(option.split("=")[0].replace("_", "-")):
            raise EngineCannotRun("--trust-remote-code is refused: it runs code that comes with a model.")
    folder = model_folder(model)
    return inspect(folder, extra) if folder is not None else {}


def flags(*, gpu: bool) -> list[str]:
    shared = [
        *("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
        *("--structured-outputs-config", json.dumps(STRUCTURED_OUTPUTS)),
        "--enable-prompt-tokens-details",
        "--disable-uvicorn-access-log",
        "--disable-fastapi-docs",
        *("--allowed-origins", "[]"),
    ]
    if gpu:
        return shared
    dtype = [] if cpu_flags() & BFLOAT16_FLAGS else ["--dtype", "float32"]
    return [*shared, "--enforce-eager", "--max-num-seqs", str(CPU_MAXIMUM_SEQUENCES), *dtype]


def address_flags(host: str, port: int) -> list[str]:
    return ["--host", host, "--port", str(port)]


def key_environment(key: str) -> dict[str, str]:
    """The key that the server asks for: not on the command line, which every user of the machine can read."""
    return {"VLLM_API_KEY": key}


def environment(*, gpu: bool, starter: bool, local: bool) -> dict[str, str]:
    """What vLLM is told by environment variables; the operator's own values win."""
    wanted = {
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if local:
        wanted |= {"HF_HUB_OFFLINE": "1"}
    if not gpu:
        wanted |= {"VLLM_CPU_KVCACHE_SPACE": str(STARTER_CACHE_GIB if starter else cache_space())}
    inherited = {name: value for name, value in os.environ.items() if not _is_ours(name)}
    return {**wanted, **inherited}


def _is_ours(name: str) -> bool:
    """Our own settings hold secrets that are none of an engine's business."""
    private = (
        "DATABASE_URL",
        "REDIS_URL",
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "PYTHONPATH",
        "VIRTUAL_ENV",
        "VLLM_API_KEY",
    )
    return name.startswith(("SOVEREIGN_", "DJANGO_")) or name.removesuffix("_FILE") in private


def cache_space() -> int:
    """GiB for the keys and values of all streams together: a quarter of what is free."""
    match = re.search(r"^MemAvailable:\s+(\d+) kB", _read("/proc/meminfo"), re.M)
    available = int(match[1]) * 1024 if match else 4 * GIB
    return max(1, min(available // 4 // GIB, LARGEST_CACHE_GIB))


def cpu_flags() -> frozenset[str]:
    match = re.search(r"^flags\s*:(.*)$", _read("/proc/cpuinfo"), re.M)
    return frozenset(match[1].split()) if match else frozenset()


def has_gpu_build(python: Path) -> bool:
    """Whether the environment of this interpreter holds vLLM's CUDA build."""
    libraries = python.parent.parent
    return not any(libraries.glob("lib/python*/site-packages/vllm_cpu-*.dist-info"))


def inspect(folder: Path, extra: Sequence[str]) -> dict[str, Any]:
    """The configuration of a model's folder.

    :raises EngineCannotRun: it is missing, brings code along, or lacks what a chat needs.
    """
    if not folder.is_dir():
        raise EngineCannotRun(f"There is no model folder {folder}.")
    try:
        configuration = json.loads((folder / "config.json").read_text())
        tokenizer = json.loads(_read(folder / "tokenizer_config.json") or "{}")
    except (OSError, ValueError):
        raise EngineCannotRun(f"{folder} is not a model: its config.json is missing or not JSON.") from None
    if not isinstance(configuration, dict) or not isinstance(tokenizer, dict):
        raise EngineCannotRun(f"{folder} is not a model: its config.json is not an object.")
    if "auto_map" in configuration or "auto_map" in tokenizer:
        raise EngineCannotRun(f"{folder} brings code of its own (auto_map), which is never run.")
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("*.gguf")):
        raise EngineCannotRun(f"{folder} holds no weights in safetensors format, the only one that is loaded.")
    has_template = "chat_template" in tokenizer or (folder / "chat_template.jinja").exists()
    if not has_template and not any(option.startswith("--chat-template") for option in extra):
        raise EngineCannotRun(f"{folder} has no chat template: give one with --chat-template.")
    return configuration


def explain(log: str) -> str:
    """One sentence about why the engine ended, from the end of its log; ``""`` where nothing is recognised."""
    for pattern, sentence in FAILURES:
        if match := pattern.search(log):
            detail = (match.groupdict().get("detail") or "").strip()
            return f"{sentence} {detail[:120].rstrip('.')}." if detail else sentence
    return ""


def stage(log: str) -> str:
    """How far loading is, from the end of the log."""
    for pattern, sentence in STAGES:
        if pattern.search(log):
            return sentence
    return ""


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
