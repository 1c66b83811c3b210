"""Where the machine has no room for a file, and what of it is not for files."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import structlog

from sovereign.core.errors import SERVER_ERROR, ApiError

log = structlog.get_logger(__name__)

RESERVE = 256 * 1024**2  # bytes that stay free on the disk for all that is no file; on a small one 2 % of it
FULL = frozenset((errno.ENOSPC, errno.EDQUOT))


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


def leave_reserve(folder: Path, count: int) -> None:
    """:raises OSError: so many bytes more would take what the database and the logs need."""
    disk = shutil.disk_usage(folder)
    if disk.free - count < min(RESERVE, disk.total // 50):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
