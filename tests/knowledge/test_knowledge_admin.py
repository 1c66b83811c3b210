"""Files and vector stores in the admin: everything through services, and nothing of another project's."""

from __future__ import annotations

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

from assistants.knowledge import embedding, storage
from assistants.knowledge.admin import trying
from assistants.knowledge.models import File, IngestionStatus, StoreFile, VectorStore
from assistants.knowledge.services import members, stores
from assistants.knowledge.services.filling import NewFile
from inference import snapshot
from inference.chat import EngineUnavailable
from sovereign.accounts import credentials, services
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role
from tests.knowledge.filled import a_file, a_store, failed, ingested
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db
searches = pytest.mark.django_db(transaction=True)  # in other threads, which have to see what is there

TEXT = b"The station is north of the river."


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    """Where the bytes of files are."""
    settings.SOVEREIGN = replace(settings.SOVEREIGN, files_url=f"file://{tmp_path}/files")
    return tmp_path / "files"


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
    """An analyst's browser."""
    return visit(bob)


@pytest.fixture
def principal(bob: User) -> Principal:
    return credentials.principal_of_person(bob.pk)


@pytest.fixture
def store(principal: Principal) -> VectorStore:
    return stores.create_store(principal=principal, name="House")


@pytest.fixture
def theirs(charlie: User) -> VectorStore:
    """Another project's store, with a file in it."""
    outsider = credentials.principal_of_person(charlie.pk)
    store = stores.create_store(principal=outsider, name="Charlie's secrets")
    put(outsider, store, a_file(store.project, "charlies.txt"))
    return store


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


@pytest.mark.parametrize("role", Role.values)
@pytest.mark.parametrize("model", ["file", "vectorstore"])
def test_pages_open_for_those_who_get_into_the_admin(
    model: str, role: str, project: Project, visit: Callable[[User], Client]
) -> None:
    user = User.objects.create_user(f"member-{role}")
    services.add_member(project=project, user=user, role=role)
    statuses = {visit(user).get(page(model, view)).status_code for view in ("changelist", "add")}
    assert statuses == ({302} if role == Role.VIEWER else {200})


def test_nothing_of_another_project_is_seen(client: Client, theirs: VectorStore) -> None:
    file = File.objects.get(filename="charlies.txt")
    for address in (page("file", "changelist"), page("vectorstore", "changelist")):
        listed = client.get(address).content.decode()
        assert "charlies.txt" not in listed
        assert "secrets" not in listed
    for model, pk in (("file", file.pk), ("vectorstore", theirs.pk)):
        for view in ("change", "delete", "history"):
            answer = client.get(page(model, view, pk))
            assert answer.status_code in (302, 403, 404), view
            assert "harlie" not in answer.content.decode()
    assert client.get(page("vectorstore", "contents", theirs.pk)).status_code == 404
    assert client.get(page("vectorstore", "change", theirs.pk) + "?query=secrets").status_code == 302
    assert client.get(f"/admin/knowledge/file/{file.pk}/download/").status_code == 403


def test_nothing_of_another_project_is_changed(
    client: Client, theirs: VectorStore, store: VectorStore, project: Project
) -> None:
    file = File.objects.get(filename="charlies.txt")
    assert client.post(page("vectorstore", "contents", theirs.pk), {"files": [upload()]}).status_code == 404
    for view in ("retry", "remove"):
        assert client.post(page("vectorstore", view, theirs.pk, file.pk)).status_code == 404
    client.post(page("file", "delete", file.pk), {"post": "yes"})
    for model, pk in (("file", file.pk), ("vectorstore", theirs.pk)):
        client.post(page(model, "changelist"), {"action": "delete_selected", "_selected_action": pk, "post": "yes"})
    answer = client.post(page("vectorstore", "contents", store.pk), {"file_ids": [file.pk]})
    assert f"No such File object: {file.pk}" in told(answer)
    data = {"project": theirs.project_id, "purpose": "assistants", "files": [upload()]}
    assert "Choose a project" in told(client.post(page("file", "add"), data))
    assert list(StoreFile.objects.values_list("store", "file")) == [(theirs.pk, file.pk)]


def test_who_may_not_write_is_given_no_button(
    client: Client, store: VectorStore, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = failed(put(principal, store, a_file(store.project)))
    monkeypatch.setattr("sovereign.accounts.credentials.ROLE_SCOPES", {Role.ANALYST.value: frozenset(READING)})
    shown = client.get(page("vectorstore", "change", store.pk)).content.decode()
    assert "notes.txt" in shown
    for button in ("Remove", "Try again", 'type="file"', 'name="_save"'):
        assert button not in shown, button
    for view in ("retry", "remove"):
        assert client.post(page("vectorstore", view, store.pk, member.file_id)).status_code == 403
    assert client.post(page("vectorstore", "contents", store.pk), {"files": [upload()]}).status_code == 403
    assert client.get(page("file", "add")).status_code == 403


READING = ("files:read", "vector_stores:read", "assistants:read")


# ------------------------------------------------------------------------------------------------ files


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


# ------------------------------------------------------------------------------------------------ stores


def form(project: Project, **changes: Any) -> dict[str, Any]:
    return {
        "name": "House",
        "project": project.pk,
        "description": "",
        "expires_after_days": "",
        "metadata": "{}",
    } | changes


def test_a_store_is_made_changed_and_deleted(client: Client, project: Project, bob: User) -> None:
    answer = client.post(page("vectorstore", "add"), form(project, expires_after_days="7", metadata='{"a": "b"}'))
    store = VectorStore.objects.get()
    assert answer["Location"] == page("vectorstore", "change", store.pk)
    assert (store.name, store.description, store.expires_after_days) == ("House", None, 7)
    assert store.metadata == {"a": "b"}
    client.post(page("vectorstore", "change", store.pk), form(project, name="", metadata='{"a": "b"}'))
    store.refresh_from_db()
    assert (store.name, store.expires_after_days, store.metadata) == (None, None, {"a": "b"})
    changed = AuditEvent.objects.get(action="vector_store.updated")
    assert (changed.user_id, changed.details["fields"]) == (bob.pk, ["expires_after_days", "name"])
    file = a_file(project)
    put(credentials.principal_of_person(bob.pk), store, file)
    assert "(1 file, which stay under Files)" in client.get(page("vectorstore", "delete", store.pk)).content.decode()
    client.post(page("vectorstore", "delete", store.pk), {"post": "yes"})
    assert (VectorStore.objects.count(), File.objects.count()) == (0, 1)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("expires_after_days", "0", "greater than or equal to 1"),
        ("expires_after_days", "366", "less than or equal to 365"),
        ("metadata", '{"a": 1}', "expected a string"),
        ("metadata", "[", "valid JSON"),
        ("name", "x" * 257, "at most 256"),
    ],
)
def test_a_refusal_stands_at_its_field(field: str, value: str, words: str, client: Client, project: Project) -> None:
    answer = client.post(page("vectorstore", "add"), form(project, **{field: value}))
    assert list(answer.context["adminform"].form.errors) == [field]
    assert words in str(answer.context["adminform"].form.errors[field])
    assert not VectorStore.objects.exists()


def test_files_are_put_in_with_a_plain_form(client: Client, store: VectorStore) -> None:
    answer = client.post(page("vectorstore", "contents", store.pk), {"files": [upload(), upload("b.md")]})
    assert answer["Location"] == page("vectorstore", "change", store.pk)
    assert "handbook.md, b.md are in House now" in told(answer)
    shown = client.get(page("vectorstore", "change", store.pk)).content.decode()
    assert "2 files: 2 being read" in shown
    html = client.get(page("vectorstore", "contents", store.pk)).json()["html"]
    assert html.index("b.md") < html.index("handbook.md")  # the newest first


def test_what_a_store_refuses_is_not_kept(client: Client, store: VectorStore, folder: Path) -> None:
    VectorStore.objects.update(expires_after_days=1, last_active_at=store.last_active_at - timedelta(days=2))
    answer = client.post(page("vectorstore", "contents", store.pk), {"files": [upload()]})
    assert "has expired" in told(answer)
    assert not File.objects.exists()
    assert contents_of(folder) == []
    shown = client.get(page("vectorstore", "change", store.pk)).content.decode()
    assert "This store has expired" in shown
    assert 'type="file"' not in shown


def test_progress_and_reasons_are_told(client: Client, store: VectorStore, principal: Principal) -> None:
    names = ("waits.txt", "reads.txt", "done.txt", "broken.pdf")
    _, reads, done, broken = (put(principal, store, a_file(store.project, name)) for name in names)
    StoreFile.objects.filter(pk=reads.pk).update(lease_owner="w", progress=40)
    ingested(done, "Some text.")
    StoreFile.objects.filter(pk=done.pk).update(note="No model makes embeddings.")
    failed(broken)
    told = client.get(page("vectorstore", "contents", store.pk)).json()
    assert told["summary"] == "4 files: 2 being read, 1 ready, 1 failed"
    assert told["is_busy"] is True
    for words in ("waiting", "40 %", "ready", "No model makes embeddings.", "It is broken.", "Try again"):
        assert words in told["html"], words
    assert told["html"].count("Try again") == 1
    only = client.get(page("vectorstore", "contents", store.pk) + "?state=failed").json()["html"]
    assert "broken.pdf" in only
    assert "done.txt" not in only
    StoreFile.objects.filter(status=IngestionStatus.IN_PROGRESS).update(status=IngestionStatus.CANCELLED)
    assert client.get(page("vectorstore", "contents", store.pk)).json()["is_busy"] is False


@pytest.mark.parametrize("query", ["?state=lost", "?files=0", "?files=99", "?files=x", "?files=²", "?state=&files=2"])
def test_a_choice_that_is_none_shows_what_there_is(
    query: str, client: Client, store: VectorStore, principal: Principal
) -> None:
    put(principal, store, a_file(store.project))
    assert "notes.txt" in client.get(page("vectorstore", "contents", store.pk) + query).json()["html"]


def test_many_files_are_on_several_pages(client: Client, store: VectorStore, principal: Principal) -> None:
    for number in range(30):
        put(principal, store, a_file(store.project, f"n{number:02}.txt"))
    first, second = (
        client.get(page("vectorstore", "contents", store.pk) + f"?files={number}").json()["html"] for number in (1, 2)
    )
    assert ("n29.txt" in first, "n04.txt" in first) == (True, False)
    assert ("n29.txt" in second, "n04.txt" in second) == (False, True)


def test_a_failed_file_is_tried_again_and_another_taken_out(
    client: Client, store: VectorStore, principal: Principal
) -> None:
    member, other = (put(principal, store, a_file(store.project, name)) for name in ("a.txt", "b.txt"))
    failed(member)
    back = client.post(page("vectorstore", "retry", store.pk, member.file_id))
    assert back["Location"] == page("vectorstore", "change", store.pk)
    member.refresh_from_db()
    assert (member.status, member.error_message) == (IngestionStatus.IN_PROGRESS, "")
    following = {"next": "/admin/assistants/assistant/"}
    back = client.post(page("vectorstore", "remove", store.pk, other.file_id), following)
    assert back["Location"] == following["next"]
    assert list(StoreFile.objects.values_list("file__filename", flat=True)) == ["a.txt"]
    assert File.objects.count() == 2
    again = client.post(page("vectorstore", "remove", store.pk, other.file_id), {"next": "https://elsewhere.example/"})
    assert "No file found" in told(again)
    assert again["Location"] == page("vectorstore", "change", store.pk)
    assert client.get(page("vectorstore", "remove", store.pk, member.file_id)).status_code == 403


# ------------------------------------------------------------------------------------------------ trying a question


@pytest.fixture
def awaited(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that come later are waited for; no model makes embeddings."""
    settings.MIDDLEWARE = ["tests.support.later.Awaiting", *settings.MIDDLEWARE]
    monkeypatch.setattr(embedding, "_target", lambda *_: None)


@searches
def test_a_question_shows_what_an_assistant_would_be_given(
    awaited: None, client: Client, principal: Principal, project: Project
) -> None:
    store = a_store(principal, project, ["Potato soup is for winter.", f"Soup with {EVIL}"])
    used = store.last_active_at
    answer: Any = client.get(page("vectorstore", "change", store.pk) + "?query=soup")
    shown = answer.content.decode()
    for words in (
        "2 pieces",
        "found by words alone",
        embedding.why_not(),
        "Potato soup is for winter.",
        "0.txt",
        "score 0.",
    ):
        assert words in shown, words
    for mark in EVIL_MARKS:
        assert mark not in shown
    assert "script-src 'self'" in answer["Content-Security-Policy"]
    assert "no-store" in answer["Cache-Control"]
    store.refresh_from_db()
    assert store.last_active_at == used  # to look is no use
    nothing = client.get(page("vectorstore", "change", store.pk) + "?query=zeppelin").content.decode()
    assert "Nothing" in nothing


def test_a_store_says_that_the_shipped_embedder_reads_english(
    client: Client, store: VectorStore, settings: Any
) -> None:
    address = page("vectorstore", "change", store.pk)
    assert trying.ENGLISH in client.get(address).content.decode()
    settings.SOVEREIGN = replace(settings.SOVEREIGN, embedder="none")
    snapshot.forget()
    assert trying.ENGLISH not in client.get(address).content.decode()


@searches
def test_a_question_that_cannot_be_answered_says_why(
    awaited: None, client: Client, principal: Principal, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = a_store(principal, project, ["Potato soup."])

    async def away(**_: Any) -> None:
        raise EngineUnavailable("The engine is away.")

    monkeypatch.setattr("assistants.knowledge.admin.trying.search", away)
    assert "The engine is away." in client.get(page("vectorstore", "change", store.pk) + "?query=soup").content.decode()
    VectorStore.objects.update(expires_after_days=1, last_active_at=store.last_active_at - timedelta(days=2))
    shown = client.get(page("vectorstore", "change", store.pk) + "?query=soup").content.decode()
    assert "has expired.</p>" in shown


# ------------------------------------------------------------------------------------------------ what others wrote


def test_names_and_reasons_stay_text(client: Client, principal: Principal, project: Project) -> None:
    store = stores.create_store(principal=principal, name=EVIL, description=EVIL)
    member = failed(put(principal, store, a_file(project, EVIL)))
    StoreFile.objects.update(error_message=EVIL, note=EVIL)
    addresses = [page(model, "changelist") for model in ("file", "vectorstore")]
    addresses += [page("file", view, member.file_id) for view in ("change", "delete")]
    addresses += [page("vectorstore", view, store.pk) for view in ("change", "delete")]
    for address in addresses:
        shown = client.get(address).content.decode()
        for mark in EVIL_MARKS:
            assert mark not in shown, address
    html = client.get(page("vectorstore", "contents", store.pk)).json()["html"]
    assert all(mark not in html for mark in EVIL_MARKS)


def test_pages_ask_as_often_for_many_as_for_few(
    client: Client,
    principal: Principal,
    project: Project,
    django_assert_max_num_queries: Any,
    remembered_registry: Callable[[], None],
) -> None:
    def fill(store: VectorStore, number: int) -> None:
        for _ in range(number):
            put(principal, store, a_file(project))

    filled = [stores.create_store(principal=principal, name=f"S{number}") for number in range(12)]
    for store in filled:
        fill(store, 2)
    fill(filled[0], 20)
    for address, most in (
        (page("file", "changelist"), 12),
        (page("vectorstore", "changelist"), 12),
        (page("vectorstore", "change", filled[0].pk), 14),
        (page("vectorstore", "contents", filled[0].pk), 8),
        (page("file", "change", File.objects.first().pk), 14),
    ):
        remembered_registry()
        with django_assert_max_num_queries(most):
            assert client.get(address).status_code == 200
