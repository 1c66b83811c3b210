"""How vLLM's server is started for a model: its command, its environment, and what it will serve.

It is never imported here: it runs as a server of its own. What differs between its versions stands in ``versions``.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from inference.engines.checkpoint import Checkpoint, check_adapter, read_checkpoint
from inference.engines.cores import ONE_PROCESS, computes_in_one_process, threads_environment
from inference.engines.installation import EngineCannotRun
from inference.engines.memory import Memory
from inference.engines.options import Options
from inference.engines.parsers import parsers_for
from inference.engines.versions import Build, read_build
from inference.naming import MAXIMUM_NAME, STARTER, model_folder, served_name
from sovereign.core.egress import EgressRefused, check_url

LOOPBACK = "127.0.0.1"
INSIDE = Path(__file__).resolve().parent / "inside"
CPU_MAXIMUM_SEQUENCES = 64  # streams that a CPU engine computes at once
BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
STRUCTURED_OUTPUTS = {"backend": "xgrammar", "disable_any_whitespace": True}
CHATS = {"completions": True, "logprobs": True}
MAKES_VECTORS = {"chat": False, "tools": False, "json_schema": False, "continuation": False, "embeddings": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How one engine is started: ``command`` still lacks address and memory, ``environment`` the key."""

    name: str  # under which the model is served
    source: str  # folder or repository
    command: tuple[str, ...]
    environment: dict[str, str]
    context_length: int | None
    adapters: tuple[str, ...] = ()  # names of LoRA adapters, which are models of their own
    abilities: dict[str, bool] = field(default_factory=dict)
    makes_vectors: bool = False
    host: str = LOOPBACK
    port: int | None = None  # ``None``: any that is free
    scheme: str = "http"
    sleep_after: float | None = None  # seconds
    memory: Memory = field(default_factory=Memory)

    @property
    def served(self) -> list[dict[str, Any]]:
        """What the registry is told that this engine serves."""
        return [
            {"id": name, "context_length": self.context_length, "abilities": dict(self.abilities)}
            for name in (self.name, *self.adapters)
        ]

    def url(self, port: int) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{port}/v1"


def plan(
    model: str,
    *,
    python: Path,
    extra: Sequence[str] = (),
    advertise: str = "",
    sleep_after: float | None = None,
    memory_share: float = 1.0,
) -> Launch:
    """How to serve ``model``: a folder, a repository's name, or ``""`` for the starter model.

    :param extra: passed on to vLLM as they are; where one of our defaults is among them, ours steps back.
    :param advertise: ``HOST`` or ``HOST:PORT`` under which other machines reach the engine.
    :param sleep_after: seconds without a request after which it gives its memory back.
    :param memory_share: 0 to 1, of what this machine has for models.
    :raises EngineCannotRun: a missing or unusable folder, an option that cannot be, a vLLM that is too old.
    """
    checkpoint, options = check(model, extra), Options(extra)
    build = read_build(python)
    if sleep_after is not None and not build.sleeps:
        raise EngineCannotRun("This build of vLLM has no sleep mode, which needs a GPU: leave --sleep-after out.")
    name, folder = engine_name(model, options), model_folder(model)
    vectors = makes_vectors(checkpoint, options)
    host, port = split_address(advertise)
    flags = defaults(build, checkpoint, name, vectors=vectors, sleeps=sleep_after is not None)
    one_process = computes_in_one_process(build, options)
    command = [
        *(str(python), *build.server, "--model", str(folder or model)),
        *(() if options.has("--served-model-name") else ("--served-model-name", name)),
        *unless_given(flags, options),
        *(("--distributed-executor-backend", ONE_PROCESS) if one_process else ()),
        *extra,
        *("--middleware", "sovereign_door.Door"),
    ]
    return Launch(
        name=name,
        source=str(folder or model),
        command=tuple(command),
        environment={
            **(threads_environment() if one_process else {}),
            **environment(local=folder is not None, sleeps=sleep_after is not None),
        },
        context_length=_context_length(checkpoint, options),
        adapters=(*options.values("--served-model-name")[1:], *options.adapters()),
        abilities=MAKES_VECTORS if vectors else {**CHATS, "vision": checkpoint.sees},
        makes_vectors=vectors,
        host=host,
        port=options.number("--port", 0) or port,
        scheme="https" if options.has("--ssl-certfile") else "http",
        sleep_after=sleep_after,
        memory=_memory(build, checkpoint, options, memory_share, starter=name == STARTER),
    )


def check(model: str, extra: Sequence[str] = ()) -> Checkpoint:
    """What is known of ``model`` now; what is wrong with it or the options needs no engine to be said.

    :raises EngineCannotRun: as :func:`plan`.
    """
    options = Options(extra)
    options.check()
    for name, source in options.adapters().items():
        if not name.isprintable() or len(name) > MAXIMUM_NAME:
            raise EngineCannotRun("The name of a LoRA adapter is 1 to 200 printable characters.")
        if (folder := model_folder(source)) is None:  # nobody could look at it before it is loaded
            raise EngineCannotRun(f"The LoRA adapter '{name}' is to be a folder on this machine, and {source} is none.")
        check_adapter(name, folder)
    folder = model_folder(model)
    checkpoint = read_checkpoint(folder) if folder is not None else Checkpoint()
    needs_template = folder is not None and not makes_vectors(checkpoint, options)
    if needs_template and not checkpoint.template and not options.has("--chat-template"):
        raise EngineCannotRun(f"{folder} has no chat template: give one with --chat-template.")
    return checkpoint


def engine_name(model: str, options: Options) -> str:
    """Under which the model is served."""
    given = options.values("--served-model-name")
    return given[0][:MAXIMUM_NAME] if given else served_name(model)


def makes_vectors(checkpoint: Checkpoint, options: Options) -> bool:
    """Whether the engine is asked for vectors, and not for answers."""
    if (runner := options.value("--runner")) not in (None, "auto"):
        return runner in ("pooling", "embed", "embedding")
    return checkpoint.makes_vectors or options.value("--convert") == "embed"


def split_address(advertise: str) -> tuple[str, int | None]:
    """Host and port of ``HOST``, ``HOST:PORT``, ``[IPV6]:PORT``; the loopback interface where nothing is given.

    :raises EngineCannotRun: it is no address that others could reach.
    """
    if not advertise:
        return LOOPBACK, None
    try:
        bare = advertise.count(":") > 1 and not advertise.startswith("[")
        parts = urlsplit(f"//[{advertise}]" if bare else f"//{advertise}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not re.fullmatch(r"[\w.:-]+", host) or "@" in advertise or "/" in advertise:
        raise EngineCannotRun(f"--advertise takes a host or host:port, and {advertise[:80]!r} is neither.")
    try:
        everywhere = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        everywhere = False
    if everywhere:
        raise EngineCannotRun(f"--advertise takes the address that others know this machine by, and {host} is none.")
    try:
        check_url(f"http://[{host}]" if ":" in host else f"http://{host}", inner_network=True)
    except EgressRefused as refused:
        raise EngineCannotRun(f"--advertise takes an address that can be asked: {refused}") from None
    return host, port


Flag = tuple[str, ...]


def defaults(build: Build, checkpoint: Checkpoint, name: str, *, vectors: bool, sleeps: bool) -> list[Flag]:
    """Our own flags, each with its values."""
    chosen: list[Flag] = [
        ("--disable-uvicorn-access-log",),
        ("--disable-fastapi-docs",),
        ("--allowed-origins", "[]"),
        *(_for_vectors() if vectors else _for_chats(build, checkpoint, name)),
    ]
    if sleeps:
        chosen.append(("--enable-sleep-mode",))
    if not build.gpu:
        chosen += [("--enforce-eager",), ("--max-num-seqs", str(CPU_MAXIMUM_SEQUENCES))]
        if not cpu_flags() & BFLOAT16_FLAGS:
            chosen.append(("--dtype", "float32"))
    return [flag for flag in chosen if build.knows(flag[0])]


def _for_vectors() -> list[Flag]:
    return [("--runner", "pooling")]


def _for_chats(build: Build, checkpoint: Checkpoint, name: str) -> list[Flag]:
    parsers = parsers_for(name, checkpoint.configuration, checkpoint.template)
    chosen: list[Flag] = [
        ("--structured-outputs-config", json.dumps(STRUCTURED_OUTPUTS)),
        ("--enable-prompt-tokens-details",),
        ("--max-model-len", "auto"),  # the model's own context, or as much of it as memory has room for
    ]
    if (tools := build.tool_parser(parsers.tools)) is not None:
        chosen += [("--enable-auto-tool-choice",), ("--tool-call-parser", tools)]
        # Only listed tools can be named: 46 right ones of 50 instead of 42 with the starter model.
        chosen.append(("--tool-strict-level", "function"))
    if (reasoning := build.reasoning_parser(parsers.reasoning)) is not None:
        chosen.append(("--reasoning-parser", reasoning))
    return chosen


def unless_given(flags: Sequence[Flag], options: Options) -> list[str]:
    return [part for flag in flags if not options.has(flag[0]) for part in flag]


def _context_length(checkpoint: Checkpoint, options: Options) -> int | None:
    """What is known before the engine says it itself."""
    return options.number("--max-model-len", 0) or checkpoint.context_length


def _memory(build: Build, checkpoint: Checkpoint, options: Options, share: float, *, starter: bool) -> Memory:
    if not 0 < share <= 1:
        raise EngineCannotRun("--memory-share is more than 0 and at most 1.")
    devices = options.number("--tensor-parallel-size", 1) * options.number("--pipeline-parallel-size", 1)
    return Memory(
        gpu=build.gpu,
        share=share,
        given=options.has("--gpu-memory-utilization") or options.has("--kv-cache-memory-bytes"),
        starter=starter,
        weights=checkpoint.weights,
        devices=devices,
    )


def address_flags(host: str, port: int) -> list[str]:
    return ["--host", host, "--port", str(port)]


def key_environment(key: str) -> dict[str, str]:
    """The key that the server asks for: not on the command line, which every user of the machine can read."""
    return {"VLLM_API_KEY": key}


def environment(*, local: bool, sleeps: bool = False) -> dict[str, str]:
    """What vLLM is told by environment variables; the operator's own values win."""
    wanted = {
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if local:
        wanted |= {"HF_HUB_OFFLINE": "1"}
    if sleeps:  # vLLM has the doors for it in this mode only; all of them ask for the key here
        wanted |= {"VLLM_SERVER_DEV_MODE": "1"}
    inherited = {name: value for name, value in os.environ.items() if not _is_ours(name)}
    return {**wanted, **inherited, "PYTHONPATH": str(INSIDE)}


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


def cpu_flags() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return frozenset()
    match = re.search(r"^flags\s*:(.*)$", text, re.M)
    return frozenset(match[1].split()) if match else frozenset()
