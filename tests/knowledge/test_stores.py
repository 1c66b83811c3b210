"""Vector stores over HTTP: shapes, defaults, partial updates, lists, expiry, refusals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from assistants.knowledge.api.store_objects import VectorStoreObject
from assistants.knowledge.models import Chunk, File, StoreFile, StoreStatistics, VectorStore
from assistants.knowledge.retrieval import indexing
from assistants.knowledge.services import filling, members, stores
from sovereign.accounts.models import AuditEvent, Project
from sovereign.accounts.principals import Principal
from sovereign.core.database import now
from tests.knowledge.filled import a_file, a_store, failed, some_files

pytestmark = pytest.mark.django_db

STORES = "/v1/vector_stores"
DAY = 86_400


def post(client: APIClient, path: str = "", **body: Any) -> Any:
    return client.post(f"{STORES}{path}", body, format="json")


def error_of(answer: Any) -> tuple[int, str | None, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["param"], error["code"]


def aged(store: VectorStore, days: float) -> None:
    """As if the store had been used for the last time so many days ago."""
    store.refresh_from_db()
    store.last_active_at -= timedelta(days=days)
    store.save()


def test_nothing_is_required(api: APIClient) -> None:
    body = post(api).json()
    store = VectorStore.objects.get()
    assert list(body) == list(VectorStoreObject().fields)
    assert body == {
        "id": store.id,
        "object": "vector_store",
        "created_at": int(store.created_at.timestamp()),
        "name": None,
        "description": None,
        "usage_bytes": 0,
        "file_counts": {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0},
        "status": "completed",
        "expires_after": None,
        "expires_at": None,
        "last_active_at": int(store.last_active_at.timestamp()),
        "metadata": {},
    }
    assert api.get(f"{STORES}/{store.id}").json() == body
    assert api.get(STORES).json() == {
        "object": "list",
        "data": [body],
        "first_id": store.id,
        "last_id": store.id,
        "has_more": False,
    }
    nothing = dict.fromkeys(("name", "description", "file_ids", "chunking_strategy", "expires_after", "metadata"), None)
    assert post(api, **nothing).status_code == 200


def test_everything_is_shown_as_it_was_given(api: APIClient, project: Project) -> None:
    files = some_files(project, 3)
    given = {
        "name": "Handbooks",
        "description": "What everybody has to know",
        "expires_after": {"anchor": "last_active_at", "days": 3},
        "metadata": {"zoo": "1", "ant": "2"},
    }
    body = post(api, **given, file_ids=files, chunking_strategy={"type": "auto"}).json()
    assert {name: body[name] for name in given} == given
    assert body["expires_at"] == body["last_active_at"] + 3 * DAY
    assert body["status"] == "in_progress"
    assert body["file_counts"] == {"in_progress": 3, "completed": 0, "failed": 0, "cancelled": 0, "total": 3}
    listed = api.get(f"{STORES}/{body['id']}/files?order=asc").json()["data"]
    assert [file["id"] for file in listed] == files


def test_counts_and_sizes_are_those_of_the_files(api: APIClient, principal: Principal, project: Project) -> None:
    store = a_store(principal, project, ["one", "two"])
    (third,) = members.attach_files(principal=principal, store_id=store.id, files=[filling.NewFile(a_file(project).id)])
    other = a_store(principal, project, ["elsewhere"])
    body = api.get(f"{STORES}/{store.id}").json()
    sizes = [member.usage_bytes for member in StoreFile.objects.filter(store=store)]
    assert body["usage_bytes"] == sum(sizes) > 0
    assert body["file_counts"] == {"in_progress": 1, "completed": 2, "failed": 0, "cancelled": 0, "total": 3}
    assert body["status"] == "in_progress"
    failed(third)
    body = api.get(f"{STORES}/{store.id}").json()
    assert body["file_counts"] == {"in_progress": 0, "completed": 2, "failed": 1, "cancelled": 0, "total": 3}
    assert body["status"] == "completed"
    listed = {one["id"]: one["file_counts"]["total"] for one in api.get(STORES).json()["data"]}
    assert listed == {store.id: 3, other.id: 1}


def test_a_page_of_stores_is_counted_by_one_query(
    api: APIClient, principal: Principal, project: Project, django_assert_max_num_queries: Any
) -> None:
    api.get(STORES)
    for _ in range(3):
        a_store(principal, project, ["text"])
    with django_assert_max_num_queries(5):
        assert len(api.get(STORES).json()["data"]) == 3


def test_the_list_is_paged(api: APIClient) -> None:
    ids = [post(api, name=str(number)).json()["id"] for number in range(5)]
    page = api.get(f"{STORES}?limit=2").json()
    assert ([one["id"] for one in page["data"]], page["has_more"]) == ([ids[4], ids[3]], True)
    page = api.get(f"{STORES}?limit=2&after={ids[3]}").json()
    assert [one["id"] for one in page["data"]] == [ids[2], ids[1]]
    page = api.get(f"{STORES}?order=asc&before={ids[2]}").json()
    assert ([one["id"] for one in page["data"]], page["has_more"]) == (ids[:2], False)
    assert error_of(api.get(f"{STORES}?limit=101")) == (400, "limit", "integer_above_max_value")


def test_a_modification_changes_what_it_names(api: APIClient) -> None:
    made = post(api, name="a", metadata={"k": "v"}, expires_after={"anchor": "last_active_at", "days": 1}).json()
    path = f"/{made['id']}"
    assert post(api, path, name="b").json() == {**made, "name": "b"}
    assert post(api, path, metadata={}).json()["metadata"] == {}
    assert post(api, path, expires_after={"anchor": "last_active_at", "days": 2}).json()["expires_at"] == (
        made["last_active_at"] + 2 * DAY
    )
    cleared = post(api, path, name=None, expires_after=None, metadata=None).json()
    assert cleared == {**made, "name": None, "expires_after": None, "expires_at": None, "metadata": {}}
    assert post(api, path).json() == cleared
    assert error_of(post(api, path, file_ids=[])) == (400, "file_ids", "unknown_parameter")


def test_a_deleted_store_takes_all_but_the_files(api: APIClient, principal: Principal, project: Project) -> None:
    store = a_store(principal, project, ["some words"])
    assert Chunk.objects.exists()
    answer = api.delete(f"{STORES}/{store.id}")
    assert answer.json() == {"id": store.id, "object": "vector_store.deleted", "deleted": True}
    for model in (VectorStore, StoreFile, Chunk):
        assert not model.objects.exists()
    assert File.objects.count() == 1
    gone = api.get(f"{STORES}/{store.id}")
    assert (gone.status_code, gone.json()["error"]["message"]) == (404, f"No vector store found with id '{store.id}'.")
    assert api.delete(f"{STORES}/{store.id}").status_code == 404


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"name": 5}, "name", "invalid_type"),
        ({"name": "x" * 257}, "name", "string_above_max_length"),
        ({"description": "x" * 513}, "description", "string_above_max_length"),
        ({"file_ids": "file-x"}, "file_ids", "invalid_type"),
        ({"file_ids": ["file-x"] * 501}, "file_ids", "array_above_max_length"),
        ({"file_ids": [5]}, "file_ids[0]", "invalid_type"),
        ({"expires_after": {}}, "expires_after.anchor", "missing_required_parameter"),
        ({"expires_after": {"anchor": "created_at", "days": 1}}, "expires_after.anchor", "invalid_value"),
        ({"expires_after": {"anchor": "last_active_at"}}, "expires_after.days", "missing_required_parameter"),
        ({"expires_after": {"anchor": "last_active_at", "days": 0}}, "expires_after.days", "integer_below_min_value"),
        ({"expires_after": {"anchor": "last_active_at", "days": 366}}, "expires_after.days", "integer_above_max_value"),
        ({"expires_after": {"anchor": "last_active_at", "days": 1.5}}, "expires_after.days", "invalid_type"),
        ({"chunking_strategy": {}}, "chunking_strategy.type", "missing_required_parameter"),
        ({"chunking_strategy": {"type": "fixed"}}, "chunking_strategy.type", "invalid_value"),
        ({"metadata": {str(number): "x" for number in range(17)}}, "metadata", "object_above_max_properties"),
        ({"metadata": {"k": 5}}, "metadata.k", "invalid_type"),
        ({"model": "x"}, "model", "unknown_parameter"),
    ],
)
def test_refusals(api: APIClient, body: dict[str, Any], param: str, code: str) -> None:
    assert error_of(post(api, **body)) == (400, param, code)
    assert not VectorStore.objects.exists()


def test_an_unknown_file_leaves_no_store(api: APIClient, project: Project, charlies_project: Project) -> None:
    known, foreign = a_file(project).id, a_file(charlies_project).id
    for unknown in (foreign, "file-x", "\u2020" * 64):
        answer = post(api, file_ids=[known, unknown])
        assert answer.status_code == 404
        assert answer.json()["error"] == {
            "message": f"No such File object: {unknown}",
            "type": "invalid_request_error",
            "param": "id",
            "code": None,
        }
    assert not VectorStore.objects.exists()


def test_an_expired_store_is_shown_and_may_live_on(api: APIClient, principal: Principal, project: Project) -> None:
    path = f"/{post(api, expires_after={'anchor': 'last_active_at', 'days': 2}).json()['id']}"
    store, file = VectorStore.objects.get(), a_file(project)
    aged(store, 1.9)
    assert api.get(STORES + path).json()["status"] == "completed"
    aged(store, 0.2)
    assert api.get(STORES + path).json()["status"] == "expired"
    expired = (400, None, "vector_store_expired")
    for asked in (
        post(api, f"{path}/files", file_id=file.id),
        post(api, f"{path}/file_batches", file_ids=[file.id]),
        post(api, f"{path}/search", query="x"),
    ):
        assert error_of(asked) == expired
        assert asked.json()["error"]["message"] == f"Vector store '{store.id}' has expired."
    assert post(api, path, expires_after={"anchor": "last_active_at", "days": 3}).json()["status"] == "completed"
    assert post(api, f"{path}/files", file_id=file.id).status_code == 200
    store.refresh_from_db()
    assert api.get(STORES + path).json()["expires_at"] > store.created_at.timestamp() + 2.9 * DAY


def test_a_use_moves_the_expiry(principal: Principal, project: Project) -> None:
    store = stores.create_store(principal=principal, expires_after_days=1)
    other = stores.create_store(principal=principal, expires_after_days=1)
    begun = store.last_active_at
    for row in (store, other):
        aged(row, 2 / DAY)
    stores.touch([store.id, "vs_x"])
    store.refresh_from_db()
    other.refresh_from_db()
    assert store.last_active_at >= begun > other.last_active_at


def test_uses_within_a_second_are_one(principal: Principal) -> None:
    """The second opens no transaction: on SQLite it would wait for all who write."""
    store = stores.create_store(principal=principal, expires_after_days=1)
    begun = now() + timedelta(seconds=60)  # no use is older than this one, however slow the machine is
    VectorStore.objects.update(last_active_at=begun)
    with CaptureQueriesContext(connection) as asked:
        stores.touch([store.id])
    store.refresh_from_db()
    assert store.last_active_at == begun
    assert not [query for query in asked if "UPDATE" in query["sql"] or "SAVEPOINT" in query["sql"]]


def test_stores_of_threads_go_when_nobody_uses_them(principal: Principal, project: Project) -> None:
    """Of the two that nobody has used for so long, one was made to stay."""
    unused, lasting, used = (a_store(principal, project, ["some words"] * 3) for _ in range(3))
    VectorStore.objects.update(expires_after_days=7)
    VectorStore.objects.exclude(pk=lasting.pk).update(is_for_thread=True)
    for store, days in ((unused, 14.1), (lasting, 14.1), (used, 13.9)):
        aged(store, days)
    assert (stores.remove_unused(), stores.remove_unused()) == (1, 0)
    assert set(VectorStore.objects.all()) == {lasting, used}
    assert (Chunk.objects.count(), File.objects.count()) == (6, 9)
    actions = AuditEvent.objects.filter(object_id=unused.id).order_by("pk").values_list("action", flat=True)
    assert list(actions)[-1] == "vector_store.expired"


def test_a_store_that_cannot_be_removed_does_not_keep_the_others(
    principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = stores.create_store(principal=principal), stores.create_store(principal=principal)
    VectorStore.objects.update(is_for_thread=True)
    for store, days in ((bad, 30), (good, 20)):
        aged(store, days)
    delete = VectorStore.delete

    def refuse(self: VectorStore) -> None:
        if self.pk == bad.pk:
            raise ValueError
        delete(self)

    monkeypatch.setattr(VectorStore, "delete", refuse)
    assert stores.remove_unused() == 1
    assert VectorStore.objects.get() == bad


@pytest.mark.django_db(transaction=True)
def test_a_large_store_is_deleted_piece_by_piece(
    principal: Principal, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for the end of all of it; who asks again after a crash ends it."""
    store = a_store(principal, project, ["some words"] * 5)
    monkeypatch.setattr(stores, "FILES_AT_ONCE", 2)
    forget, calls = indexing.forget, []

    def crash_at_the_third(rows: Any) -> None:
        calls.append(rows)
        if len(calls) == 3:
            raise KeyboardInterrupt
        forget(rows)

    monkeypatch.setattr(indexing, "forget", crash_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        stores.delete_store(principal=principal, store_id=store.id)
    assert (StoreFile.objects.count(), Chunk.objects.count()) == (1, 1)
    assert StoreStatistics.objects.get().chunks == 1
    stores.delete_store(principal=principal, store_id=store.id)
    assert not VectorStore.objects.exists()
    assert not StoreFile.objects.exists()
    assert File.objects.count() == 5


def test_what_is_done_is_recorded(api: APIClient, project: Project) -> None:
    file = a_file(project)
    path = f"/{post(api, file_ids=[file.id]).json()['id']}"
    post(api, path, name="x")
    post(api, f"{path}/files/{file.id}", attributes={})
    post(api, f"{path}/file_batches", file_ids=[file.id])
    batch = StoreFile.objects.get().batch_id
    post(api, f"{path}/file_batches/{batch}/cancel")
    api.delete(f"{STORES}{path}/files/{file.id}")
    api.delete(STORES + path)
    actions = list(AuditEvent.objects.filter(object_type="vectorstore").order_by("pk").values_list("action", flat=True))
    assert actions == [
        "vector_store.created",
        "vector_store.updated",
        "vector_store.file_updated",
        "vector_store.files_added",
        "vector_store.batch_cancelled",
        "vector_store.file_removed",
        "vector_store.deleted",
    ]


def test_stores_need_no_beta_header(api_key: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {api_key}")
    assert client.get(STORES).status_code == 200
