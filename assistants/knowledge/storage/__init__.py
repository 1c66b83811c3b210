"""Where the bytes of files are: a folder of this machine, or a bucket that speaks S3.

A content has a random key and never changes. It is written to a draft in a folder of this machine, and is there under
its key, whole, once the draft is kept. Between that and the commit of the row that names it, and between the commit of
a row's deletion and that of its content, a process may die: a *doubt* about the key lies in the folder meanwhile, and
who finds an old one decides by the rows (``services.expiry``).
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import structlog

from assistants.knowledge.storage import places
from assistants.knowledge.storage.doubts import doubt, old_doubts, settle
from assistants.knowledge.storage.places import Folder, place_of
from assistants.knowledge.storage.room import RESERVE, full_storage_told, leave_reserve
from sovereign.core.errors import ApiError

__all__ = [
    "PIECE",
    "RESERVE",
    "Draft",
    "Folder",
    "Stored",
    "delete",
    "doubt",
    "give_up",
    "old_doubts",
    "open_stream",
    "pieces",
    "place_of",
    "save",
    "settle",
]

log = structlog.get_logger(__name__)

PIECE = 256 * 1024  # bytes that are read and written at once


@dataclass(frozen=True, slots=True)
class Stored:
    """A content that is in the storage, with its digest in hexadecimal."""

    key: str
    bytes: int
    sha256: str


class Draft:
    """A content while it is written; closed without being kept, it leaves nothing.

    >>> with Draft() as draft:
    ...     draft.write(b"some bytes")
    ...     stored = draft.keep()
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._key = secrets.token_hex(20)
        self._path = places.folder_of_drafts() / self._key
        self._sha256 = hashlib.sha256()
        with full_storage_told():
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = io.FileIO(self._path, "x", opener=_for_the_owner)

    def write(self, piece: bytes) -> None:
        """:raises ApiError: 507, there is no room."""
        with full_storage_told():
            leave_reserve(self._path.parent, len(piece))
            rest = memoryview(piece)
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        self._sha256.update(piece)
        self.bytes += len(piece)

    @property
    def sha256(self) -> str:
        """Of what has been written, in hexadecimal."""
        return self._sha256.hexdigest()

    def keep(self) -> Stored:
        """Make it a content; whoever makes it known (or not) settles the doubt about its key.

        :raises ApiError: 507, there is no room; 503, the bucket does not answer.
        """
        with full_storage_told():
            os.fsync(self._file.fileno())
            doubt(self._key)
            places.current().put(self._path, self._key)
        return Stored(self._key, self.bytes, self.sha256)

    def close(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def save(chunks: Iterable[bytes]) -> Stored:
    """Store a content. Nothing is left of it where that fails.

    :raises ApiError: 507, there is no room; 503, the bucket does not answer.
    """
    with Draft() as draft:
        for chunk in chunks:
            draft.write(chunk)
        return draft.keep()


def open_stream(key: str) -> BinaryIO:
    """A content from its beginning, to be closed by the caller.

    :raises FileNotFoundError: there is none under this key.
    """
    return places.current().open(key)


def pieces(key: str) -> Iterator[bytes]:
    """A content piece by piece, of at most 256 KiB. Raises as :func:`open_stream`."""
    with open_stream(key) as stream:
        while piece := stream.read(PIECE):
            yield piece


def delete(key: str) -> None:
    """Remove a content, and the doubt about its key; nothing happens where there is none.

    :raises ApiError: 503, the bucket does not answer.
    """
    places.current().remove(key)
    settle(key)


def give_up(stored: Stored) -> None:
    """Remove a content that no row came to name: now, or where that fails once its doubt is old."""
    try:
        delete(stored.key)
    except (ApiError, OSError) as error:
        log.warning("content_not_removed", key=stored.key, error=str(error))


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
