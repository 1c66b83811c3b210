"""Where the code's own Python is: the operator's, or made by ``manage.py install_interpreter`` from pinned versions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

STAMP = "sovereign-interpreter.json"  # written last, so that its presence means a whole environment


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An environment with its packages, and the Python that it was made of.

    :param base: the folder that ``bin/python3.11`` and ``lib/python3.11`` are in.
    """

    folder: Path
    base: Path
    version: str

    @property
    def program(self) -> Path:
        return self.base / "bin" / f"python{self.version}"


def interpreter() -> Interpreter | None:
    """``None`` where there is none that is whole, or where the operator wants none."""
    configuration = settings.SOVEREIGN
    folder = configuration.interpreter_dir
    if folder is None or not (configuration.interpreter or (folder / STAMP).is_file()):
        return None
    return described(folder)


def described(folder: Path) -> Interpreter | None:
    """What an environment is made of, by the file that ``uv venv`` leaves in it."""
    try:
        lines = (folder / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return None
    values = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
    version = ".".join(values.get("version_info", values.get("version", "")).split(".")[:2])
    found = Interpreter(folder, Path(values.get("home", "")).parent.resolve(), version)
    return found if found.program.exists() else None
