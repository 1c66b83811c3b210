"""Threads and messages over HTTP: shapes, orders, refusals; and what a model gets to see of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from rest_framework.test import APIClient

from inference import pictures
from sovereign.accounts import credentials
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from tests.knowledge.filled import a_file
from threads import context, services
from threads.api.objects import MessageObject, ThreadObject
from threads.models import Message, Thread
from threads.shapes import ADDRESS_LENGTH, ImageAddress

pytestmark = pytest.mark.django_db


@pytest.fixture
def post(api: APIClient) -> Callable[..., Any]:
    return lambda path, body=None: api.post(f"/v1/threads{path}", body if body is not None else {}, format="json")


@pytest.fixture
def principal(api_key: str) -> Principal:
    return credentials.principal_of_key(api_key)


def text_part(value: str) -> dict[str, Any]:
    return {"type": "text", "text": {"value": value, "annotations": []}}


def test_a_thread_of_nothing(post: Callable[..., Any], api: APIClient) -> None:
    body = post("").json()
    thread = Thread.objects.get()
    assert list(body) == list(ThreadObject().fields)
    assert body == {
        "id": thread.id,
        "object": "thread",
        "created_at": int(thread.created_at.timestamp()),
        "metadata": {},
        "tool_resources": {},
    }
    assert api.get(f"/v1/threads/{thread.id}").json() == body
    assert api.get(f"/v1/threads/{thread.id}/messages").json()["data"] == []
    assert api.get("/v1/threads").status_code == 405  # the contract has no list of threads


def test_a_thread_with_its_first_messages_in_order(post: Callable[..., Any], api: APIClient) -> None:
    said = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    thread = post("", {"messages": said, "metadata": {"k": "v"}}).json()
    assert thread["metadata"] == {"k": "v"}
    listed = api.get(f"/v1/threads/{thread['id']}/messages").json()
    assert [item["content"][0]["text"]["value"] for item in listed["data"]] == ["c", "b", "a"]
    oldest = api.get(f"/v1/threads/{thread['id']}/messages?order=asc&limit=2").json()
    assert ([item["role"] for item in oldest["data"]], oldest["has_more"]) == (["user", "assistant"], True)


def test_a_message_has_every_field_of_the_contract(post: Callable[..., Any], api: APIClient) -> None:
    thread = post("").json()["id"]
    body = post(f"/{thread}/messages", {"role": "user", "content": "Hello", "metadata": {"a": "b"}}).json()
    message = Message.objects.get()
    assert list(body) == list(MessageObject().fields)
    assert body == {
        "id": message.id,
        "object": "thread.message",
        "created_at": int(message.created_at.timestamp()),
        "assistant_id": None,
        "thread_id": thread,
        "run_id": None,
        "status": "completed",
        "incomplete_details": None,
        "completed_at": int(message.created_at.timestamp()),
        "incomplete_at": None,
        "role": "user",
        "content": [text_part("Hello")],
        "attachments": [],
        "metadata": {"a": "b"},
    }
    assert api.get(f"/v1/threads/{thread}/messages/{message.id}").json() == body


def test_parts_keep_their_order_and_get_their_defaults(post: Callable[..., Any]) -> None:
    thread = post("").json()["id"]
    image = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
    parts = [{"type": "text", "text": "Look:"}, image, {"type": "text", "text": ""}]
    body = post(f"/{thread}/messages", {"role": "user", "content": parts}).json()
    assert body["content"] == [
        text_part("Look:"),
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "auto"}},
        text_part(""),
    ]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"content": "x"}, 400, "role"),
        ({"role": "user"}, 400, "content"),
        ({"role": "user", "content": ""}, 400, "content"),
        ({"role": "user", "content": None}, 400, "content"),
        ({"role": "user", "content": 5}, 400, "content"),
        ({"role": "user", "content": ["x"]}, 400, "content[0]"),
        ({"role": "user", "content": [{"type": "audio"}]}, 400, "content[0].type"),
        ({"role": "user", "content": [{"type": ["text"]}]}, 400, "content[0].type"),
        ({"role": "user", "content": [{"type": "text", "text": 5}]}, 400, "content[0].text"),
        ({"role": "user", "content": [{"type": "text", "text": "x", "y": 1}]}, 400, "content[0].y"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, 400, "content[0].image_url.url"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x", "detail": "best"}}]},
            400,
            "content[0].image_url.detail",
        ),
        ({"role": "user", "content": [{"type": "image_file", "image_file": {"file_id": "file-x"}}]}, 404, "id"),
        ({"role": "user", "content": "x", "attachments": [{"file_id": "file-x"}]}, 404, "id"),
        ({"role": "user", "content": "x", "attachments": [{}]}, 400, "attachments[0].file_id"),
        ({"role": "user", "content": "x", "file_ids": []}, 400, "file_ids"),
        ({"role": "user", "content": "x", "metadata": {"a": 1}}, 400, "metadata.a"),
    ],
)
def test_a_message_of_another_shape_is_refused(
    post: Callable[..., Any], body: dict[str, Any], status: int, param: str
) -> None:
    thread = post("").json()["id"]
    for path, sent, prefix in ((f"/{thread}/messages", body, ""), ("", {"messages": [body]}, "messages[0].")):
        answer = post(path, sent)
        expected = param if param == "id" else prefix + param
        assert (answer.status_code, answer.json()["error"]["param"]) == (status, expected)
    assert not Message.objects.exists()
    assert Thread.objects.count() == 1


def test_metadata_is_the_one_thing_of_a_message_to_modify(post: Callable[..., Any]) -> None:
    thread = post("", {"messages": [{"role": "user", "content": "a", "metadata": {"x": "1"}}]}).json()["id"]
    message = Message.objects.get()
    changed = post(f"/{thread}/messages/{message.id}", {"metadata": {"y": "2"}}).json()
    assert (changed["metadata"], changed["content"]) == ({"y": "2"}, [text_part("a")])
    refused = post(f"/{thread}/messages/{message.id}", {"content": "b"})
    assert refused.json()["error"] == {
        "message": "Unknown parameter: 'content'.",
        "type": "invalid_request_error",
        "param": "content",
        "code": "unknown_parameter",
    }


@pytest.mark.django_db(transaction=True)
def test_a_message_is_not_deleted_while_it_is_modified(principal: Principal, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = services.create_thread(principal=principal, messages=[{"role": "user", "content": "x"}])
    names = {"principal": principal, "thread_id": thread.id, "message_id": Message.objects.get().id}

    def delete() -> None:
        monkeypatch.undo()
        try:
            services.delete_message(**names)
        finally:
            connections.close_all()

    deleting = threading.Thread(target=delete)
    find = services.only_row

    def find_and_let_the_other_go_on(rows: Any) -> Any:
        found = find(rows)
        deleting.start()
        deleting.join(0.3)  # it would be done long since, if it did not wait for the modification
        return found

    monkeypatch.setattr(services, "only_row", find_and_let_the_other_go_on)
    assert services.update_message(**names, metadata={"a": "b"}).metadata == {"a": "b"}
    deleting.join(60)
    assert not Message.objects.exists()


def test_a_thread_is_modified_in_part(post: Callable[..., Any]) -> None:
    thread = post("", {"metadata": {"x": "1"}}).json()
    assert post(f"/{thread['id']}").json() == thread
    assert post(f"/{thread['id']}", {"metadata": None}).json()["metadata"] == {}
    assert post(f"/{thread['id']}", {"messages": []}).json()["error"]["param"] == "messages"


def test_deleting(post: Callable[..., Any], api: APIClient) -> None:
    thread = post("", {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}).json()["id"]
    first = Message.objects.get(position=1)
    path = f"/v1/threads/{thread}/messages/{first.id}"
    assert api.delete(path).json() == {"id": first.id, "object": "thread.message.deleted", "deleted": True}
    assert api.get(path).json()["error"]["message"] == f"No message found with id '{first.id}'."
    assert api.delete(path).status_code == 404
    # a position is never used again
    post(f"/{thread}/messages", {"role": "user", "content": "c"})
    assert list(Message.objects.values_list("position", flat=True)) == [2, 3]
    assert api.delete(f"/v1/threads/{thread}").json() == {"id": thread, "object": "thread.deleted", "deleted": True}
    assert (
        api.get(f"/v1/threads/{thread}/messages").json()["error"]["message"] == f"No thread found with id '{thread}'."
    )
    assert not Message.objects.exists()


def test_a_message_belongs_to_its_thread(post: Callable[..., Any], api: APIClient) -> None:
    post("", {"messages": [{"role": "user", "content": "a"}]})
    other = post("").json()["id"]
    message = Message.objects.get()
    for answer in (
        api.get(f"/v1/threads/{other}/messages/{message.id}"),
        post(f"/{other}/messages/{message.id}", {"metadata": {}}),
        api.delete(f"/v1/threads/{other}/messages/{message.id}"),
    ):
        assert answer.status_code == 404
    assert Message.objects.exists()


def test_messages_are_listed_by_run(api: APIClient, principal: Principal) -> None:
    thread = services.create_thread(principal=principal, messages=[{"role": "user", "content": "a"}])
    services.open_message(thread, message_id="msg_x", run_id="run_x", assistant_id="asst_x")
    listed = api.get(f"/v1/threads/{thread.id}/messages?run_id=run_x").json()
    assert [item["id"] for item in listed["data"]] == ["msg_x"]
    assert (listed["data"][0]["status"], listed["data"][0]["content"]) == ("in_progress", [])
    assert api.get(f"/v1/threads/{thread.id}/messages?run_id=run_y").json()["data"] == []


def test_a_thread_is_bounded(post: Callable[..., Any], principal: Principal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MAXIMUM_MESSAGES", 2)
    thread = post("", {"messages": [{"role": "user", "content": "a"}]}).json()["id"]
    assert post(f"/{thread}/messages", {"role": "user", "content": "b"}).status_code == 200
    assert post(f"/{thread}/messages", {"role": "user", "content": "c"}).json()["error"]["code"] == "thread_too_long"


def test_a_chat_thread_is_its_owners(alice: User, bob: User, principal: Principal, api: APIClient) -> None:
    """A key without ``conversations:read`` does not see what people say in the chat."""
    owner = credentials.principal_of_person(bob.pk)
    thread = services.create_thread(principal=owner, messages=[{"role": "user", "content": "private"}])
    assert (thread.owner_id, thread.title) == (bob.pk, "private")
    assert services.get_thread(principal=owner, thread_id=thread.id) == thread
    assert services.get_thread(principal=credentials.principal_of_person(alice.pk), thread_id=thread.id) == thread
    assert api.get(f"/v1/threads/{thread.id}").status_code == 404
    assert api.delete(f"/v1/threads/{thread.id}").status_code == 404


# ------------------------------------------------------------------------------------------------ the window


def window(thread: Thread, **options: Any) -> list[str]:
    given = {"before_run": "run_x", "truncation": {"type": "auto"}, "context_length": None, **options}
    return [str(message["content"]) for message in context.window(thread_id=thread.id, **given).messages]


@pytest.fixture
def talk(principal: Principal) -> Callable[..., Thread]:
    def make(*texts: str) -> Thread:
        said = [{"role": ("user", "assistant")[index % 2], "content": value} for index, value in enumerate(texts)]
        return services.create_thread(principal=principal, messages=said)

    return make


def test_the_window_is_the_newest_that_fit_oldest_first(talk: Callable[..., Thread]) -> None:
    thread = talk("aaaa", "bbbb", "cccc")
    assert window(thread) == ["aaaa", "bbbb", "cccc"]
    assert window(thread, truncation={"type": "last_messages", "last_messages": 2}) == ["bbbb", "cccc"]
    four_tokens = 4  # of which three quarters are the prompt's: nine characters
    assert window(thread, context_length=four_tokens) == ["bbbb", "cccc"]
    assert window(thread, context_length=four_tokens, reserved=5) == ["cccc"]
    assert window(thread, prompt_budget=2) == ["cccc"]
    assert window(thread, context_length=1) == ["cccc"]  # the newest always: the engine decides in the end


def test_the_window_reads_long_threads_in_pieces(talk: Callable[..., Thread], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "FIRST_CHUNK", 2)
    monkeypatch.setattr(context, "CHUNK", 3)
    texts = [str(number) for number in range(10)]
    assert window(talk(*texts)) == texts


def test_the_window_does_not_read_a_hundred_large_messages_to_show_one(
    talk: Callable[..., Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    thread, loaded = talk(*["x" * 100] * 50), []
    from_db = Message.from_db

    def load(*row: Any) -> Message:
        loaded.append(row)
        return from_db(*row)

    monkeypatch.setattr(Message, "from_db", load)
    assert len(window(thread, prompt_budget=40)) == 1
    assert len(loaded) <= 6  # five, and the opening


def test_the_window_leaves_out_the_runs_own_and_unfinished_messages(talk: Callable[..., Thread]) -> None:
    thread = talk("a")
    services.open_message(thread, message_id="msg_1", run_id="run_x", assistant_id="asst_x")
    services.close_message("msg_1", content=[text_part("own")])
    services.open_message(thread, message_id="msg_2", run_id="run_y", assistant_id="asst_x")
    assert window(thread) == ["a"]
    assert window(thread, before_run="run_z") == ["a", "own"]


@pytest.mark.parametrize(
    ("url", "is_shown"),
    [
        ("data:image/png;base64,iVBORw0KGgo=", True),
        ("https://x.example/a.png", False),
        ("http://169.254.169.254/latest/", False),
        ("file:///etc/passwd", False),
    ],
)
def test_images_go_to_the_model_as_data_only(principal: Principal, url: str, is_shown: bool) -> None:
    image = {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    content = [{"type": "text", "text": "Look"}, image]
    thread = services.create_thread(principal=principal, messages=[{"role": "user", "content": content}])
    (message,) = context.window(
        thread_id=thread.id, before_run="run_x", truncation={"type": "auto"}, context_length=None
    ).messages
    shown = image if is_shown else {"type": "text", "text": pictures.UNSEEN}
    assert message == {"role": "user", "content": [{"type": "text", "text": "Look"}, shown]}


def test_images_that_are_files_are_named(principal: Principal, project: Project) -> None:
    """Whether a model sees them is known when an engine is chosen."""
    image = {"type": "image_file", "image_file": {"file_id": a_file(project, "a.png").id, "detail": "high"}}
    thread = services.create_thread(principal=principal, messages=[{"role": "user", "content": [image]}])
    (message,) = context.window(
        thread_id=thread.id, before_run="run_x", truncation={"type": "auto"}, context_length=None
    ).messages
    assert message == {"role": "user", "content": [image]}


def test_a_message_that_is_gone_closes_as_nothing(principal: Principal) -> None:
    assert services.close_message("msg_gone", content=[]) is None


def test_an_image_in_an_address_fits_into_a_body(settings: Any) -> None:
    assert ADDRESS_LENGTH < settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    for length, is_taken in ((ADDRESS_LENGTH, True), (ADDRESS_LENGTH + 1, False)):
        assert ImageAddress(data={"url": "x" * length}).is_valid() is is_taken
