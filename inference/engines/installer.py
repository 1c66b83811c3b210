"""Makes the engine's own environment, from pinned versions, as ``core.environments`` makes any."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from inference.engines.installation import (
    EngineCannotRun,
    Variant,
    pins_file,
    pins_hash,
    read_stamp,
    report,
    write_stamp,
)
from inference.services.environment import ollama_address
from sovereign.core import environments
from sovereign.core.environments import STEPS, Say, StillUsed, UvFailed, meaning, only_one, uv_environment
from sovereign.core.errors import ApiError

GIB = 1024**3
NEEDED_SPACE = {"cpu": 4 * GIB, "gpu": 24 * GIB}  # the CPU environment measured 2.1 GB, the download comes on top
NVIDIA_TIMEOUT = 20  # seconds
OLLAMA_DEFAULT = "http://127.0.0.1:11434"
API_SERVER = "vllm/entrypoints/openai/api_server.py"


def install(*, variant: Variant | None = None, say: Say = lambda line: None) -> bool:
    """Make the environment for ``variant`` (``None``: ``gpu`` where an NVIDIA GPU answers, else ``cpu``).

    Instant where it is already there. Returns whether anything was done.

    :raises EngineCannotRun: with one sentence that says why, and what else there is.
    """
    chosen = variant or detected_variant()
    if is_current(chosen):
        report("installed", "")
        return False
    try:
        check_host(chosen)
        with only_one(settings.SOVEREIGN.data_dir / "engine-install.lock"):
            if is_current(chosen):  # somebody else did it meanwhile
                report("installed", "")
                return False
            report("installing", f"Installing vLLM for {chosen.upper()}.")
            _build(chosen, say)
    except EngineCannotRun as error:
        report("failed", str(error))
        raise
    report("installed", "")
    return True


def is_current(variant: Variant) -> bool:
    stamp = read_stamp(settings.SOVEREIGN.engine_dir)
    return stamp is not None and stamp.get("variant") == variant and stamp.get("pins") == pins_hash(variant)


def detected_variant() -> Variant:
    """``gpu`` where ``nvidia-smi`` finds a device."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "cpu"
    try:
        found = subprocess.run([program, "-L"], capture_output=True, timeout=NVIDIA_TIMEOUT, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return "cpu"
    return "gpu" if found.returncode == 0 and b"GPU" in found.stdout else "cpu"


def check_host(variant: Variant) -> None:
    """
    :raises EngineCannotRun: vLLM does not run on this machine, or does not fit.
    """
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"):
        raise cannot_run(f"vLLM's builds are for Linux on x86-64, and this is {platform.system()} {platform.machine()}")
    if variant == "cpu" and "avx2" not in _cpu_flags():
        raise cannot_run("vLLM's CPU build needs AVX2, which this processor does not have")
    folder = settings.SOVEREIGN.data_dir
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < NEEDED_SPACE[variant]:
        needed = NEEDED_SPACE[variant] / GIB
        raise cannot_run(f"the engine needs {needed:.0f} GiB on disk, and {folder} has {free / GIB:.1f} free")


def _cpu_flags() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return frozenset({"avx2"})  # not known: let vLLM say it
    match = re.search(r"^flags\s*:(.*)$", text, re.M)
    return frozenset(match[1].split()) if match else frozenset({"avx2"})


def cannot_run(why: str) -> EngineCannotRun:
    """The sentence with what can be done instead."""
    ollama = find_ollama()
    if ollama and settings.SOVEREIGN.ollama_host:
        return EngineCannotRun(f"No engine was installed: {why}; the Ollama at {ollama} is used.")
    if ollama:
        return EngineCannotRun(
            f"No engine was installed: {why}; an Ollama answers here, so OLLAMA_HOST={ollama} would use it."
        )
    return EngineCannotRun(
        f"No engine was installed: {why}; set SOVEREIGN_ENGINE_URL to an OpenAI-compatible server to use that instead."
    )


def find_ollama() -> str | None:
    """The address of an Ollama that answers: the configured one, or the usual one on this host."""
    try:
        address = ollama_address(settings.SOVEREIGN.ollama_host or OLLAMA_DEFAULT)
    except ApiError:
        return None
    if not address.startswith(("http://", "https://")):
        return None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/api/version", timeout=1) as response:
            answer = json.loads(response.read(1_000))
    except (OSError, ValueError):
        return None
    return address if isinstance(answer, dict) and "version" in answer else None


def _build(variant: Variant, say: Say) -> None:
    log_file = settings.SOVEREIGN.data_dir / "logs" / "engine-install.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log_file.open("a") as log:
            tell = _teller(log.write, say)
            environments.build(settings.SOVEREIGN.engine_dir, lambda draft: _fill(draft, variant, tell))
    except StillUsed as error:
        raise cannot_run(str(error)) from None
    except UvFailed as failure:
        raise cannot_run(f"{meaning(str(failure))} (details: {log_file})") from None


def _teller(write: Callable[[str], object], say: Say) -> Say:
    """All goes to the log; to people only what tells them how far it is."""

    def tell(line: str) -> None:
        write(line + "\n")
        if line.startswith(STEPS):
            say(line)
            report("installing", line[:200])
        if line.startswith("Installed "):
            tell("Making the engine's files ready to start fast.")

    return tell


def _fill(folder: Path, variant: Variant, tell: Say) -> None:
    tell(f"Making the engine's environment ({variant}).")
    environments.make_environment(folder, lambda command: uv(command, variant, tell))
    sync, pins = environments.sync_command(folder), str(pins_file(variant))
    try:
        uv([*sync, pins], variant, tell)
    except UvFailed as failure:
        if variant != "cpu" or "+cpu" not in str(failure):
            raise
        # the CPU wheel of PyTorch is in none of the configured places: uv knows where its makers keep it
        uv([*sync, "--torch-backend", "cpu", pins], variant, tell)
    if not next(folder.glob(f"lib/python*/site-packages/{API_SERVER}"), None):
        raise UvFailed("vLLM's server is not where it should be")
    write_stamp(folder, variant)


def uv(arguments: list[str], variant: Variant, tell: Say) -> None:
    """
    Wheels beside the index are for the CPU only: a ``torch 2.13.0+cpu`` there satisfies ``torch==2.13.0`` too.

    :raises UvFailed: with the last lines it printed.
    """
    environment = uv_environment(os.environ, wheels=variant == "cpu")
    command = [*environments.uv_program(), *arguments]
    environments.call(command, folder=settings.SOVEREIGN.base_dir, environment=environment, tell=tell)
