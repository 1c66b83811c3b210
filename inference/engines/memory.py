"""How much memory an engine may take: for the keys and values of all its streams on a CPU, in all of a GPU.

Measured when the engine starts, and again at every new start, so that a second model fits beside a first one.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

GIB = 1024**3
MIB = 1024**2
STARTER_CACHE = 1 * GIB
LARGEST_CACHE = 16 * GIB  # on a CPU
CPU_PART = 4  # of what is free, one such part
WORKSPACE = GIB  # that a CPU engine needs beside weights and cache
GPU_PART = 0.9  # of a GPU; the rest is for what vLLM does not count
GPU_SLACK = 512 * MIB  # left free on a GPU that others use too
SMALLEST_GPU_SHARE = 0.05
NVIDIA_TIMEOUT = 20  # seconds
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What one engine asks for.

    ``share`` is 0 to 1 of what the machine has for models; ``given``: the operator has said it to vLLM.
    """

    gpu: bool = False
    share: float = 1.0
    given: bool = False
    starter: bool = False
    weights: int = 0  # bytes
    devices: int = 1  # GPUs that one engine takes on this machine

    def flags(self) -> list[str]:
        """vLLM's flags, by what is free now. Takes a moment: ``nvidia-smi`` is asked."""
        if not self.gpu or self.given:
            return []
        share = gpu_share(gpus(), self.devices, self.share)
        return [] if share is None else ["--gpu-memory-utilization", f"{share:.2f}"]

    def environment(self) -> dict[str, str]:
        if self.gpu:
            return {}
        cache = STARTER_CACHE if self.starter else cpu_cache(available(), self.weights, self.share)
        return {"VLLM_CPU_KVCACHE_SPACE": str(cache // GIB)}


@dataclass(frozen=True, slots=True)
class Gpu:
    """Bytes."""

    total: int
    free: int


def gpu_share(devices: list[Gpu], wanted: int, share: float) -> float | None:
    """What to give as ``--gpu-memory-utilization``, a part of the whole GPU; ``None`` where no GPU answers."""
    used = devices[: max(wanted, 1)]
    if not used:
        return None
    fitting = min(min(GPU_PART * share, (gpu.free - GPU_SLACK) / gpu.total) for gpu in used)
    return max(math.floor(fitting * 100) / 100, SMALLEST_GPU_SHARE)


def gpus() -> list[Gpu]:
    """The GPUs that this process may use, in their order; empty where ``nvidia-smi`` does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, "--query-gpu=index,uuid,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=NVIDIA_TIMEOUT, check=False).stdout  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return []
    return visible(said, os.environ.get("CUDA_VISIBLE_DEVICES"))


def visible(listed: str, chosen: str | None) -> list[Gpu]:
    """Read ``nvidia-smi``'s table; ``chosen`` is ``CUDA_VISIBLE_DEVICES`` (indices or beginnings of ids)."""
    found: dict[str, Gpu] = {}
    for line in listed.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 4 and cells[2].isdigit() and cells[3].isdigit():
            gpu = Gpu(int(cells[2]) * MIB, int(cells[3]) * MIB)
            found[cells[0]] = found[cells[1]] = gpu
    if chosen is None:
        return [gpu for name, gpu in found.items() if name.isdigit()]
    names = [name.strip() for name in chosen.split(",") if name.strip()]
    return [gpu for wanted in names for name, gpu in found.items() if _means(wanted, name)]


def _means(wanted: str, name: str) -> bool:
    return name == wanted if wanted.isdigit() else not name.isdigit() and name.startswith(wanted)


def cpu_cache(free: int, weights: int, share: float) -> int:
    """Bytes for keys and values, whole GiB: a quarter of what is free, and no more than the weights leave."""
    left = min(free // CPU_PART, free - weights - WORKSPACE, LARGEST_CACHE)
    return max(1, int(left * share) // GIB) * GIB


def available() -> int:
    """Bytes that are free on this machine, or in the container that we are in."""
    match = re.search(r"^MemAvailable:\s+(\d+) kB", _read(Path("/proc/meminfo")), re.M)
    machine = int(match[1]) * 1024 if match else 4 * GIB
    limit, used = _read(CGROUP / "memory.max").strip(), _read(CGROUP / "memory.current").strip()
    if limit.isdigit() and used.isdigit():
        return max(0, min(machine, int(limit) - int(used)))
    return machine


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
