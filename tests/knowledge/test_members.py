"""The files of vector stores over HTTP: attaching once and again, attributes, lists by state, contents, batches."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants.knowledge.api import members as views
from assistants.knowledge.api.store_objects import VectorStoreFileBatchObject, VectorStoreFileObject
from assistants.knowledge.chunking import chunks
from assistants.knowledge.models import Chunk, File, FileBatch, StoreFile, StoreStatistics
from assistants.knowledge.services import filling
from sovereign.accounts.models import Project
from sovereign.core.database import now
from tests.knowledge.filled import a_file, failed, indexed, ingested, some_files

pytestmark = pytest.mark.django_db

SIZES = "chunking_strategy.static"


def static(tokens: int, overlap: int) -> dict[str, Any]:
    return {"type": "static", "static": {"max_chunk_size_tokens": tokens, "chunk_overlap_tokens": overlap}}


STATIC = static(200, 100)


class Store:
    """A vector store, as a client sees it."""

    def __init__(self, api: APIClient) -> None:
        self.api = api
        self.id = api.post("/v1/vector_stores", {}, format="json").json()["id"]
        self.path = f"/v1/vector_stores/{self.id}"

    def post(self, path: str = "", **body: Any) -> Any:
        return self.api.post(self.path + path, body, format="json")

    def get(self, path: str = "", **query: Any) -> Any:
        return self.api.get(self.path + path, query)

    def counts(self) -> dict[str, int]:
        """How many files are in which state, without those of which there are none."""
        return {name: number for name, number in self.get().json()["file_counts"].items() if number}


@pytest.fixture
def store(api: APIClient) -> Store:
    return Store(api)


@pytest.fixture
def file(project: Project) -> File:
    return a_file(project)


def error_of(answer: Any) -> tuple[int, str | None, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["param"], error["code"]


# ------------------------------------------------------------------------------------------------ files


def test_a_file_waits_to_be_ingested(store: Store, file: File) -> None:
    body = store.post("/files", file_id=file.id).json()
    assert list(body) == list(VectorStoreFileObject().fields)
    assert body == {
        "id": file.id,
        "object": "vector_store.file",
        "usage_bytes": 0,
        "created_at": int(StoreFile.objects.get().created_at.timestamp()),
        "vector_store_id": store.id,
        "status": "in_progress",
        "last_error": None,
        "chunking_strategy": static(800, 400),
        "attributes": {},
    }
    assert store.get(f"/files/{file.id}").json() == body
    assert store.get("/files").json()["data"] == [body]


def test_what_is_said_of_a_file_is_shown(store: Store, file: File) -> None:
    attributes = {"year": 2024, "ratio": 0.5, "draft": False, "author": "Ana"}
    body = store.post("/files", file_id=file.id, attributes=attributes, chunking_strategy=STATIC).json()
    assert (body["attributes"], body["chunking_strategy"]) == (attributes, STATIC)
    assert list(body["attributes"]) == list(attributes)
    assert isinstance(body["attributes"]["draft"], bool)
    other = {"only": "this"}
    assert store.post(f"/files/{file.id}", attributes=other).json() == {**body, "attributes": other}
    assert store.post(f"/files/{file.id}", attributes=None).json() == {**body, "attributes": {}}


def test_a_failure_says_why(store: Store, file: File) -> None:
    store.post("/files", file_id=file.id)
    failed(StoreFile.objects.get())
    body = store.get(f"/files/{file.id}").json()
    assert (body["status"], body["last_error"]) == ("failed", {"code": "invalid_file", "message": "It is broken."})


def test_a_file_that_is_there_is_attached_once(store: Store, file: File) -> None:
    first = store.post("/files", file_id=file.id, attributes={"a": 1}, chunking_strategy=STATIC).json()
    done = ingested(StoreFile.objects.get(), "some words")
    again = store.post("/files", file_id=file.id).json()
    assert again == {**first, "status": "completed", "usage_bytes": done.usage_bytes}
    changed = store.post("/files", file_id=file.id, attributes={"b": 2}, chunking_strategy=STATIC).json()
    assert changed == {**again, "attributes": {"b": 2}}
    assert Chunk.objects.count() == 1


def test_a_file_that_is_cut_anew_is_ingested_again(store: Store, file: File) -> None:
    store.post("/files", file_id=file.id)
    ingested(StoreFile.objects.get(), "some words")
    again = store.post("/files", file_id=file.id, chunking_strategy=STATIC).json()
    assert (again["status"], again["usage_bytes"], again["chunking_strategy"]) == ("in_progress", 0, STATIC)
    assert not Chunk.objects.exists()
    assert StoreStatistics.objects.get().chunks == 0
    ingested(StoreFile.objects.get(), "some", "words")
    assert StoreStatistics.objects.get().chunks == 2


def test_a_file_that_failed_is_tried_again(store: Store, file: File) -> None:
    store.post("/files", file_id=file.id)
    StoreFile.objects.update(lease_owner="gone", lease_epoch=3, crash_count=3, retry_count=2)
    failed(StoreFile.objects.get())
    again = store.post("/files", file_id=file.id).json()
    assert (again["status"], again["last_error"]) == ("in_progress", None)
    member = StoreFile.objects.get()
    assert (member.lease_owner, member.lease_epoch, member.crash_count, member.retry_count) == (None, 4, 0, 0)


def test_a_file_is_in_any_number_of_stores(api: APIClient, store: Store, file: File) -> None:
    other = Store(api)
    for one in (store, other):
        assert one.post("/files", file_id=file.id).status_code == 200
    ingested(StoreFile.objects.get(store=other.id), "some words")
    assert (store.counts(), other.counts()) == ({"in_progress": 1, "total": 1}, {"completed": 1, "total": 1})
    store.api.delete(f"{store.path}/files/{file.id}")
    assert (store.counts(), other.counts()) == ({}, {"completed": 1, "total": 1})


def test_a_file_is_taken_out(store: Store, file: File) -> None:
    store.post("/files", file_id=file.id)
    ingested(StoreFile.objects.get(), "some words")
    answer = store.api.delete(f"{store.path}/files/{file.id}")
    assert answer.json() == {"id": file.id, "object": "vector_store.file.deleted", "deleted": True}
    assert not Chunk.objects.exists()
    assert StoreStatistics.objects.get().chunks == 0
    assert File.objects.exists()
    missing = {
        "message": f"No file found with id '{file.id}' in vector store '{store.id}'.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    for answer in (
        store.api.delete(f"{store.path}/files/{file.id}"),
        store.get(f"/files/{file.id}"),
        store.get(f"/files/{file.id}/content"),
        store.post(f"/files/{file.id}", attributes={}),
    ):
        assert (answer.status_code, answer.json()["error"]) == (404, missing)


def test_a_store_can_be_full(store: Store, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "MAXIMUM_FILES", 3)
    files = some_files(project, 5)
    assert store.post("/file_batches", file_ids=files[:2]).status_code == 200
    full = store.post("/file_batches", file_ids=files[2:4])
    assert error_of(full) == (400, None, "vector_store_full")
    assert full.json()["error"]["message"] == f"Vector store '{store.id}' cannot have more than 3 files."
    assert store.counts()["total"] == 2
    assert store.post("/file_batches", file_ids=files[:3]).status_code == 200
    assert error_of(store.post("/files", file_id=files[4])) == (400, None, "vector_store_full")
    assert store.post("/files", file_id=files[0]).status_code == 200


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "file_id", "missing_required_parameter"),
        ({"file_id": 5}, "file_id", "invalid_type"),
        ({"file_id": None}, "file_id", "invalid_type"),
        ({"attributes": 5}, "attributes", "invalid_type"),
        ({"attributes": {str(number): "x" for number in range(17)}}, "attributes", "object_above_max_properties"),
        ({"attributes": {"k" * 65: "x"}}, f"attributes.{'k' * 64}", "string_above_max_length"),
        ({"attributes": {"k": "x" * 513}}, "attributes.k", "string_above_max_length"),
        ({"attributes": {"k": None}}, "attributes.k", "invalid_type"),
        ({"attributes": {"k": []}}, "attributes.k", "invalid_type"),
        ({"attributes": {"k": {"nested": 1}}}, "attributes.k", "invalid_type"),
        ({"attributes": {"k": 1e300}}, "attributes.k", "invalid_value"),
        ({"attributes": {"k": "\x00"}}, "attributes.k", "invalid_value"),
        ({"chunking_strategy": {"type": "static"}}, "chunking_strategy.static", "missing_required_parameter"),
        ({"chunking_strategy": static(99, 0)}, f"{SIZES}.max_chunk_size_tokens", "integer_below_min_value"),
        ({"chunking_strategy": static(4097, 0)}, f"{SIZES}.max_chunk_size_tokens", "integer_above_max_value"),
        ({"chunking_strategy": static(100, 51)}, f"{SIZES}.chunk_overlap_tokens", "integer_above_max_value"),
        ({"chunking_strategy": static(100, -1)}, f"{SIZES}.chunk_overlap_tokens", "integer_below_min_value"),
        ({"purpose": "x"}, "purpose", "unknown_parameter"),
    ],
)
def test_refusals_of_files(store: Store, file: File, body: dict[str, Any], param: str, code: str) -> None:
    given = body if not body or "file_id" in body else {"file_id": file.id, **body}
    assert error_of(store.post("/files", **given)) == (400, param, code)
    assert not StoreFile.objects.exists()


def test_attributes_have_to_be_given_to_be_replaced(store: Store, file: File) -> None:
    store.post("/files", file_id=file.id)
    assert error_of(store.post(f"/files/{file.id}")) == (400, "attributes", "missing_required_parameter")


# ------------------------------------------------------------------------------------------------ lists


def test_files_are_listed_as_they_were_put_there(store: Store, project: Project) -> None:
    files = some_files(project, 5)
    placed = [files[3], files[0], files[4], files[1]]
    store.post("/file_batches", file_ids=placed)
    store.post("/files", file_id=files[2])
    placed.append(files[2])
    assert [one["id"] for one in store.get("/files", order="asc").json()["data"]] == placed
    page = store.get("/files", limit=2).json()
    assert ([one["id"] for one in page["data"]], page["has_more"]) == (placed[:-3:-1], True)
    page = store.get("/files", limit=3, after=placed[3]).json()
    assert ([one["id"] for one in page["data"]], page["has_more"]) == (placed[2::-1], False)
    page = store.get("/files", order="asc", before=placed[2]).json()
    assert [one["id"] for one in page["data"]] == placed[:2]


def test_files_are_listed_by_their_state(store: Store, project: Project) -> None:
    files = some_files(project, 4)
    store.post("/file_batches", file_ids=files)
    members = {member.file_id: member for member in StoreFile.objects.all()}
    ingested(members[files[0]], "words")
    failed(members[files[1]])
    for state, expected in (
        ("in_progress", files[:1:-1]),
        ("completed", files[:1]),
        ("failed", files[1:2]),
        ("cancelled", []),
    ):
        assert [one["id"] for one in store.get("/files", filter=state).json()["data"]] == expected
    waiting = store.get("/files", filter="in_progress", limit=1).json()
    failed(members[files[3]])
    rest = store.get("/files", filter="in_progress", after=waiting["last_id"]).json()
    assert [one["id"] for one in rest["data"]] == [files[2]], "where a file stood is known in any state"
    refused = store.get("/files", filter="done")
    assert error_of(refused) == (400, "filter", "invalid_value")


@pytest.mark.parametrize("path", ["/files", "/files/file-x", "/files/file-x/content", "/file_batches/vsfb_x"])
def test_what_is_in_an_unknown_store_is_unknown(api: APIClient, path: str) -> None:
    answer = api.get(f"/v1/vector_stores/vs_x{path}")
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, "No vector store found with id 'vs_x'.")


# ------------------------------------------------------------------------------------------------ contents


def test_the_content_of_a_file(store: Store, file: File) -> None:
    store.post("/files", file_id=file.id)
    empty = {"object": "vector_store.file_content.page", "data": [], "has_more": False, "next_page": None}
    assert store.get(f"/files/{file.id}/content").json() == empty
    ingested(StoreFile.objects.get(), "first", "second")
    texts = [{"type": "text", "text": "first"}, {"type": "text", "text": "second"}]
    assert store.get(f"/files/{file.id}/content").json() == {**empty, "data": texts}


@pytest.mark.parametrize("text", ["Again. " * 300, " ".join(f"Sentence {number}." for number in range(300))])
def test_the_content_of_a_file_has_each_part_of_its_text_once(
    store: Store, file: File, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks overlap, pages or not, and a text may repeat itself."""
    monkeypatch.setattr(views, "PASSAGES", 3)
    store.post("/files", file_id=file.id)
    made = list(chunks(text, maximum=100, overlap=50))
    indexed(StoreFile.objects.get(), made)
    assert sum(len(chunk.text) for chunk in made) > 1.5 * len(text)
    seen, query = list[str](), {}
    while query != {"page": None}:
        page = store.get(f"/files/{file.id}/content", **query).json()
        seen += [one["text"] for one in page["data"]]
        query = {"page": page["next_page"]}
    assert " ".join(seen) == text.strip()


def test_a_long_content_has_pages(store: Store, file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "PASSAGES", 2)
    store.post("/files", file_id=file.id)
    ingested(StoreFile.objects.get(), *"abcde")
    seen, query = "", {}
    for _ in range(3):
        page = store.get(f"/files/{file.id}/content", **query).json()
        seen += "".join(one["text"] for one in page["data"])
        assert page["has_more"] == (page["next_page"] is not None)
        query = {"page": page["next_page"]}
    assert (seen, query) == ("abcde", {"page": None})
    for nonsense in ("x", "-1", "1e3", "9" * 10):
        assert error_of(store.get(f"/files/{file.id}/content", page=nonsense)) == (400, "page", "invalid_value")


# ------------------------------------------------------------------------------------------------ batches


def test_a_batch_counts_its_own_files(store: Store, project: Project) -> None:
    files = some_files(project, 4)
    store.post("/files", file_id=files[0])
    body = store.post("/file_batches", file_ids=files[1:]).json()
    assert list(body) == list(VectorStoreFileBatchObject().fields)
    assert body == {
        "id": body["id"],
        "object": "vector_store.file_batch",
        "created_at": body["created_at"],
        "status": "in_progress",
        "vector_store_id": store.id,
        "file_counts": {"in_progress": 3, "completed": 0, "failed": 0, "cancelled": 0, "total": 3},
    }
    assert store.get(f"/file_batches/{body['id']}").json() == body
    listed = store.get(f"/file_batches/{body['id']}/files", order="asc").json()["data"]
    assert [one["id"] for one in listed] == files[1:]
    assert store.get(f"/file_batches/{body['id']}/files", filter="failed").json()["data"] == []


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        ("ccc", "completed"),
        ("cfc", "completed"),
        ("fff", "failed"),
        ("cfi", "in_progress"),
    ],
)
def test_the_state_of_a_batch(store: Store, project: Project, ends: str, status: str) -> None:
    batch = store.post("/file_batches", file_ids=some_files(project, 3)).json()
    for member, end in zip(StoreFile.objects.all(), ends, strict=True):
        if end != "i":
            ingested(member, "words") if end == "c" else failed(member)
    assert store.get(f"/file_batches/{batch['id']}").json()["status"] == status


def test_files_of_a_batch_say_their_own(store: Store, project: Project) -> None:
    first, second = some_files(project, 2)
    files = [{"file_id": first, "attributes": {"n": 1}}, {"file_id": second, "chunking_strategy": STATIC}]
    store.post("/file_batches", files=files, attributes={"n": 5}, chunking_strategy={"type": "auto"})
    one, two = store.get("/files", order="asc").json()["data"]
    assert (one["attributes"], two["attributes"]) == ({"n": 1}, {})
    assert two["chunking_strategy"] == STATIC != one["chunking_strategy"]


def test_what_is_said_beside_ids_is_said_of_all(store: Store, project: Project) -> None:
    store.post("/file_batches", file_ids=some_files(project, 2), attributes={"n": 5}, chunking_strategy=STATIC)
    for one in store.get("/files").json()["data"]:
        assert (one["attributes"], one["chunking_strategy"]) == ({"n": 5}, STATIC)


def test_a_file_that_is_named_twice_is_there_once(store: Store, file: File) -> None:
    batch = store.post("/file_batches", file_ids=[file.id, file.id]).json()
    assert batch["file_counts"]["total"] == 1
    again = store.post("/file_batches", file_ids=[file.id]).json()
    assert again["file_counts"]["total"] == 1
    assert store.get(f"/file_batches/{batch['id']}").json()["file_counts"]["total"] == 0, "it is the newest batch's"
    store.post("/files", file_id=file.id)
    assert store.get(f"/file_batches/{again['id']}").json()["file_counts"]["total"] == 0, "it was named alone"


def test_a_batch_is_given_up(store: Store, project: Project) -> None:
    files = some_files(project, 3)
    batch = store.post("/file_batches", file_ids=files).json()
    ingested(StoreFile.objects.get(file=files[0]), "words")
    StoreFile.objects.filter(file=files[1]).update(lease_owner="worker", lease_epoch=1)
    cancelled = store.post(f"/file_batches/{batch['id']}/cancel").json()
    assert cancelled["status"] == "cancelled"
    assert cancelled["file_counts"] == {"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 2, "total": 3}
    assert store.post(f"/file_batches/{batch['id']}/cancel").json() == cancelled
    assert store.get(f"/files/{files[1]}").json()["status"] == "cancelled"
    assert StoreFile.objects.get(file=files[1]).lease_owner is None
    assert store.post("/files", file_id=files[1]).json()["status"] == "in_progress"


def test_a_batch_that_is_done_is_answered_as_it_is(store: Store, project: Project) -> None:
    batch = store.post("/file_batches", file_ids=some_files(project, 1)).json()
    ingested(StoreFile.objects.get(), "words")
    done = store.get(f"/file_batches/{batch['id']}").json()
    assert store.post(f"/file_batches/{batch['id']}/cancel").json() == done
    assert done["status"] == "completed"


def test_an_unknown_file_leaves_no_batch(store: Store, file: File) -> None:
    answer = store.post("/file_batches", file_ids=[file.id, "file-x"])
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, "No such File object: file-x")
    assert store.counts() == {}


def test_a_batch_of_another_store_is_unknown(api: APIClient, store: Store, file: File) -> None:
    batch = Store(api).post("/file_batches", file_ids=[file.id]).json()["id"]
    for answer in (
        store.get(f"/file_batches/{batch}"),
        store.get(f"/file_batches/{batch}/files"),
        store.post(f"/file_batches/{batch}/cancel"),
    ):
        message = f"No vector store file batch found with id '{batch}'."
        assert (answer.status_code, answer.json()["error"]["message"]) == (404, message)
    assert StoreFile.objects.get().status == "in_progress"


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "file_ids", "missing_required_parameter"),
        ({"file_ids": []}, "file_ids", "array_below_min_length"),
        ({"files": []}, "files", "array_below_min_length"),
        ({"file_ids": ["file-x"] * 2_001}, "file_ids", "array_above_max_length"),
        ({"files": [{"file_id": "file-x"}] * 2_001}, "files", "array_above_max_length"),
        ({"file_ids": ["file-x"], "files": [{"file_id": "file-x"}]}, None, "mutually_exclusive"),
        ({"files": ["file-x"]}, "files[0]", "invalid_type"),
        ({"files": [{}]}, "files[0].file_id", "missing_required_parameter"),
        ({"files": [{"file_id": "file-x", "attributes": {"k": []}}]}, "files[0].attributes.k", "invalid_type"),
        ({"file_ids": None}, "file_ids", "invalid_type"),
    ],
)
def test_refusals_of_batches(store: Store, body: dict[str, Any], param: str | None, code: str) -> None:
    assert error_of(store.post("/file_batches", **body)) == (400, param, code)


def test_who_waits_is_told_when_to_ask_again(store: Store, file: File) -> None:
    batch = f"/file_batches/{store.post('/file_batches', file_ids=[file.id]).json()['id']}"
    put, read = store.post("/files", file_id=file.id), store.get(f"/files/{file.id}")
    again = store.post("/file_batches", file_ids=[file.id])
    for waiting in (put, read, again):
        assert 100 <= int(waiting["openai-poll-after-ms"]) <= 500, "small files are searchable soon"
    for model in (StoreFile, FileBatch):
        model.objects.update(created_at=now() - timedelta(seconds=1))
    for path in (f"/files/{file.id}", f"/file_batches/{again.json()['id']}"):
        assert int(store.get(path)["openai-poll-after-ms"]) == 500, "this one is not"
    ingested(StoreFile.objects.get(), "words")
    for done in (f"/files/{file.id}", f"/file_batches/{again.json()['id']}", batch):
        assert "openai-poll-after-ms" not in store.get(done)
