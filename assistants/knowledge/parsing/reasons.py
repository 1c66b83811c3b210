"""Why a document gives no text, as the exit status of the process that read it: nothing that it writes is shown."""

from __future__ import annotations

from enum import IntEnum

MAXIMUM_TEXT = 64 * 1024 * 1024  # bytes in UTF-8


class Reason(IntEnum):
    BROKEN = 10
    ENCODING = 11
    PROTECTED = 12
    NO_TEXT = 13
    BOMB = 14
    TOO_MUCH_TEXT = 15
    TOO_COMPLEX = 16


class Unreadable(Exception):
    """Raised by the modules that read documents."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.name)
        self.reason = reason
