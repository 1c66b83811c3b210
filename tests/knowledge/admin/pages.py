"""What the tests of these admin pages share: addresses, files to send, and what a page said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from assistants.knowledge.models import File, StoreFile, VectorStore
from assistants.knowledge.services import members
from assistants.knowledge.services.filling import NewFile
from sovereign.accounts.principals import Principal

TEXT = b"The station is north of the river."


def put(principal: Principal, store: VectorStore, file: File) -> StoreFile:
    return members.attach_files(principal=principal, store_id=store.pk, files=[NewFile(file.pk)])[0]


def page(model: str, view: str, *args: str) -> str:
    return reverse(f"admin:knowledge_{model}_{view}", args=[arg.replace("_", "_5F") for arg in args])


def upload(name: str = "handbook.md", content: bytes = TEXT) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def told(answer: Any) -> str:
    return " ".join(map(str, get_messages(answer.wsgi_request)))


def contents_of(folder: Path) -> list[Path]:
    """The files in the storage."""
    return [path for path in folder.rglob("*") if path.is_file() and path.parent.name not in ("drafts", "doubts")]


# ------------------------------------------------------------------------------------------------ who may do what
