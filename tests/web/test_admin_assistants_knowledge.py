"""What an assistant knows, on its page: files bring a store and a tool, and a form that is saved later keeps them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from assistants.knowledge.models import File, StoreFile, VectorStore
from assistants.models import Assistant
from assistants.services import create_assistant, update_assistant
from sovereign.accounts import credentials
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db

JSON = {"Accept": "application/json"}


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> None:
    settings.SOVEREIGN = replace(settings.SOVEREIGN, files_url=f"file://{tmp_path}/files")


@pytest.fixture
def client(bob: User, visit: Callable[[User], Client]) -> Client:
    """An analyst's browser."""
    return visit(bob)


def page(view: str, assistant: Assistant) -> str:
    return reverse(f"admin:assistants_assistant_{view}", args=[assistant.pk.replace("_", "_5F")])


def upload(name: str = "handbook.md") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, b"The station is north of the river.")


def give(client: Client, assistant: Assistant, *names: str) -> Any:
    answer = client.post(page("knowledge", assistant), {"files": [upload(name) for name in names]}, headers=JSON)
    assistant.refresh_from_db()
    return answer


def told(answer: Any) -> str:
    return " ".join(map(str, get_messages(answer.wsgi_request)))


def stores_of(assistant: Assistant) -> list[str]:
    ids: list[str] = assistant.tool_resources["file_search"]["vector_store_ids"]
    return ids


def test_the_first_file_brings_a_store_and_the_tool(client: Client, assistant: Assistant, bob: User) -> None:
    assert "No file is in it yet." in client.get(page("change", assistant)).content.decode()
    answer = give(client, assistant, "a.md", "b.md")
    assert answer.json()["added"] == ["a.md", "b.md"]
    store = VectorStore.objects.get()
    assert (store.name, store.project_id, store.expires_after_days) == ("What Guide knows", assistant.project_id, None)
    assert stores_of(assistant) == [store.pk]
    assert [tool["type"] for tool in assistant.tools] == ["file_search"]
    assert assistant.tools[0]["file_search"]["ranking_options"]["score_threshold"] == 0.0  # in its normal form
    assert json.loads(answer.json()["tools"]) == assistant.tools
    assert list(StoreFile.objects.values_list("file__filename", flat=True)) == ["b.md", "a.md"]
    assert AuditEvent.objects.filter(action="assistant.updated", user_id=bob.pk).exists()
    shown = client.get(page("change", assistant)).content.decode()
    assert "2 files: 2 being read" in shown
    assert "What Guide knows: try a question" in shown
    told = client.get(page("knowledge", assistant)).json()
    assert (told["is_busy"], "a.md" in told["html"]) == (True, True)


def test_a_plain_form_comes_back_to_the_page(client: Client, assistant: Assistant) -> None:
    answer = client.post(page("knowledge", assistant), {"files": [upload()]})
    assert answer["Location"] == page("change", assistant) + "#knowledge"
    assert "handbook.md is part of what Guide knows" in told(answer)
    assert "Choose at least one file." in told(client.post(page("knowledge", assistant)))


def test_a_form_that_was_open_meanwhile_does_not_take_the_tool_away(
    client: Client, assistant: Assistant, project: Project
) -> None:
    opened = {
        "name": "Renamed", "description": "Knows the way.", "project": project.pk, "model": "fake", "instructions": "",
        "tools": "[]", "initial-tools": "[]", "temperature": "1.0", "top_p": "1.0", "reasoning_effort": "",
        "response_format": '"auto"', "metadata": "{}", "retrieval": "before", "type": "general", "status": "draft",
        "visibility": "project",
    }  # fmt: skip
    assert 'name="initial-tools"' in client.get(page("change", assistant)).content.decode()
    give(client, assistant, "a.md")
    assert client.post(page("change", assistant), opened).status_code == 302
    assistant.refresh_from_db()
    assert (assistant.name, assistant.retrieval) == ("Renamed", "before")
    assert [tool["type"] for tool in assistant.tools] == ["file_search"]
    assert len(stores_of(assistant)) == 1
    client.post(page("change", assistant), opened | {"initial-tools": json.dumps(assistant.tools)})
    assistant.refresh_from_db()
    assert assistant.tools == []  # who takes it away takes it away
    assert "but not the tool file_search" in client.get(page("change", assistant)).content.decode()


def test_a_store_that_was_deleted_is_made_anew_and_one_that_expired_is_told(
    client: Client, assistant: Assistant
) -> None:
    give(client, assistant, "a.md")
    [former] = stores_of(assistant)
    VectorStore.objects.all().delete()
    give(client, assistant, "b.md")
    assert stores_of(assistant) != [former]
    assert [tool["type"] for tool in assistant.tools] == ["file_search"]
    store = VectorStore.objects.get()
    VectorStore.objects.update(expires_after_days=1, last_active_at=store.last_active_at - timedelta(days=2))
    answer = give(client, assistant, "c.md")
    assert "has expired" in answer.json()["refused"][0]["message"]
    assert not File.objects.filter(filename="c.md").exists()
    shown = client.get(page("change", assistant)).content.decode()
    assert "Give it a longer life" in shown
    assert 'type="file"' not in shown


def test_a_file_that_is_here_already_is_used(client: Client, assistant: Assistant) -> None:
    give(client, assistant, "a.md")
    file = File.objects.get()
    StoreFile.objects.all().delete()
    answer = client.post(page("knowledge", assistant), {"file_ids": [file.pk, "file-none"]}, headers=JSON)
    assert answer.json()["added"] == ["a.md"]
    assert answer.json()["refused"] == [{"name": "file-none", "message": "No such File object: file-none"}]
    assert StoreFile.objects.get().file == file


def test_another_projects_assistant_is_unknown_and_its_store_unseen(
    client: Client, assistant: Assistant, charlie: User, model: str
) -> None:
    outsider: Principal = credentials.principal_of_person(charlie.pk)
    theirs = create_assistant(principal=outsider, model=model, name="Theirs")
    for answer in (client.get(page("knowledge", theirs)), give(client, theirs, "a.md")):
        assert answer.status_code == 404
    assert not File.objects.exists()
    foreign = VectorStore.objects.create(
        project_id=outsider.project_id, name="secret", last_active_at=assistant.created_at
    )
    Assistant.objects.filter(pk=assistant.pk).update(tool_resources={"file_search": {"vector_store_ids": [foreign.pk]}})
    assert "secret" not in client.get(page("change", assistant)).content.decode()


def test_who_may_not_write_stores_drops_nothing(
    client: Client, assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = frozenset({"assistants:read", "assistants:write", "files:write", "vector_stores:read"})
    monkeypatch.setattr("sovereign.accounts.credentials.ROLE_SCOPES", {"analyst": reading})
    assert 'type="file"' not in client.get(page("change", assistant)).content.decode()
    assert give(client, assistant, "a.md").status_code == 403
    monkeypatch.setattr("sovereign.accounts.credentials.ROLE_SCOPES", {"analyst": reading - {"vector_stores:read"}})
    assert "shown to those who may see vector stores" in client.get(page("change", assistant)).content.decode()
    assert client.get(page("knowledge", assistant)).status_code == 404
    assert not File.objects.exists()


def test_names_stay_text(client: Client, assistant: Assistant, principal: Principal) -> None:
    update_assistant(principal=principal, assistant_id=assistant.pk, name=EVIL)
    give(client, assistant, "a.md")
    File.objects.update(filename=EVIL)
    shown = client.get(page("change", assistant)).content.decode()
    html = client.get(page("knowledge", assistant)).json()["html"]
    for mark in EVIL_MARKS:
        assert mark not in shown
        assert mark not in html


def test_the_page_for_a_new_one_says_what_comes_next(client: Client, project: Project, model: str) -> None:
    shown = client.get(reverse("admin:assistants_assistant_add")).content.decode()
    assert "Once the assistant is saved, files can be dropped onto its page." in shown
    assert 'type="file"' not in shown
