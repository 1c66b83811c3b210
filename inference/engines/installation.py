"""What is known about the engine's own environment: where it is, whether it is whole, how its installation goes.

Files under the data directory say it, since the installation may run before there is a database.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, Literal

from django.conf import settings

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
    return hashlib.sha256(pins_file(variant).read_bytes()).hexdigest()


def read_stamp(folder: Path) -> dict[str, Any] | None:
    """What the installer wrote into a whole environment; ``None`` for anything else, one made by hand included."""
    if not (folder / "bin" / "python").exists():
        return None
    return _read_json(folder / STAMP)


def write_stamp(folder: Path, variant: Variant) -> None:
    _write_json(folder / STAMP, {"variant": variant, "pins": pins_hash(variant)})


def status_file() -> Path:
    path: Path = settings.SOVEREIGN.data_dir / "engine-install.json"
    return path


def report(state: Literal["installing", "installed", "failed"], reason: str) -> None:
    """Let every process see how the installation goes. ``reason`` is one sentence."""
    before = _read_json(status_file()) or {}
    goes_on = (before.get("state"), before.get("pid")) == (state, os.getpid())
    since = before["since"] if goes_on else time.time()
    _write_json(status_file(), {"state": state, "reason": reason, "since": since, "pid": os.getpid()})


def installation() -> dict[str, Any] | None:
    """``{"state", "reason", "since": unix seconds}`` of an installation that runs or failed, else ``None``."""
    status = _read_json(status_file())
    if status is None or status.get("state") == "installed":
        return None
    if status.get("state") == "installing" and not _lives(status.get("pid")):
        return {**status, "state": "failed", "reason": "The installation of the engine was interrupted."}
    return status


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


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _write_json(path: Path, content: dict[str, Any]) -> None:
    """Replaces the file at once: no reader sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(json.dumps(content))
        draft.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
