"""What the process that reads a document and the one that started it agree about.

Why a document gives no text is told by the exit status: nothing that a parser writes is shown to anybody.
"""

from __future__ import annotations

from enum import IntEnum

MAXIMUM_TEXT = 64 * 1024**2  # bytes in UTF-8
MAXIMUM_TOKENS = 5_000_000  # the contract's
MAXIMUM_CHUNKS = 50_000  # of a file: more take too long to be written at once, while nobody else can write
MAXIMUM_CHUNKED = 5 * MAXIMUM_TEXT  # characters: with the longest overlap, chunks repeat a text up to four times
MAXIMUM_OUTPUT = MAXIMUM_TEXT + 1024**2  # bytes: the text, and where the chunks are in it


class Reason(IntEnum):
    BROKEN = 10
    ENCODING = 11
    PROTECTED = 12
    NO_TEXT = 13
    BOMB = 14
    TOO_MUCH_TEXT = 15
    TOO_MANY_TOKENS = 16
    TOO_COMPLEX = 17
    TOO_MANY_CHUNKS = 18
    NO_ROOM = 19  # the machine's fault, and not the document's


class Unreadable(Exception):
    """Raised by the modules that read documents."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.name)
        self.reason = reason
