"""Keys of which nobody knows yet whether a row names them: what a process that died has left is found by them."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from assistants.knowledge.storage.places import folder_of_doubts, folder_of_drafts


def doubt(key: str) -> None:
    """Note that a row may come to name this key, or may cease to."""
    path = folder_of_doubts() / key
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)


def settle(key: str) -> None:
    """Rows and storage agree about this key."""
    (folder_of_doubts() / key).unlink(missing_ok=True)


def old_doubts(age: float) -> list[str]:
    """The keys that nobody has settled for ``age`` seconds: a process died. Drafts that are as old are removed."""
    for path in _older(folder_of_drafts(), age):
        path.unlink(missing_ok=True)
    return [path.name for path in _older(folder_of_doubts(), age)]


def _older(folder: Path, age: float) -> list[Path]:
    border = time.time() - age
    found = []
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            with suppress(FileNotFoundError):
                if entry.stat().st_mtime < border:
                    found.append(Path(entry.path))
    return found
