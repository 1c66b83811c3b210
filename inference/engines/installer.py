"""Makes the engine's own environment, with ``uv`` and from pinned versions.

The environment is built in a sibling folder, stamped, and renamed into place: an interrupted installation leaves
nothing that looks like an engine, and is repeated.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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
from sovereign.core.errors import ApiError

GIB = 1024**3
NEEDED_SPACE = {"cpu": 4 * GIB, "gpu": 24 * GIB}  # the CPU environment measured 2.1 GB, the download comes on top
ENGINE_PYTHON = "3.11"  # what the pins were made for
NVIDIA_TIMEOUT = 20  # seconds
OLLAMA_DEFAULT = "http://127.0.0.1:11434"
API_SERVER = "vllm/entrypoints/openai/api_server.py"

#: what uv says → what it means
FAILURES = (
    (re.compile(r"no space left", re.I), "the disk is full"),
    (
        re.compile(
            r"dns error|failed to fetch|error sending request|could not connect|connection refused|timed out", re.I
        ),
        "the package registry could not be reached",
    ),
    (re.compile(r"no (matching )?(distribution|version|wheels?)|no solution", re.I), "a pinned package was not found"),
    (re.compile(r"no interpreter found|no python", re.I), f"there is no Python {ENGINE_PYTHON}"),
)
#: pip's settings, which uv does not read → uv's names for them
PIP_SETTINGS = {
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL",
    "PIP_NO_INDEX": "UV_NO_INDEX",
    "PIP_CERT": "SSL_CERT_FILE",
}

#: how the lines begin that tell how far it is: uv's, and ours
STEPS = ("Resolved ", "Prepared ", "Downloading ", "Building ", "Installed ", "Bytecode compiled ", "Making ")

Say = Callable[[str], None]


class UvFailed(Exception):
    """``uv`` ended with an error; the text is what it said."""


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
        with _only_one():
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


@contextmanager
def _only_one() -> Iterator[None]:
    """One installation at a time in a data directory; the others wait for it."""
    with (settings.SOVEREIGN.data_dir / "engine-install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(variant: Variant, say: Say) -> None:
    engine_dir: Path = settings.SOVEREIGN.engine_dir
    for leftover in engine_dir.parent.glob("engine.new-*"):  # of interrupted installations: the lock is ours
        shutil.rmtree(leftover, ignore_errors=True)
    if (user := _process_in(engine_dir)) is not None:
        raise cannot_run(f"{engine_dir} is to be replaced and process {user} still runs from it")
    draft = engine_dir.with_name(f"engine.new-{os.getpid()}")
    log_file = settings.SOVEREIGN.data_dir / "logs" / "engine-install.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log_file.open("a") as log:
            _make_environment(draft, variant, _teller(log.write, say))
    except UvFailed as failure:
        shutil.rmtree(draft, ignore_errors=True)
        raise cannot_run(f"{meaning(str(failure))} (details: {log_file})") from None
    write_stamp(draft, variant)
    _swap(draft, engine_dir)


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


def _make_environment(folder: Path, variant: Variant, tell: Say) -> None:
    tell(f"Making the engine's environment ({variant}).")
    uv([*_uv(), "venv", "--no-project", "--relocatable", "--python", ENGINE_PYTHON, str(folder)], variant, tell)
    sync = [*_uv(), "pip", "sync", "--python", str(folder / "bin" / "python"), "--compile-bytecode"]
    pins = str(pins_file(variant))
    try:
        uv([*sync, pins], variant, tell)
    except UvFailed as failure:
        if variant != "cpu" or "+cpu" not in str(failure):
            raise
        # the CPU wheel of PyTorch is in none of the configured places: uv knows where its makers keep it
        uv([*sync, "--torch-backend", "cpu", pins], variant, tell)
    if not next(folder.glob(f"lib/python*/site-packages/{API_SERVER}"), None):
        raise UvFailed("vLLM's server is not where it should be")


def _uv() -> list[str]:
    if importlib.util.find_spec("uv") is not None:
        return [sys.executable, "-m", "uv"]
    if found := shutil.which("uv"):
        return [found]
    raise cannot_run("uv, which installs it, is missing: `pip install uv`")


def uv(command: list[str], variant: Variant, tell: Say) -> None:
    """
    :raises UvFailed: with the last lines it printed.
    """
    lines: list[str] = []
    process = subprocess.Popen(  # noqa: S603 (our own command line)
        command,
        cwd=settings.SOVEREIGN.base_dir,
        env=uv_environment(os.environ, variant),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line := line.strip():
                lines.append(line)
                if not line.startswith("+ "):  # one line for each package
                    tell(line)
    except BaseException:
        process.kill()
        raise
    finally:
        process.stdout.close()
        process.wait()
    if process.returncode != 0:
        raise UvFailed("\n".join(lines[-20:]) or f"uv ended with status {process.returncode}")


def uv_environment(environment: Mapping[str, str], variant: Variant) -> dict[str, str]:
    """The environment for uv, with pip's settings in its own terms.

    Wheels beside the index are for the CPU only: a ``torch 2.13.0+cpu`` there satisfies ``torch==2.13.0`` too.
    """
    result = {name: value for name, value in environment.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    result |= {"UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
    for pip_name, uv_name in PIP_SETTINGS.items():
        value = environment.get(pip_name, "")
        if not value or uv_name in environment or (pip_name == "PIP_FIND_LINKS" and variant == "gpu"):
            continue
        result[uv_name] = ",".join(value.split()) if pip_name == "PIP_FIND_LINKS" else value
    return result


def meaning(text: str) -> str:
    """What uv's output means, as half a sentence."""
    for pattern, sentence in FAILURES:
        if pattern.search(text):
            return sentence
    last = text.strip().splitlines()[-1:] or ["uv failed"]
    return f"uv said: {last[0][:200]}"


def _process_in(folder: Path) -> int | None:
    """A process that runs a program of this folder: its imports would break if the folder went away."""
    marker = f"{folder}/".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cmdline").read_bytes().startswith(marker):
                return int(entry.name)
        except OSError:
            continue
    return None


def _swap(draft: Path, engine_dir: Path) -> None:
    old = engine_dir.with_name(f"engine.new-{os.getpid()}.old")
    if engine_dir.is_symlink():
        engine_dir.unlink()
    elif engine_dir.exists():
        engine_dir.rename(old)
    draft.rename(engine_dir)
    shutil.rmtree(old, ignore_errors=True)
