"""Where contents are kept: a folder of this machine, or a bucket that speaks S3."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import File

from sovereign.core.errors import unavailable

log = structlog.get_logger(__name__)

S3_PART = 5 * 1024**2  # bytes of a part as it is sent to a bucket; its least
S3_OPTIONS = frozenset(("endpoint_url", "region_name", "addressing_style", "signature_version"))


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


def current() -> Place:
    return _kept_place(settings.SOVEREIGN.files_url)


def folder_of_drafts() -> Path:
    return _folder(settings.SOVEREIGN.files_url) / "drafts"


def folder_of_doubts() -> Path:
    return _folder(settings.SOVEREIGN.files_url) / "doubts"


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


def _sync_folder(path: Path) -> None:
    """A name survives the loss of power once its folder is written."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
