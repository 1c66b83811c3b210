"""One request and its whole answer, headers included, on a connection that is kept."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 60.0  # seconds without a byte
KEPT = 2.0  # seconds after which a silent connection is made anew: the server may have closed it
BETA = {"OpenAI-Beta": "assistants=v2"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers in lower case, and the body: JSON as it was read, anything else as text."""

    status: int
    headers: dict[str, str]
    body: Any


class Wire:
    """Plain requests to one server with one key."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self.prefix = parts.path.rstrip("/").removesuffix("/v1")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.netloc, timeout=TIMEOUT)
        self._used = 0.0
        self.authorization = {"Authorization": f"Bearer {key}"}

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """:param headers: instead of the key and the beta header; ``None``: those."""
        sent = {**self.authorization, **BETA} if headers is None else dict(headers)
        raw = None
        if body is not None:
            raw = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        return self._exchange(method, path, raw, sent)

    def raw(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        return self._exchange(method, path, body, headers)

    def _exchange(self, method: str, path: str, raw: bytes | None, headers: dict[str, str]) -> Answer:
        if time.monotonic() - self._used > KEPT:
            self._connection.close()
        self._connection.request(method, self.prefix + path, raw, headers)
        response = self._connection.getresponse()
        text = response.read()
        self._used = time.monotonic()
        given = {name.lower(): value for name, value in response.getheaders()}
        is_json = given.get("content-type", "").startswith("application/json")
        return Answer(response.status, given, json.loads(text) if is_json else text.decode(errors="replace"))

    def close(self) -> None:
        self._connection.close()
