"""API keys and tickets as text: how they are made, found again and shown.

A key is ``sk-sov-<8 visible>-<43 random>``; the database has the visible part (to find the row) and a SHA-256 of
the whole. 256 random bits need no slow hash. An operator's own first key may be any text: its visible part is the
beginning of its digest.
"""

from __future__ import annotations

import hashlib
import re
import secrets

from sovereign.core.ids import ALPHABET

PREFIX = "sk-sov-"
LOOKUP_LENGTH = 8
RANDOM_BYTES = 32  # 43 characters of URL-safe base 64
MAXIMUM_LENGTH = 512  # characters; longer ones are refused unread

_OWN_FORM = re.compile(rf"{PREFIX}([{ALPHABET}]{{{LOOKUP_LENGTH}}})-[A-Za-z0-9_-]{{43}}")


def new_api_key() -> str:
    visible = "".join(secrets.choice(ALPHABET) for _ in range(LOOKUP_LENGTH))
    return f"{PREFIX}{visible}-{secrets.token_urlsafe(RANDOM_BYTES)}"


def new_ticket() -> str:
    return secrets.token_urlsafe(RANDOM_BYTES)


def digest_of(secret: str) -> str:
    """SHA-256 in hex; any text has one, lone surrogates included."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def lookup_of(secret: str) -> str:
    """The eight characters under which the key's row is found."""
    own = _OWN_FORM.fullmatch(secret)
    return own[1] if own else digest_of(secret)[:LOOKUP_LENGTH]


def masked(secret: str) -> str:
    """A key that may stand in an error: its two ends, ASCII only. A short one shows less."""
    text = "".join(character if "!" <= character <= "~" else "?" for character in secret[: MAXIMUM_LENGTH + 1])
    return f"{text[:8]}****{text[-4:]}" if len(text) >= 20 else f"{text[:3]}****"
