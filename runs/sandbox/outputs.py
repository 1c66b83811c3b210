"""What comes out of a session while code runs in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: how a piece of code ended: by itself, with an exception, or stopped because it took or printed too much;
#: ``killed``: its process is gone
Ending = Literal["ok", "error", "timeout", "memory", "output", "killed"]


class SandboxUnavailable(Exception):
    """There is no sandbox here, or no room in it; the text is one sentence for people."""


class FileRefused(Exception):
    """A file cannot go in or come out; the text is one sentence for people."""


@dataclass(frozen=True, slots=True)
class Logs:
    """Text that was printed, in the order of printing; no NUL, no halves of characters."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A figure that was shown."""

    png: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The last output of every run.

    :param message: one sentence; ``""`` where ``how`` is ``ok``.
    :param unseen: figures that were shown beyond those that one piece of code may show; they were left out.
    """

    how: Ending
    message: str = ""
    unseen: int = 0


Output = Logs | Image | Ended


@dataclass(frozen=True, slots=True)
class FileState:
    """A regular file below ``/mnt/data``. Two equal ones of one path are the same content.

    :param size: bytes.
    :param changed: nanoseconds of the sandbox's clock, by what the sandbox says.
    """

    size: int
    changed: int
