"""Where the bytes of files are: a folder of this machine, or a bucket that speaks S3.

A content has a random key and never changes. It is written to a draft in a folder of this machine, and is there under
its key, whole, once the draft is kept. Between that and the commit of the row that names it, and between the commit of
a row's deletion and that of its content, a process may die: a *doubt* about the key lies in the folder meanwhile, and
who finds an old one decides by the rows (``services.expiry``).
"""

from __future__ import annotations

import errno
import functools
import hashlib
import io
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import File

from sovereign.core.errors import SERVER_ERROR, ApiError, unavailable

log = structlog.get_logger(__name__)

PIECE = 256 * 1024  # bytes that are read and written at once
S3_PART = 5 * 1024**2  # bytes of a part as it is sent to a bucket; its least
RESERVE = 256 * 1024**2  # bytes that stay free on the disk for all that is no file; on a small one 2 % of it
FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
S3_OPTIONS = frozenset(("endpoint_url", "region_name", "addressing_style", "signature_version"))


@dataclass(frozen=True, slots=True)
class Stored:
    """A content that is in the storage, with its digest in hexadecimal."""

    key: str
    bytes: int
    sha256: str


# ------------------------------------------------------------------------------------------------ the one door


class Draft:
    """A content while it is written; closed without being kept, it leaves nothing.

    >>> with Draft() as draft:
    ...     draft.write(b"some bytes")
    ...     stored = draft.keep()
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._key = secrets.token_hex(20)
        self._path = _drafts() / self._key
        self._sha256 = hashlib.sha256()
        with full_storage_told():
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = io.FileIO(self._path, "x", opener=_for_the_owner)

    def write(self, piece: bytes) -> None:
        """:raises ApiError: 507, there is no room."""
        with full_storage_told():
            _leave_reserve(self._path.parent, len(piece))
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
            _place().put(self._path, self._key)
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
    return _place().open(key)


def pieces(key: str) -> Iterator[bytes]:
    """A content piece by piece, of at most 256 KiB. Raises as :func:`open_stream`."""
    with open_stream(key) as stream:
        while piece := stream.read(PIECE):
            yield piece


def delete(key: str) -> None:
    """Remove a content, and the doubt about its key; nothing happens where there is none.

    :raises ApiError: 503, the bucket does not answer.
    """
    _place().remove(key)
    settle(key)


def give_up(stored: Stored) -> None:
    """Remove a content that no row came to name: now, or where that fails once its doubt is old."""
    try:
        delete(stored.key)
    except (ApiError, OSError) as error:
        log.warning("content_not_removed", key=stored.key, error=str(error))


# ------------------------------------------------------------------------------------------------ doubts


def doubt(key: str) -> None:
    """Note that a row may come to name this key, or may cease to."""
    path = _doubts() / key
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)


def settle(key: str) -> None:
    """Rows and storage agree about this key."""
    (_doubts() / key).unlink(missing_ok=True)


def old_doubts(age: float) -> list[str]:
    """The keys that nobody has settled for ``age`` seconds: a process died. Drafts that are as old are removed."""
    for path in _older(_drafts(), age):
        path.unlink(missing_ok=True)
    return [path.name for path in _older(_doubts(), age)]


def _older(folder: Path, age: float) -> list[Path]:
    border = time.time() - age
    found = []
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            with suppress(FileNotFoundError):
                if entry.stat().st_mtime < border:
                    found.append(Path(entry.path))
    return found


# ------------------------------------------------------------------------------------------------ places


class Place(Protocol):
    """Where contents are kept."""

    def put(self, path: Path, key: str) -> None:
        """Make the file at ``path`` the content of ``key``, at once and as a whole; it may be moved."""

    def open(self, key: str) -> BinaryIO: ...

    def remove(self, key: str) -> None: ...


class Folder:
    """Contents in a folder, in subfolders by the first two characters of their keys."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, path: Path, key: str) -> None:
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.replace(target)
        _sync_folder(target.parent)

    def open(self, key: str) -> BinaryIO:
        return self._path(key).open("rb")

    def remove(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.root / key[:2] / key


class Bucket:
    """Contents in a bucket, through django-storages. Drafts are on this machine until they are whole."""

    def __init__(self, url: str) -> None:
        from boto3.s3.transfer import TransferConfig  # not for installations without a bucket: it takes 0.3 s
        from storages.backends.s3 import S3Storage

        parts = urlsplit(url)
        options: dict[str, Any] = dict(parse_qsl(parts.query))
        self._storage = S3Storage(
            bucket_name=parts.hostname,
            location=unquote(parts.path).strip("/"),
            default_acl=None,
            file_overwrite=True,
            querystring_auth=False,
            max_memory_size=S3_PART,
            transfer_config=TransferConfig(use_threads=False, multipart_chunksize=S3_PART),
            **options,
        )

    def put(self, path: Path, key: str) -> None:
        with path.open("rb") as draft, _bucket_errors_told():
            self._storage.save(key, File(draft))

    def open(self, key: str) -> BinaryIO:
        name = f"{self._storage.location}/{key}".lstrip("/")
        with _bucket_errors_told():
            # the package's own file is there as a whole, in memory or on the disk, before its first byte is read
            body: BinaryIO = self._storage.bucket.Object(name).get()["Body"]
        return body

    def remove(self, key: str) -> None:
        with _bucket_errors_told():
            self._storage.delete(key)


def place_of(url: str) -> Place:
    """
    >>> place_of("s3://bucket/prefix?endpoint_url=http://127.0.0.1:9000&region_name=eu-central-1")
    >>> place_of("file:///mnt/shared/files")

    :param url: ``""`` for the folder ``files`` in the data directory.
    :raises ImproperlyConfigured: one sentence, where it names no place.
    """
    parts = urlsplit(url)
    if url and parts.scheme not in ("s3", "file"):
        raise ImproperlyConfigured(f"SOVEREIGN_FILES_URL has the scheme '{parts.scheme}'. Supported are s3 and file.")
    if parts.scheme != "s3":
        return Folder(_folder(url))
    unknown = sorted(dict(parse_qsl(parts.query)).keys() - S3_OPTIONS)
    if unknown or not parts.hostname:
        what = f"the option '{unknown[0]}'" if unknown else "no bucket"
        raise ImproperlyConfigured(f"SOVEREIGN_FILES_URL has {what}. It is like s3://bucket/prefix?endpoint_url=…")
    return Bucket(url)


def _folder(url: str) -> Path:
    """The folder of this machine where drafts and doubts are, and contents unless a bucket holds them."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else settings.SOVEREIGN.data_dir / "files"


_kept_place = functools.cache(place_of)


def _place() -> Place:
    return _kept_place(settings.SOVEREIGN.files_url)


def _drafts() -> Path:
    return _folder(settings.SOVEREIGN.files_url) / "drafts"


def _doubts() -> Path:
    return _folder(settings.SOVEREIGN.files_url) / "doubts"


# ------------------------------------------------------------------------------------------------ what goes wrong


@contextmanager
def full_storage_told() -> Iterator[None]:
    """:raises ApiError: 507, where the machine says that there is no room (the client had better not try at once)."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        log.error("storage_full", error=error.strerror)
        raise ApiError(
            "There is no room for the file on this server at the moment.",
            status=HTTPStatus.INSUFFICIENT_STORAGE,
            type=SERVER_ERROR,
            code="insufficient_storage",
            headers={"x-should-retry": "false"},
        ) from None


@contextmanager
def _bucket_errors_told() -> Iterator[None]:
    """:raises ApiError: 503, the bucket does not answer, or refuses; :raises FileNotFoundError: it has no such key."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in ("NoSuchKey", "404"):
            raise FileNotFoundError(str(error)) from None
        log.error("bucket_refuses", exc_info=error)
        raise unavailable("The storage of files is not available at the moment. Please retry.") from None
    except BotoCoreError as error:
        log.error("bucket_unavailable", exc_info=error)
        raise unavailable("The storage of files is not available at the moment. Please retry.") from None


def _leave_reserve(folder: Path, count: int) -> None:
    """:raises OSError: so many bytes more would take what the database and the logs need."""
    disk = shutil.disk_usage(folder)
    if disk.free - count < min(RESERVE, disk.total // 50):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_folder(path: Path) -> None:
    """A name survives the loss of power once its folder is written."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
