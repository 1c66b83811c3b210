"""Python environments beside the product's own, made with ``uv`` from pinned versions.

One is built in a sibling folder and renamed into place: an interrupted installation leaves nothing that looks like an
environment. How an installation goes is said by a file, which every process sees, also before there is a database.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

PYTHON = "3.11"  # what all pins were made for

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
    (re.compile(r"no interpreter found|no python", re.I), f"there is no Python {PYTHON}"),
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


class StillUsed(Exception):
    """The environment that is to be replaced has a process that runs from it; the text says so, as half a sentence."""


def build(folder: Path, make: Callable[[Path], None]) -> None:
    """Have ``make`` fill a new folder, and put it in the place of ``folder``. For one process at a time.

    :raises StillUsed: nothing was done.
    :raises Exception: what ``make`` raised; what was there before is left.
    """
    for leftover in folder.parent.glob(f"{folder.name}.new-*"):  # of interrupted installations
        shutil.rmtree(leftover, ignore_errors=True)
    if (user := process_in(folder)) is not None:
        raise StillUsed(f"{folder} is to be replaced and process {user} still runs from it")
    draft = folder.with_name(f"{folder.name}.new-{os.getpid()}")
    try:
        make(draft)
    except Exception:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    _swap(draft, folder)


@contextmanager
def only_one(lock_file: Path) -> Iterator[None]:
    """One installation at a time; the others wait for it."""
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_environment(folder: Path, run: Callable[[list[str]], None]) -> None:
    """An empty one, that may be moved. :param run: calls uv."""
    run(["venv", "--no-project", "--relocatable", "--python", PYTHON, str(folder)])


def sync_command(folder: Path) -> list[str]:
    """What installs pins into an environment; their file is to be added."""
    return ["pip", "sync", "--python", str(folder / "bin" / "python"), "--compile-bytecode"]


def uv_program() -> list[str]:
    """:raises UvFailed: there is none."""
    if importlib.util.find_spec("uv") is not None:
        return [sys.executable, "-m", "uv"]
    if found := shutil.which("uv"):
        return [found]
    raise UvFailed("uv, which installs it, is missing: `pip install uv`")


def call(command: list[str], *, folder: Path, environment: Mapping[str, str], tell: Say) -> None:
    """Run a program, such as uv, in ``folder``, and tell its lines but for one for each package.

    :raises UvFailed: with the last lines it printed.
    """
    lines: list[str] = []
    process = subprocess.Popen(  # noqa: S603 (our own command line)
        command,
        cwd=folder,
        env=environment,
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
                if not line.startswith("+ "):
                    tell(line)
    except BaseException:
        process.kill()
        raise
    finally:
        process.stdout.close()
        process.wait()
    if process.returncode != 0:
        raise UvFailed("\n".join(lines[-20:]) or f"uv ended with status {process.returncode}")


def uv_environment(environment: Mapping[str, str], *, wheels: bool = True) -> dict[str, str]:
    """The environment for uv, with pip's settings in its own terms.

    :param wheels: whether those of a folder, beside the index, may be taken.
    """
    result = {name: value for name, value in environment.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    result |= {"UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
    for pip_name, uv_name in PIP_SETTINGS.items():
        value = environment.get(pip_name, "")
        if not value or uv_name in environment or (pip_name == "PIP_FIND_LINKS" and not wheels):
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


def process_in(folder: Path) -> int | None:
    """A process that runs a program of this folder: its imports would break if the folder went away."""
    marker = f"{folder}/".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cmdline").read_bytes().startswith(marker):
                return int(entry.name)
        except OSError:
            continue
    return None


def _swap(draft: Path, folder: Path) -> None:
    old = folder.with_name(f"{folder.name}.new-{os.getpid()}.old")
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Progress:
    """How an installation goes.

    :param what: is installed, as in "The installation of … was interrupted."
    """

    file: Path
    what: str

    def report(self, state: Literal["installing", "installed", "failed"], reason: str) -> None:
        """Let every process see it. ``reason`` is one sentence."""
        before = read_json(self.file) or {}
        goes_on = (before.get("state"), before.get("pid")) == (state, os.getpid())
        since = before["since"] if goes_on else time.time()
        write_json(self.file, {"state": state, "reason": reason, "since": since, "pid": os.getpid()})

    def seen(self) -> dict[str, Any] | None:
        """``{"state", "reason", "since": unix seconds}`` of an installation that runs or failed, else ``None``."""
        status = read_json(self.file)
        if status is None or status.get("state") == "installed":
            return None
        if status.get("state") == "installing" and not _lives(status.get("pid")):
            return {**status, "state": "failed", "reason": f"The installation of {self.what} was interrupted."}
        return status


def digest(path: Path) -> str:
    """Of a file of pins: what an environment is stamped with."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_json(path: Path) -> dict[str, Any] | None:
    """``None`` where there is no such file, or no object in it."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replaces the file at once: no reader sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(json.dumps(content))
        draft.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()


def _lives(pid: Any) -> bool:
    if type(pid) is not int or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
