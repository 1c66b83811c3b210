"""Virtual environments for clients: each ``NAME.txt`` here (compiled from ``NAME.in``) is one.

``python -m tests.sdk.environments [NAME …]`` installs what is missing or out of date and leaves the rest alone;
``tests/setup.sh`` calls it. A test asks :func:`python_of` for the interpreter and runs the client in its own process,
so that clients that exclude each other, and versions of one client, can be tested side by side.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.fixtures import skip_ring

FOLDER = Path(__file__).parent
INSTALLED = FOLDER / ".installed"
TIMEOUT = 600.0  # seconds for one environment; a cold cache downloads everything


def names() -> list[str]:
    """The environments there are pins for."""
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def python_of(name: str) -> Path:
    """The interpreter of an environment; the test is left out (or fails, see ``skip_ring``) where it is not there."""
    if not is_installed(name):
        skip_ring(f"the environment {name} is not installed: run tests/setup.sh")
    return _interpreter(name)


def is_installed(name: str) -> bool:
    """Whether the environment is there, with the pins of now."""
    stamp = _stamp(name)
    return stamp.is_file() and stamp.read_text() == _fingerprint(name)


def install(name: str) -> None:
    """Make the environment, from nothing, unless it is there with the pins of now.

    :raises subprocess.CalledProcessError: uv could not; what it said is on standard error.
    """
    with _alone():
        if is_installed(name):
            return
        folder = INSTALLED / name
        shutil.rmtree(folder, ignore_errors=True)
        _uv("venv", "--python", sys.executable, str(folder))
        _uv("pip", "install", "--python", str(_interpreter(name)), "-r", str(FOLDER / f"{name}.txt"))
        _stamp(name).write_text(_fingerprint(name))


def _interpreter(name: str) -> Path:
    return INSTALLED / name / "bin" / "python"


def _stamp(name: str) -> Path:
    return INSTALLED / name / "pins"


def _fingerprint(name: str) -> str:
    """Differs where the pins, or the Python they are installed for, do."""
    pins = (FOLDER / f"{name}.txt").read_bytes()
    return f"{platform.python_version()} {hashlib.sha256(pins).hexdigest()}"


def _uv(*arguments: str) -> None:
    environment = dict(os.environ)
    if "PIP_FIND_LINKS" in environment:  # uv has its own name for it
        environment["UV_FIND_LINKS"] = environment["PIP_FIND_LINKS"]
    subprocess.run([sys.executable, "-m", "uv", "-q", *arguments], env=environment, check=True, timeout=TIMEOUT)


@contextmanager
def _alone() -> Iterator[None]:
    """One installer at a time; the lock ends with the process that holds it."""
    INSTALLED.mkdir(exist_ok=True)
    with (INSTALLED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
