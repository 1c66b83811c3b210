"""The admin's pages of files: sent, refused, downloaded, deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from assistants.knowledge import storage
from assistants.knowledge.models import File, StoreFile, VectorStore
from assistants.knowledge.services import stores
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from tests.knowledge.admin.pages import TEXT, contents_of, page, put, told, upload
from tests.knowledge.filled import a_file

pytestmark = pytest.mark.django_db


def test_several_files_are_uploaded_at_once(client: Client, project: Project, bob: User, folder: Path) -> None:
    data = {"project": project.pk, "purpose": "user_data", "files": [upload("a.md"), upload("b.md", b"Two.")]}
    answer = client.post(page("file", "add"), data)
    assert answer["Location"] == page("file", "changelist")
    assert "a.md, b.md are uploaded." in told(answer)
    assert list(File.objects.order_by("filename").values_list("filename", "bytes", "purpose", "created_by_user")) == [
        ("a.md", 34, "user_data", bob.pk),
        ("b.md", 4, "user_data", bob.pk),
    ]
    assert sorted(path.read_bytes() for path in contents_of(folder)) == [TEXT, b"Two."]
    assert AuditEvent.objects.filter(action="file.created", user_id=bob.pk).count() == 2


def test_a_refused_file_leaves_the_others_and_nothing_of_itself(client: Client, project: Project, folder: Path) -> None:
    data = {"project": project.pk, "purpose": "assistants", "files": [upload("empty.md", b""), upload()]}
    answer = client.post(page("file", "add"), data)
    assert "empty.md: File is empty." in told(answer)
    assert "handbook.md is uploaded." in told(answer)
    assert File.objects.count() == len(contents_of(folder)) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"files": []}, "Choose at least one file."),
        ({"purpose": "assistants_output"}, "Choose a project"),
        ({"project": ""}, "Choose a project"),
    ],
)
def test_an_upload_without_what_it_needs_is_refused(
    changes: dict[str, Any], words: str, client: Client, project: Project
) -> None:
    data = {"project": project.pk, "purpose": "assistants", "files": [upload()], **changes}
    assert words in told(client.post(page("file", "add"), data))
    data["files"] = [upload()] if data["files"] else []
    answer = client.post(page("file", "add"), data, headers={"Accept": "application/json"})
    assert (answer.status_code, words in answer.json()["message"]) == (400, True)
    assert not File.objects.exists()


def test_the_script_sends_a_file_and_then_uses_it(client: Client, store: VectorStore) -> None:
    address = f"{page('file', 'receive')}?project={store.project_id}"
    made = client.post(address, {"purpose": "assistants", "file": upload()}, headers={"Accept": "application/json"})
    assert made.status_code == 200, made.content
    file = File.objects.get()
    assert made.json()["id"] == file.pk
    answer = client.post(
        page("vectorstore", "contents", store.pk), {"file_ids": [file.pk]}, headers={"Accept": "application/json"}
    )
    assert answer.json() == {"added": ["handbook.md"], "refused": []}
    assert StoreFile.objects.get().file == file


def test_the_script_needs_a_project_of_ones_own_and_the_token(
    bob: User, store: VectorStore, theirs: VectorStore, browser_of: Callable[[User], Client]
) -> None:
    client, address = browser_of(bob), page("file", "receive")
    bob.refresh_from_db()
    client.get(page("file", "add"))
    token = {"X-CSRFToken": client.cookies["sovereign_csrf"].value}

    def sent(project: str, headers: dict[str, str]) -> int:
        data = {"purpose": "assistants", "file": upload()}
        return client.post(f"{address}?project={project}", data, headers=headers).status_code

    assert sent(store.project_id, {}) == 403
    assert sent(theirs.project_id, token) == sent("proj_none", token) == sent("", token) == 403
    assert not File.objects.filter(filename="handbook.md").exists()
    assert sent(store.project_id, token) == 200
    client.logout()
    assert sent(store.project_id, token) == 302


def test_a_superuser_sends_nothing_into_a_project_that_is_none(visit: Callable[[User], Client]) -> None:
    client = visit(User.objects.create_superuser("root"))
    data = {"purpose": "assistants", "file": upload()}
    assert client.post(f"{page('file', 'receive')}?project=proj_none", data).status_code == 403


def test_a_file_is_downloaded_as_an_attachment_and_never_shown(client: Client, project: Project) -> None:
    evil = b"<script>alert(1)</script>"
    client.post(
        page("file", "add"), {"project": project.pk, "purpose": "assistants", "files": [upload("a.html", evil)]}
    )
    file = File.objects.get()
    address = f"/admin/knowledge/file/{file.pk}/download/"
    assert address in client.get(page("file", "change", file.pk)).content.decode()
    answer: Any = client.get(address)
    assert b"".join(answer.streaming_content) == evil
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == 'attachment; filename="a.html"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    storage.delete(file.storage_key)
    assert "is not there any more" in told(client.get(address))


def test_what_the_operator_keeps_back_is_not_given_out(client: Client, project: Project, settings: Any) -> None:
    settings.SOVEREIGN = replace(settings.SOVEREIGN, no_downloads_of=frozenset({"assistants"}))
    file = a_file(project)
    assert "download/" not in client.get(page("file", "change", file.pk)).content.decode()
    assert client.get(f"/admin/knowledge/file/{file.pk}/download/").status_code == 403


def test_deleting_a_file_says_where_it_will_be_missed(
    client: Client, principal: Principal, store: VectorStore, project: Project, folder: Path
) -> None:
    client.post(page("vectorstore", "contents", store.pk), {"files": [upload(), upload("b.md")]})
    file, other = File.objects.order_by("-filename")
    asked = client.get(page("file", "delete", file.pk)).content.decode()
    assert "handbook.md (34 bytes); it will not be found any more in: House" in asked
    assert client.post(page("file", "delete", file.pk), {"post": "yes"}).status_code == 302
    assert list(StoreFile.objects.values_list("file__filename", flat=True)) == ["b.md"]
    assert AuditEvent.objects.filter(action="file.deleted", object_id=file.pk).exists()
    client.post(page("file", "changelist"), {"action": "delete_selected", "_selected_action": other.pk, "post": "yes"})
    assert not File.objects.exists()


def test_a_file_tells_in_which_stores_it_is(client: Client, principal: Principal, project: Project) -> None:
    file = a_file(project)
    for name in ("One", "Two", "Three"):
        put(principal, stores.create_store(principal=principal, name=name), file)
    assert "Three, Two and 1 more" in client.get(page("file", "changelist")).content.decode()
    shown = client.get(page("file", "change", file.pk)).content.decode()
    for name in ("One", "Two", "Three"):
        assert f"{name}</a> (waiting)" in shown
