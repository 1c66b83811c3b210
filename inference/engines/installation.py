"""What is known about the engine's own environment: where it is, whether it is whole, how its installation goes.

Files under the data directory say it, since the installation may run before there is a database.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from django.conf import settings

from sovereign.core import environments
from sovereign.core.environments import Progress

STAMP = "sovereign-engine.json"  # written last, so that its presence means a whole environment
Variant = Literal["cpu", "gpu"]


class EngineCannotRun(Exception):
    """No engine can run here; the text is one sentence that says why and what can be done."""


def engine_python() -> Path | None:
    """The interpreter that runs the engine: the operator's own, or that of our environment where it is whole."""
    if settings.SOVEREIGN.engine_python:
        return Path(settings.SOVEREIGN.engine_python).expanduser()
    stamped = read_stamp(settings.SOVEREIGN.engine_dir)
    return settings.SOVEREIGN.engine_dir / "bin" / "python" if stamped else None


def pins_file(variant: Variant) -> Path:
    path: Path = settings.SOVEREIGN.base_dir / "requirements" / f"engine-{variant}.txt"
    return path


def pins_hash(variant: Variant) -> str:
    return environments.digest(pins_file(variant))


def read_stamp(folder: Path) -> dict[str, Any] | None:
    """What the installer wrote into a whole environment; ``None`` for anything else, one made by hand included."""
    if not (folder / "bin" / "python").exists():
        return None
    return environments.read_json(folder / STAMP)


def write_stamp(folder: Path, variant: Variant) -> None:
    environments.write_json(folder / STAMP, {"variant": variant, "pins": pins_hash(variant)})


def status_file() -> Path:
    path: Path = settings.SOVEREIGN.data_dir / "engine-install.json"
    return path


def report(state: Literal["installing", "installed", "failed"], reason: str) -> None:
    """Let every process see how the installation goes. ``reason`` is one sentence."""
    _progress().report(state, reason)


def installation() -> dict[str, Any] | None:
    """``{"state", "reason", "since": unix seconds}`` of an installation that runs or failed, else ``None``."""
    return _progress().seen()


def _progress() -> Progress:
    return Progress(status_file(), "the engine")
