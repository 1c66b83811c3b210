"""Files and vector stores in the admin: everything through services, and nothing of another project's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from assistants.knowledge.models import File, StoreFile, VectorStore
from sovereign.accounts.models import Project, User

pytestmark = pytest.mark.django_db


def page(model: str, view: str, *args: str) -> str:
    return reverse(f"admin:knowledge_{model}_{view}", args=[arg.replace("_", "_5F") for arg in args])


def upload(name: str = "handbook.md", content: bytes = b"The station is north of the river.") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


@pytest.fixture
def visit() -> Callable[[User], Client]:
    def make(user: User) -> Client:
        user.refresh_from_db()
        client = Client(headers={"Accept": "text/html"})
        client.force_login(user)
        return client

    return make


@pytest.fixture
def client(bob: User, visit: Callable[[User], Client]) -> Client:
    """An analyst."""
    return visit(bob)


def told(answer: Any) -> str:
    return " ".join(map(str, get_messages(answer.wsgi_request)))


def test_several_files_are_uploaded_at_once(client: Client, project: Project, bob: User) -> None:
    data = {"project": project.pk, "purpose": "assistants", "files": [upload("a.md"), upload("b.md", b"Two.")]}
    answer = client.post(page("file", "add"), data)
    assert answer.status_code == 302, answer.content
    assert "a.md, b.md are uploaded." in told(answer)
    assert list(File.objects.order_by("filename").values_list("filename", "bytes", "created_by_user")) == [
        ("a.md", 34, bob.pk),
        ("b.md", 4, bob.pk),
    ]
    listed = client.get(page("file", "changelist")).content.decode()
    assert "a.md" in listed


def test_a_store_is_made_and_filled(client: Client, project: Project) -> None:
    answer = client.post(page("vectorstore", "add"), {"name": "House", "project": project.pk, "metadata": "{}"})
    store = VectorStore.objects.get()
    assert answer["Location"] == page("vectorstore", "change", store.pk)
    answer = client.post(page("vectorstore", "contents", store.pk), {"files": [upload()]})
    assert answer.status_code == 302
    assert "handbook.md is in House now" in told(answer)
    assert StoreFile.objects.get().file.filename == "handbook.md"
    shown = client.get(page("vectorstore", "change", store.pk)).content.decode()
    assert "1 file: 1 being read" in shown
    assert "handbook.md" in shown
