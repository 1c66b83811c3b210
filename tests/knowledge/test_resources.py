"""What assistants, threads, messages and runs name: files and stores that exist, and stores that are made for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from assistants import services as assistants
from assistants.knowledge.models import StoreFile, VectorStore
from assistants.knowledge.services import files, stores
from assistants.knowledge.services.resources import forget_file
from assistants.models import Assistant
from inference.models import RegisteredModel
from runs.models import Run
from sovereign.accounts import scopes, services
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from tests.knowledge.filled import a_file, some_files
from threads import services as threads
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db

CODE, SEARCH = "code_interpreter", "file_search"
WEEK = {"anchor": "last_active_at", "days": 7}
Post = Callable[..., Any]


@pytest.fixture(autouse=True)
def tiny(db: None) -> RegisteredModel:
    return RegisteredModel.objects.create(name="tiny", created_at=timezone.now())


@pytest.fixture
def post(api: APIClient) -> Post:
    return lambda path, **body: api.post(f"/v1/{path}", body, format="json")


def helper(*file_ids: str, **options: Any) -> dict[str, Any]:
    """Tool resources that ask for a store."""
    return {SEARCH: {"vector_stores": [{"file_ids": list(file_ids), **options}]}}


def naming(*store_ids: str) -> dict[str, Any]:
    return {SEARCH: {"vector_store_ids": list(store_ids)}}


def attached(file_id: str, *tools: str) -> dict[str, Any]:
    return {"file_id": file_id, "tools": [{"type": tool} for tool in tools]}


def store_of(body: dict[str, Any]) -> VectorStore:
    """The one store that an object's resources name."""
    (store_id,) = body["tool_resources"][SEARCH]["vector_store_ids"]
    return VectorStore.objects.get(pk=store_id)


def members_of(store: VectorStore) -> list[str]:
    return list(StoreFile.objects.filter(store=store).order_by("created_at").values_list("file_id", flat=True))


# ------------------------------------------------------------------------------------------------ objects


def test_an_assistants_store_lasts(post: Post, api: APIClient, project: Project) -> None:
    ids = some_files(project, 2)
    chunking = {"type": "static", "static": {"max_chunk_size_tokens": 300, "chunk_overlap_tokens": 50}}
    wanted = helper(*ids, chunking_strategy=chunking, metadata={"made": "here"})
    body = post("assistants", model="tiny", tools=[{"type": SEARCH}], tool_resources=wanted).json()
    store = store_of(body)
    assert (members_of(store), store.expires_after_days, store.metadata) == (ids, None, {"made": "here"})
    member = StoreFile.objects.filter(store=store).first()
    assert member is not None
    assert (member.chunk_tokens, member.overlap_tokens) == (300, 50)
    assert api.get(f"/v1/assistants/{body['id']}").json() == body
    assert post(f"assistants/{body['id']}", tool_resources=naming(store.id)).json() == body
    assert post(f"assistants/{body['id']}", name="x").json()["tool_resources"] == body["tool_resources"]
    changed = post(f"assistants/{body['id']}", tool_resources=helper(ids[0])).json()
    assert store_of(changed) != store
    assert VectorStore.objects.count() == 2


def test_a_threads_store_expires_after_a_week(post: Post, project: Project) -> None:
    file = a_file(project)
    for body in (
        post("threads", tool_resources=helper(file.id)).json(),
        post(f"threads/{threads_id(post)}", tool_resources=helper(file.id)).json(),
    ):
        store = store_of(body)
        assert (members_of(store), store.expires_after_days) == ([file.id], 7)
        assert post(f"threads/{body['id']}", tool_resources=naming(store.id)).json() == body
        assert post(f"threads/{body['id']}", tool_resources=None).json()["tool_resources"] == {}


def test_a_store_is_made_of_nulls_too(post: Post) -> None:
    wanted = {SEARCH: {"vector_stores": [{"file_ids": None, "chunking_strategy": None, "metadata": None}]}}
    for path, body in (("assistants", {"model": "tiny", "tools": [{"type": SEARCH}]}), ("threads", {})):
        assert members_of(store_of(post(path, **body, tool_resources=wanted).json())) == []


def threads_id(post: Post) -> str:
    identifier: str = post("threads").json()["id"]
    return identifier


def test_files_for_the_code_interpreter(post: Post, project: Project) -> None:
    ids = some_files(project, 20)
    resources = {CODE: {"file_ids": ids}}
    tools = [{"type": CODE}]
    assert post("assistants", model="tiny", tools=tools, tool_resources=resources).json()["tool_resources"] == resources
    assert post("threads", tool_resources=resources).json()["tool_resources"] == resources


@pytest.mark.parametrize("whose", ["nobody's", "another tenant's"])
def test_unknown_and_foreign_ids_leave_nothing(
    post: Post, project: Project, charlies_project: Project, charlies_key: str, client_of: Any, whose: str
) -> None:
    known = a_file(project).id
    file, store = "file-x", "vs_x"
    if whose == "another tenant's":
        file = a_file(charlies_project).id
        store = client_of(charlies_key).post("/v1/vector_stores", {}, format="json").json()["id"]
    before = VectorStore.objects.count()
    no_file = {"message": f"No such File object: {file}", "type": "invalid_request_error", "param": "id", "code": None}
    no_store = {
        "message": f"No vector store found with id '{store}'.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    assistant = post("assistants", model="tiny").json()["id"]
    thread = threads_id(post)
    for resources, error in (
        (helper(known, file), no_file),
        ({CODE: {"file_ids": [known, file]}, **helper(known)}, no_file),
        ({**helper(known), CODE: {"file_ids": [file]}}, no_file),
        (naming(store), no_store),
    ):
        for path, body in (
            ("assistants", {"model": "tiny"}),
            (f"assistants/{assistant}", {}),
            ("threads", {}),
            (f"threads/{thread}", {}),
            ("threads/runs", {"assistant_id": assistant, "thread": {"messages": [{"role": "user", "content": "x"}]}}),
        ):
            answer = post(path, **body, tool_resources=resources)
            assert (answer.status_code, answer.json()["error"]) == (404, error), path
    assert (Assistant.objects.count(), Thread.objects.count(), Run.objects.count()) == (1, 1, 0)
    assert VectorStore.objects.count() == before


def test_a_runs_own_resources(post: Post, project: Project) -> None:
    assistant = post("assistants", model="tiny", instructions="x").json()["id"]
    for resources in (helper(a_file(project).id), naming(post("vector_stores").json()["id"])):
        run = post("threads/runs", assistant_id=assistant, thread={}, tool_resources=resources).json()
        assert store_of(run) is not None
        assert Run.objects.get(pk=run["id"]).configuration.data["tool_resources"] == run["tool_resources"]
    made = StoreFile.objects.get().store
    assert made.expires_after_days == 7


# ------------------------------------------------------------------------------------------------ messages


@pytest.fixture
def thread(principal: Principal) -> Thread:
    return threads.create_thread(principal=principal)


def say(post: Post, thread: Thread, *attachments: dict[str, Any]) -> Any:
    return post(f"threads/{thread.id}/messages", role="user", content="Look.", attachments=list(attachments))


def test_attachments_go_to_the_threads_tools(post: Post, project: Project, thread: Thread) -> None:
    first, second, third = some_files(project, 3)
    given = [attached(first, SEARCH), attached(first, CODE), attached(second, CODE, SEARCH), attached(third)]
    answer = say(post, thread, *given)
    assert answer.json()["attachments"] == given
    thread.refresh_from_db()
    store = VectorStore.objects.get()
    assert thread.tool_resources == {CODE: {"file_ids": [first, second]}, **naming(store.id)}
    assert (members_of(store), store.expires_after_days) == ([first, second], 7)
    say(post, thread, attached(third, SEARCH), attached(first, SEARCH, CODE))
    thread.refresh_from_db()
    assert thread.tool_resources == {CODE: {"file_ids": [first, second]}, **naming(store.id)}
    assert members_of(store) == [first, second, third]


def test_every_way_to_say_something_takes_attachments(post: Post, project: Project) -> None:
    assistant = post("assistants", model="tiny").json()["id"]
    ids = some_files(project, 3)
    messages = [{"role": "user", "content": "x", "attachments": [attached(file_id, SEARCH)]} for file_id in ids]
    made = post("threads", messages=messages[:2]).json()
    store = store_of(made)
    assert members_of(store) == ids[:2]
    run = post(f"threads/{made['id']}/runs", assistant_id=assistant, additional_messages=messages[2:])
    assert run.status_code == 200
    assert members_of(store) == ids
    begun = post("threads/runs", assistant_id=assistant, thread={"messages": messages}).json()
    other = Thread.objects.get(pk=begun["thread_id"]).tool_resources[SEARCH]["vector_store_ids"]
    assert members_of(VectorStore.objects.get(pk__in=other)) == ids


def test_attachments_join_the_store_that_a_thread_names(post: Post, project: Project) -> None:
    store = post("vector_stores", name="Ours").json()["id"]
    made = post("threads", tool_resources=naming(store)).json()
    file = a_file(project)
    say(post, Thread.objects.get(pk=made["id"]), attached(file.id, SEARCH))
    assert members_of(VectorStore.objects.get()) == [file.id]


@pytest.mark.parametrize("how", ["deleted", "expired"])
def test_a_store_that_cannot_be_used_is_replaced(post: Post, project: Project, thread: Thread, how: str) -> None:
    first, second = some_files(project, 2)
    say(post, thread, attached(first, SEARCH))
    if how == "deleted":
        VectorStore.objects.all().delete()
    else:
        VectorStore.objects.update(last_active_at=timezone.now() - timedelta(days=8))
    say(post, thread, attached(second, SEARCH))
    thread.refresh_from_db()
    (store_id,) = thread.tool_resources[SEARCH]["vector_store_ids"]
    assert members_of(VectorStore.objects.get(pk=store_id)) == [second]


def test_a_thread_has_at_most_20_files_for_the_code_interpreter(post: Post, project: Project, thread: Thread) -> None:
    ids = some_files(project, 21)
    assert say(post, thread, *(attached(file_id, CODE) for file_id in ids[:20])).status_code == 200
    answer = say(post, thread, attached(ids[20], CODE), attached(ids[20], SEARCH))
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "attachments", "array_above_max_length")
    assert Message.objects.count() == 1
    assert not VectorStore.objects.exists()


def test_an_image_has_to_exist(post: Post, project: Project, charlies_project: Project, thread: Thread) -> None:
    def shown(file_id: str) -> Any:
        part = {"type": "image_file", "image_file": {"file_id": file_id}}
        return post(f"threads/{thread.id}/messages", role="user", content=[part])

    file = a_file(project, "photo.png")
    (part,) = shown(file.id).json()["content"]
    assert part == {"type": "image_file", "image_file": {"file_id": file.id, "detail": "auto"}}
    assert shown(a_file(charlies_project).id).status_code == 404
    assert Message.objects.count() == 1


# ------------------------------------------------------------------------------------------------ rights


def narrow(project: Project, client_of: Any, *missing: str) -> APIClient:
    _, secret = services.create_api_key(
        project=project, name="narrow", scopes=sorted(scopes.DEFAULT_KEY_SCOPES - set(missing))
    )
    client: APIClient = client_of(secret)
    return client


def refused(answer: Any, scope: str) -> None:
    assert answer.status_code == 403, answer.content
    assert scope in answer.json()["error"]["message"]


def test_what_is_named_has_to_be_readable(project: Project, client_of: Any, principal: Principal) -> None:
    store, file = stores.create_store(principal=principal), a_file(project)
    blind = narrow(project, client_of, scopes.STORES_READ)
    refused(blind.post("/v1/threads", {"tool_resources": naming(store.id)}, format="json"), scopes.STORES_READ)
    blind = narrow(project, client_of, scopes.FILES_READ)
    for resources in ({CODE: {"file_ids": [file.id]}}, helper(file.id)):
        refused(blind.post("/v1/threads", {"tool_resources": resources}, format="json"), scopes.FILES_READ)
    message = {"role": "user", "content": "x", "attachments": [attached(file.id, SEARCH)]}
    refused(blind.post("/v1/threads", {"messages": [message]}, format="json"), scopes.FILES_READ)
    assert blind.post("/v1/threads", {"tool_resources": {}}, format="json").status_code == 200


def test_who_may_not_fill_stores_fills_those_of_threads(project: Project, client_of: Any, principal: Principal) -> None:
    """A viewer attaches files to a chat; what others search is none of a viewer's business."""
    client = narrow(project, client_of, scopes.STORES_WRITE)
    shared, file = stores.create_store(principal=principal), a_file(project)
    message = {"role": "user", "content": "x", "attachments": [attached(file.id, SEARCH)]}
    made = client.post("/v1/threads", {"messages": [message]}, format="json").json()
    again = client.post(f"/v1/threads/{made['id']}/messages", message, format="json")
    assert again.status_code == 200
    assert members_of(store_of(made)) == [file.id]
    body = {"messages": [message], "tool_resources": naming(shared.id)}
    refused(client.post("/v1/threads", body, format="json"), scopes.STORES_WRITE)
    body = {"model": "tiny", "tool_resources": helper(file.id)}
    refused(client.post("/v1/assistants", body, format="json"), scopes.STORES_WRITE)
    assert members_of(shared) == []


@pytest.mark.parametrize("how", ["made so", "made so of a thread's"])
def test_a_store_is_not_a_threads_because_it_expires_after_a_week(
    post: Post, project: Project, client_of: Any, principal: Principal, how: str
) -> None:
    """How long it lives tells nothing of what it was made for."""
    if how == "made so":
        shared = stores.create_store(principal=principal, expires_after_days=7)
    else:
        shared = store_of(post("threads", tool_resources=helper()).json())
        assert stores.update_store(principal=principal, store_id=shared.id, name="x").is_for_thread
        stores.update_store(principal=principal, store_id=shared.id, expires_after_days=7)
    message = {"role": "user", "content": "x", "attachments": [attached(a_file(project).id, SEARCH)]}
    body = {"messages": [message], "tool_resources": naming(shared.id)}
    client = narrow(project, client_of, scopes.STORES_WRITE)
    refused(client.post("/v1/threads", body, format="json"), scopes.STORES_WRITE)
    assert members_of(shared) == []


# ------------------------------------------------------------------------------------------------ deletions


@pytest.mark.django_db(transaction=True)
def test_a_deleted_file_leaves_every_list(principal: Principal, project: Project) -> None:
    gone, kept = a_file(project), a_file(project)
    resources = {CODE: {"file_ids": [gone.id, kept.id]}}
    assistant = assistants.create_assistant(
        principal=principal, model="tiny", tools=[{"type": CODE}], tool_resources=resources
    )
    thread = threads.create_thread(principal=principal, tool_resources={**resources, **helper(gone.id, kept.id)})
    files.delete_file(principal=principal, file_id=gone.id)
    assistant.refresh_from_db()
    thread.refresh_from_db()
    assert assistant.tool_resources == {CODE: {"file_ids": [kept.id]}}
    assert thread.tool_resources[CODE] == {"file_ids": [kept.id]}
    assert members_of(VectorStore.objects.get()) == [kept.id]
    with pytest.raises(ApiError, match="No such File object"):
        files.get_file(principal=principal, file_id=gone.id)


@pytest.mark.django_db(transaction=True)
def test_lists_forget_a_file_one_by_one(
    principal: Principal, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project may have very many threads: none of them is locked while others are looked through."""
    file = a_file(project)
    held = {CODE: {"file_ids": [file.id]}}
    made = [threads.create_thread(principal=principal, tool_resources=held) for _ in range(3)]
    save = Thread.save

    def fails_in_the_last(self: Thread, **options: Any) -> None:
        if self.pk == made[-1].pk:
            raise ApiError("Not now.")
        save(self, **options)

    monkeypatch.setattr(Thread, "save", fails_in_the_last)
    with pytest.raises(ApiError, match="Not now"):
        forget_file(Thread.objects.all(), file)
    lists = [Thread.objects.get(pk=thread.pk).tool_resources[CODE]["file_ids"] for thread in made]
    assert lists == [[], [], [file.id]]


def test_who_names_no_file_is_not_written(principal: Principal, project: Project) -> None:
    file, other = a_file(project), a_file(project)
    threads.create_thread(principal=principal, tool_resources={CODE: {"file_ids": [other.id]}})
    with CaptureQueriesContext(connection) as asked:
        forget_file(Thread.objects.all(), file)
    assert len(asked) == 1
    assert "FOR NO KEY UPDATE" not in asked[0]["sql"]
