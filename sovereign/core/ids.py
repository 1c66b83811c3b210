"""Prefixed, time-ordered identifiers: ``asst_`` + 26 lowercase Crockford base-32 characters.

The first ten characters are the creation time in milliseconds, the rest is random, raised by one within
the same millisecond, so that ids of one process sort in the order they were made.
"""

from __future__ import annotations

import secrets
import threading
import time
from datetime import UTC, datetime

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
TIME_CHARACTERS = 10
RANDOM_CHARACTERS = 16
RANDOM_BITS = 80
_VALUES = {character: value for value, character in enumerate(ALPHABET)}

_lock = threading.Lock()
_last_milliseconds = 0
_last_random = 0


def new_id(prefix: str) -> str:
    """A new identifier, ``prefix`` included as it is given (``"asst_"``, ``"file-"``)."""
    global _last_milliseconds, _last_random
    with _lock:
        now = time.time_ns() // 1_000_000
        if now > _last_milliseconds:
            # the top bit stays free, so that raising by one never overflows
            _last_milliseconds, _last_random = now, secrets.randbits(RANDOM_BITS - 1)
        else:
            _last_random += 1
        return prefix + _encode(_last_milliseconds, TIME_CHARACTERS) + _encode(_last_random, RANDOM_CHARACTERS)


def instant_of(identifier: str) -> datetime | None:
    """The creation time inside one of our own identifiers (to the millisecond), ``None`` for a foreign one."""
    body = identifier[-(TIME_CHARACTERS + RANDOM_CHARACTERS) :]
    if len(body) != TIME_CHARACTERS + RANDOM_CHARACTERS or any(c not in _VALUES for c in body):
        return None
    milliseconds = 0
    for character in body[:TIME_CHARACTERS]:
        milliseconds = milliseconds * 32 + _VALUES[character]
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def new_request_id() -> str:
    """``req_`` and 32 hexadecimal characters."""
    return f"req_{secrets.token_hex(16)}"


def _encode(number: int, width: int) -> str:
    characters = []
    for _ in range(width):
        number, digit = divmod(number, 32)
        characters.append(ALPHABET[digit])
    return "".join(reversed(characters))
