"""Forms as a client sends them, and what is left of them in the storage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

EDGE = "edge"
FORM = f"multipart/form-data; boundary={EDGE}"
Field = tuple[str, bytes]


def file(content: bytes, filename: str = "a.txt", name: str = "file") -> Field:
    return f'name="{name}"; filename="{filename}"\r\nContent-Type: text/plain', content


def field(name: str, value: str) -> Field:
    return f'name="{name}"', value.encode()


def form(*fields: Field) -> bytes:
    parts = [
        f"--{EDGE}\r\nContent-Disposition: form-data; {header}\r\n\r\n".encode() + content + b"\r\n"
        for header, content in fields
    ]
    return b"".join(parts) + f"--{EDGE}--\r\n".encode()


def send(client: APIClient, path: str, *fields: Field, **headers: str) -> Any:
    names = {"key": "HTTP_IDEMPOTENCY_KEY", "retry": "HTTP_X_STAINLESS_RETRY_COUNT"}
    given: Any = {names[name]: value for name, value in headers.items()}
    return client.generic("POST", f"/v1/{path}", form(*fields), FORM, **given)


def upload(client: APIClient, content: bytes = b"hello", filename: str = "a.txt", **headers: str) -> Any:
    return send(client, "files", field("purpose", "assistants"), file(content, filename), **headers)


def stored(folder: Path) -> list[bytes]:
    """Every content, and whatever else lies in the storage."""
    return sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    """A storage of the test's own."""
    settings.SOVEREIGN = replace(settings.SOVEREIGN, files_url=tmp_path.as_uri())
    return tmp_path
