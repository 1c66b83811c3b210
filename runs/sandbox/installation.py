"""Makes the Python of code that assistants run, from pinned versions, as ``core.environments`` makes any."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from django.conf import settings

from runs.sandbox import bubblewrap
from runs.sandbox.environment import STAMP, described
from sovereign.core import environments
from sovereign.core.environments import STEPS, Progress, Say, StillUsed, UvFailed, digest, meaning, only_one

NEEDED_SPACE = 1024**3  # bytes; the environment measured 261 MB, the download comes on top
FONTS = ("-c", "import matplotlib.font_manager")  # makes the list of fonts, which sessions only copy


class InterpreterNotInstalled(Exception):
    """The text is one sentence."""


def installation() -> dict[str, Any] | None:
    """``{"state", "reason", "since": unix seconds}`` of an installation that runs or failed, else ``None``."""
    return _progress().seen()


def install(*, say: Say = lambda line: None) -> bool:
    """Make the environment; instant where it is already there. Returns whether anything was done. Blocks.

    :raises InterpreterNotInstalled: with one sentence that says why.
    """
    folder = _folder()
    if is_current(folder):
        _progress().report("installed", "")
        return False
    try:
        _check_space()
        with only_one(settings.SOVEREIGN.data_dir / "interpreter-install.lock"):
            if is_current(folder):  # somebody else did it meanwhile
                return False
            _progress().report("installing", "The Python for code is being installed.")
            _build(folder, say)
    except InterpreterNotInstalled as error:
        _progress().report("failed", str(error))
        raise
    _progress().report("installed", "")
    return True


def is_wanted() -> bool:
    """Whether it is missing, or old, where code could be run."""
    folder = settings.SOVEREIGN.interpreter_dir
    if folder is None or settings.SOVEREIGN.interpreter or bubblewrap.program() is None:
        return False
    return not is_current(folder)


def is_current(folder: Path) -> bool:
    stamp = environments.read_json(folder / STAMP)
    return stamp is not None and stamp.get("pins") == digest(_pins()) and described(folder) is not None


def _folder() -> Path:
    """:raises InterpreterNotInstalled: the operator has decided otherwise."""
    if settings.SOVEREIGN.interpreter:
        raise InterpreterNotInstalled("SOVEREIGN_INTERPRETER is set: nothing to install.")
    folder: Path | None = settings.SOVEREIGN.interpreter_dir
    assert folder is not None
    return folder


def _pins() -> Path:
    path: Path = settings.SOVEREIGN.base_dir / "requirements" / "interpreter.txt"
    return path


def _progress() -> Progress:
    return Progress(settings.SOVEREIGN.data_dir / "interpreter-install.json", "the Python for code")


def _failed(why: str) -> InterpreterNotInstalled:
    return InterpreterNotInstalled(f"The Python for code was not installed: {why}.")


def _check_space() -> None:
    folder = settings.SOVEREIGN.data_dir
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < NEEDED_SPACE:
        needed = NEEDED_SPACE / 1024**3
        raise _failed(f"it needs {needed:.0f} GiB on disk, and {folder} has {free / 1024**3:.1f} free")


def _build(folder: Path, say: Say) -> None:
    log_file = settings.SOVEREIGN.data_dir / "logs" / "interpreter-install.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("a") as log:

        def tell(line: str) -> None:
            log.write(line + "\n")
            if line.startswith(STEPS):
                say(line)

        try:
            environments.build(folder, lambda draft: _fill(draft, tell))
        except StillUsed as error:
            raise _failed(str(error)) from None
        except UvFailed as failure:
            raise _failed(f"{meaning(str(failure))} (details: {log_file})") from None


def _fill(folder: Path, tell: Say) -> None:
    tell("Making the Python for code.")
    environments.make_environment(folder, lambda command: uv(command, tell))
    uv([*environments.sync_command(folder), str(_pins())], tell)
    fonts = {"MPLCONFIGDIR": str(folder / "share" / "matplotlib"), "PATH": os.defpath}
    environments.call([str(folder / "bin" / "python"), *FONTS], folder=folder, environment=fonts, tell=tell)
    environments.write_json(folder / STAMP, {"pins": digest(_pins())})


def uv(arguments: list[str], tell: Say) -> None:
    """:raises UvFailed: with the last lines it printed."""
    environment = environments.uv_environment(os.environ)
    command = [*environments.uv_program(), *arguments]
    environments.call(command, folder=settings.SOVEREIGN.base_dir, environment=environment, tell=tell)
