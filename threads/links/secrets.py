"""What the address of a shared link ends with."""

from __future__ import annotations

import base64
import re

from django.conf import settings
from django.utils.crypto import salted_hmac

from sovereign.accounts.tokens import digest_of

SALT = "threads.links"
FORM = re.compile(r"[A-Za-z0-9_-]{43}")  # 256 bits


def secret_of(link_id: str) -> str:
    """What the server's present key makes of a link's id: nobody without the key can."""
    return _made(link_id, settings.SECRET_KEY)


def shown(link_id: str, digest: str) -> str | None:
    """The secret with this digest, to be seen once more; ``None`` where the key that made it is not known any more."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return next((secret for key in keys if digest_of(secret := _made(link_id, key)) == digest), None)


def _made(link_id: str, key: str | bytes) -> str:
    made = salted_hmac(SALT, link_id, secret=key, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()
