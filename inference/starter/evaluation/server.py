# ruff: noqa: S310, S603  (our own server on loopback)
"""A vLLM server of the starter model for the length of an evaluation."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

NAME = "sovereign-starter"
READY_SECONDS = 240
STOP_SECONDS = 15


class EngineFailed(RuntimeError):
    """vLLM ended, or was not ready in time; the text is the end of what it wrote."""


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def command(python: str, weights: Path, port: int) -> list[str]:
    """vLLM's own OpenAI server, eager, in float32: fast to start, and the precision of the weights.

    As in the product, a call can only name a listed tool, and the model has no process of its own (few cores).
    """
    return [
        python, "-m", "vllm.entrypoints.openai.api_server",
        "--model", str(weights), "--served-model-name", NAME,
        "--host", "127.0.0.1", "--port", str(port),
        "--dtype", "float32", "--enforce-eager", "--max-model-len", "2048", "--max-num-seqs", "16",
        "--enable-auto-tool-choice", "--tool-call-parser", "hermes", "--tool-strict-level", "function",
        "--distributed-executor-backend", "vllm.v1.executor.uniproc_executor.UniProcExecutor",
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """The server's environment: offline, no telemetry, one GiB of cache."""
    quiet = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    threads = {} if platform.system() != "Linux" else {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 2) - 1))}
    return {**os.environ, **quiet, **threads}


def wait(process: subprocess.Popen[bytes], base: str, log: Path) -> None:
    """Return when the server lists its model."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"{base}/models", timeout=2):
            return
        time.sleep(0.5)
    tail = log.read_text(errors="replace")[-2000:]
    raise EngineFailed(f"vLLM was not ready after {READY_SECONDS} s.\n{tail}")


@contextlib.contextmanager
def serving(python: str, weights: Path, log: Path) -> Iterator[str]:
    """The base URL of a vLLM server that ends, with all of its processes, when the block ends."""
    port = free_port()
    base = f"http://127.0.0.1:{port}/v1"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command(python, weights, port), env=environment(), stdout=output, stderr=output, start_new_session=True
        )
        try:
            wait(process, base, log)
            yield base
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server's whole process group: its engine core is a child that would live on."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
