"""Seals the keys of engines for the database: encrypted under the secret key of this installation."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

import structlog
from django.conf import settings

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

MAXIMUM_KEY = 4_096  # characters
#: which environment variables may be sent to others: those that are named as keys, and none of this house's own
KEY_VARIABLE = re.compile(r"(?!SOVEREIGN_)[A-Z][A-Z0-9_]*_API_KEY")

log = structlog.get_logger(__name__)


def _box() -> Fernet:
    from cryptography.fernet import Fernet  # a process that calls no engine does without it

    digest = hashlib.sha256(b"sovereign.inference.secrets:" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def seal(secret: str) -> str:
    return _box().encrypt(secret.encode()).decode() if secret else ""


def unseal(sealed: str) -> str:
    """The secret, or ``""`` where it was sealed under another secret key (the engine then answers 401)."""
    if not sealed:
        return ""
    from cryptography.fernet import InvalidToken

    try:
        return _box().decrypt(sealed.encode()).decode()
    except InvalidToken:
        log.warning("engine_key_unreadable", hint="SOVEREIGN_SECRET_KEY differs from the one that sealed it")
        return ""
