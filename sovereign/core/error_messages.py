"""What other servers say of their errors, as it may be shown: one shortened line without anything like a key."""

from __future__ import annotations

import re
from typing import Any

MAXIMUM_MESSAGE = 500  # characters
SECRETS = re.compile(r"(sk-|Bearer\s+|x-api-key\W+|api[-_]?key\W+)[^\s\"',;]{8,}", re.IGNORECASE)
SHORTEST_KEY = 4  # characters; a shorter one is no secret, and replacing it would garble every sentence


def message_of(body: Any) -> str:
    """The message in the body of an error, as any of the dialects has it; else nothing."""
    if not isinstance(body, dict):
        return ""
    error = body.get("error", body)
    said = error.get("message", error.get("detail")) if isinstance(error, dict) else error
    return said if isinstance(said, str) else ""


def sanitised(text: str, key: str = "") -> str:
    """An upstream's words as one line of printable characters, shortened, without anything that looks like a key."""
    if len(key) >= SHORTEST_KEY:
        text = text.replace(key, "[key]")
    text = SECRETS.sub("[key]", text[: 4 * MAXIMUM_MESSAGE])
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= MAXIMUM_MESSAGE else text[: MAXIMUM_MESSAGE - 1] + "…"
