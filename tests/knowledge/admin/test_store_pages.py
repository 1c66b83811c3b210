"""The admin's pages of vector stores: made, filled, watched, and asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from assistants.knowledge import embedding
from assistants.knowledge.admin import trying
from assistants.knowledge.models import File, IngestionStatus, StoreFile, VectorStore
from inference import snapshot
from inference.chat import EngineUnavailable
from sovereign.accounts import credentials
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from tests.knowledge.admin.pages import contents_of, page, put, told, upload
from tests.knowledge.filled import a_file, a_store, failed, ingested
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db
searches = pytest.mark.django_db(transaction=True)  # in other threads, which have to see what is there


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
