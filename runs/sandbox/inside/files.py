"""Files for the server: regular ones below ``/mnt/data``, and never through a link."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator

from .wire import DATA, PIECE, Wire

ROOT = "/mnt/data"
LISTED = 1_000  # files, at most
LOOKED_AT = 20_000  # names, at most


class Refused(Exception):
    """The text is one sentence."""


def write(name: str, pieces: Iterator[bytes]) -> str:
    """Make a file, under this name or one like it that is not taken, and return its path.

    All pieces are taken, also where there is no room for them.
    """
    try:
        path, descriptor = _made(name)
    except OSError:
        _ignore(pieces)
        raise
    try:
        with os.fdopen(descriptor, "wb") as target:
            for piece in pieces:
                target.write(piece)
    except OSError:
        _ignore(pieces)
        with contextlib.suppress(OSError):
            os.unlink(path)  # noqa: PTH108 (pathlib takes time to load)
        raise Refused("There is no room for the file.") from None
    return path


def _made(name: str) -> tuple[str, int]:
    stem, extension = os.path.splitext(name)  # noqa: PTH122
    for number in range(1, LISTED):
        path = f"{ROOT}/{name if number == 1 else f'{stem}-{number}{extension}'}"
        with contextlib.suppress(FileExistsError):
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    raise Refused("There are too many files of that name.")


def _ignore(pieces: Iterable[bytes]) -> None:
    for _ in pieces:
        pass


def send(wire: Wire, path: str, maximum: int) -> None:
    """The size of a file, and as many bytes in pieces."""
    if os.path.commonpath([os.path.realpath(path), ROOT]) != ROOT:
        raise Refused(f"It is not below {ROOT}.")
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as source:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise Refused("It is no regular file.")
        if state.st_size > maximum:
            raise Refused(f"It has {state.st_size:,} bytes, and {maximum:,} may be read.")
        wire.send({"size": state.st_size})
        left = state.st_size
        while left > 0:
            piece = source.read(min(left, PIECE)) or b"\0" * min(left, PIECE)  # it was made shorter meanwhile
            left -= len(piece)
            wire.send_frame(DATA, piece)


def listed() -> list[tuple[str, int, int]]:
    """``(path, size, nanoseconds of its last change)`` of regular files, by path."""
    found = []
    for entry in _entries():
        with contextlib.suppress(OSError, UnicodeEncodeError):
            state = entry.stat(follow_symlinks=False)
            entry.path.encode()
            if stat.S_ISREG(state.st_mode):
                found.append((entry.path, state.st_size, state.st_mtime_ns))
        if len(found) == LISTED:
            break
    return sorted(found)


def _entries() -> Iterator[os.DirEntry[str]]:
    """What is below the root, nearest first; links are not followed."""
    folders, looked_at = [ROOT], 0
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop(0)) as entries:
            for entry in entries:
                looked_at += 1
                if looked_at > LOOKED_AT:
                    return
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                yield entry
