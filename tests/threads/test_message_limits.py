"""Threads and messages at and beyond their limits, in the recorded order, page by page, and from many hands at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction
from rest_framework.test import APIClient

from runs.models import Run
from sovereign.accounts import credentials
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from threads import services
from threads.api.serializers import MAXIMUM_MESSAGES_AT_ONCE, MessageRequest
from threads.models import Message, Thread
from threads.shapes import MAXIMUM_PARTS, TEXT_LENGTH

pytestmark = pytest.mark.django_db

# the orders in which the original service wrote them; what only its streams had stands where they had it
THREAD_KEYS = ["id", "object", "created_at", "metadata", "tool_resources"]
MESSAGE_KEYS = [
    "id",
    "object",
    "created_at",
    "assistant_id",
    "thread_id",
    "run_id",
    "status",
    "incomplete_details",
    "completed_at",
    "incomplete_at",
    "role",
    "content",
    "attachments",
    "metadata",
]
UNKNOWN_FILE = {"message": "No such File object: file-x", "type": "invalid_request_error", "param": "id", "code": None}

Send = Callable[..., Any]


@pytest.fixture
def principal(api_key: str) -> Principal:
    return credentials.principal_of_key(api_key)


@pytest.fixture
def thread(principal: Principal) -> Thread:
    return services.create_thread(principal=principal)


@pytest.fixture
def post(api: APIClient) -> Send:
    return lambda path, **body: api.post(f"/v1/threads{path}", body, format="json")


@pytest.fixture
def say(post: Send, thread: Thread) -> Send:
    """``say(content, **fields)``: the answer to a message of the user."""
    return lambda content, **fields: post(f"/{thread.id}/messages", **{"role": "user", "content": content, **fields})


def test_keys_stand_in_the_recorded_order(post: Send, say: Send, api: APIClient, thread: Thread) -> None:
    message = say("x").json()
    assert list(message) == MESSAGE_KEYS
    assert list(api.get(f"/v1/threads/{thread.id}/messages/{message['id']}").json()) == MESSAGE_KEYS
    assert list(api.get(f"/v1/threads/{thread.id}/messages").json()) == [
        "object",
        "data",
        "first_id",
        "last_id",
        "has_more",
    ]
    assert list(post("").json()) == list(api.get(f"/v1/threads/{thread.id}").json()) == THREAD_KEYS


def test_what_is_inside_keeps_its_order_too(say: Send, post: Send, api: APIClient, thread: Thread) -> None:
    """Postgres would sort the names of ``jsonb``; what is read is what was answered, byte for byte."""
    named = {"zebra": "1", "a": "2", "lynx": "3", "b": "4"}
    image = {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}}
    said = say([{"type": "text", "text": "x"}, image], metadata=named)
    assert list(said.json()["content"][0]) == ["type", "text"]
    assert list(said.json()["metadata"]) == list(named)
    assert api.get(f"/v1/threads/{thread.id}/messages/{said.json()['id']}").content == said.content
    changed = post(f"/{thread.id}", metadata=named)
    assert api.get(f"/v1/threads/{thread.id}").content == changed.content


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"", ""),
        (b"", "application/json"),
        (b"{}", "application/json"),
        (b'{"messages":null,"metadata":null,"tool_resources":null}', "application/json"),
        (b'{"messages":[],"metadata":{},"tool_resources":{}}', "application/json"),
    ],
)
def test_a_thread_of_nothing_needs_no_body(api: APIClient, data: Any, content_type: str) -> None:
    body = api.generic("POST", "/v1/threads", data, content_type).json()
    assert {name: body[name] for name in ("object", "metadata", "tool_resources")} == {
        "object": "thread",
        "metadata": {},
        "tool_resources": {},
    }


def test_a_modification_of_nothing_changes_nothing(post: Send, say: Send, thread: Thread) -> None:
    message = say("x", metadata={"k": "v"}).json()
    path = f"/{thread.id}/messages/{message['id']}"
    unchanged = post(path).json()
    assert {name: unchanged[name] for name in MESSAGE_KEYS} == message
    assert post(path, metadata={"other": "x"}).json()["metadata"] == {"other": "x"}
    assert post(path, metadata=None).json()["metadata"] == {}
    assert post(f"/{thread.id}", metadata={"k": "v"}, tool_resources={"file_search": {"vector_store_ids": []}})
    changed = post(f"/{thread.id}", tool_resources=None).json()
    assert (changed["metadata"], changed["tool_resources"]) == ({"k": "v"}, {})


@pytest.mark.parametrize("field", ["content", "role", "attachments", "status", "id", "file_ids"])
def test_nothing_but_metadata_of_a_message_can_be_modified(post: Send, say: Send, thread: Thread, field: str) -> None:
    refused = post(f"/{thread.id}/messages/{say('x').json()['id']}", **{field: "x"})
    error = refused.json()["error"]
    assert (refused.status_code, error["param"], error["code"]) == (400, field, "unknown_parameter")


def test_a_text_has_its_length_in_characters_and_per_part(say: Send, post: Send) -> None:
    """Of the contract's 256,001st character."""
    longest = "\N{PILE OF POO}" * TEXT_LENGTH
    assert say(longest).json()["content"][0]["text"]["value"] == longest
    assert len(say([{"type": "text", "text": longest}, {"type": "text", "text": "x"}]).json()["content"]) == 2
    one_more = longest + "x"
    for content, param in ((one_more, "content"), ([{"type": "text", "text": one_more}], "content[0].text")):
        message = {"role": "user", "content": content}
        for answer, path in ((say(content), param), (post("", messages=[message]), f"messages[0].{param}")):
            assert answer.status_code == 400
            assert answer.json()["error"] == {
                "message": f"Invalid '{path}': string too long. Expected a string with maximum length 256000, but got "
                "a string with length 256001 instead.",
                "type": "invalid_request_error",
                "param": path,
                "code": "string_above_max_length",
            }
    assert Message.objects.count() == 2


def test_parts_and_initial_messages_are_bounded(say: Send, post: Send) -> None:
    part = {"type": "text", "text": ""}
    assert say([part] * MAXIMUM_PARTS).status_code == 200
    refused = say([part] * (MAXIMUM_PARTS + 1)).json()["error"]
    assert (refused["param"], refused["code"]) == ("content", "array_above_max_length")
    refused = post("", messages=[{}] * (MAXIMUM_MESSAGES_AT_ONCE + 1)).json()["error"]
    assert (refused["param"], refused["code"]) == ("messages", "array_above_max_length")


def test_the_first_wrong_item_of_many_ends_the_look(post: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    looked = MessageRequest.to_internal_value

    def look(self: MessageRequest, data: Any) -> Any:
        looks.append(data)
        return looked(self, data)

    monkeypatch.setattr(MessageRequest, "to_internal_value", look)
    fine = {"role": "user", "content": "x"}
    error = post("", messages=[fine, {}, *[fine] * 900]).json()["error"]
    assert error["param"] == "messages[1].role"
    assert len(looks) == 2


def test_images(say: Send) -> None:
    addresses = [
        {"url": "https://x.example/a.png"},
        {"url": "https://x.example/a.png", "detail": "low"},
        {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "high"},
    ]
    body = say([{"type": "image_url", "image_url": address} for address in addresses]).json()
    assert body["content"] == [
        {"type": "image_url", "image_url": {"detail": "auto", **address}} for address in addresses
    ]
    for file in ({"file_id": "file-x"}, {"file_id": "file-x", "detail": "low"}):
        refused = say([{"type": "image_file", "image_file": file}])
        assert (refused.status_code, refused.json()["error"]) == (404, UNKNOWN_FILE)


@pytest.mark.parametrize("tools", [None, [], [{"type": "code_interpreter"}, {"type": "file_search"}]])
def test_an_attachment_of_an_unknown_file_is_refused(say: Send, post: Send, tools: Any) -> None:
    attachment = {"file_id": "file-x", **({} if tools is None else {"tools": tools})}
    message = {"role": "user", "content": "x", "attachments": [attachment]}
    for answer in (say("x", attachments=[attachment]), post("", messages=[message])):
        assert (answer.status_code, answer.json()["error"]) == (404, UNKNOWN_FILE)
    assert not Message.objects.exists()


@pytest.mark.parametrize("attachments", [[], None])
def test_no_attachments_are_an_empty_list(say: Send, attachments: Any) -> None:
    assert say("x", attachments=attachments).json()["attachments"] == []


@pytest.mark.parametrize(
    ("attachments", "param"),
    [
        ([{"file_id": "file-x", "tools": [{"type": "function"}]}], "attachments[0].tools[0].type"),
        ([{"file_id": "file-x", "tools": [{}]}], "attachments[0].tools[0].type"),
        ([{"file_id": "file-x", "tools": {}}], "attachments[0].tools"),
        ([{"file_id": "file-x", "add_to": []}], "attachments[0].add_to"),
        ([{"file_id": 5}], "attachments[0].file_id"),
        (["file-x"], "attachments[0]"),
        ({}, "attachments"),
    ],
)
def test_an_attachment_of_another_shape_is_refused(say: Send, attachments: Any, param: str) -> None:
    refused = say("x", attachments=attachments)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("role", ["system", "developer", "tool", "User", ""])
def test_only_users_and_assistants_speak(say: Send, role: str) -> None:
    refused = say("x", role=role)
    assert refused.status_code == 400
    assert refused.json()["error"] == {
        "message": f"Invalid value: '{role}'. Supported values are: 'user' and 'assistant'.",
        "type": "invalid_request_error",
        "param": "role",
        "code": "invalid_value",
    }


def test_annotations_and_refusals_are_shown_as_they_were_written(
    api: APIClient, thread: Thread, principal: Principal
) -> None:
    mark = "【4:0†favorite_foods.txt】"
    content: list[dict[str, Any]] = [
        {"type": "image_file", "image_file": {"file_id": "file-plot"}},
        {
            "type": "text",
            "text": {
                "value": f"Pears {mark}",
                "annotations": [
                    {
                        "type": "file_citation",
                        "text": mark,
                        "start_index": 6,
                        "end_index": 6 + len(mark),
                        "file_citation": {"file_id": "file-x"},
                    }
                ],
            },
        },
        {"type": "refusal", "refusal": "No."},
    ]
    services.open_message(thread, message_id="msg_x", run_id="run_x", assistant_id="asst_x")
    services.close_message("msg_x", content=content, incomplete_reason="max_tokens")
    shown = api.get(f"/v1/threads/{thread.id}/messages/msg_x").json()
    assert (shown["content"], shown["status"], shown["incomplete_details"]) == (
        content,
        "incomplete",
        {"reason": "max_tokens"},
    )
    assert (shown["completed_at"], shown["run_id"], shown["assistant_id"]) == (None, "run_x", "asst_x")
    assert shown["incomplete_at"] >= shown["created_at"]


# ------------------------------------------------------------------------------------------------ lists


@pytest.fixture
def five(principal: Principal, thread: Thread) -> list[str]:
    """The ids of five messages, all of one second or two."""
    said = services.add_messages(thread, [{"role": "user", "content": str(n)} for n in range(5)])
    return [message.id for message in said]


@pytest.fixture
def listed(api: APIClient, thread: Thread) -> Callable[[str], tuple[list[str], bool]]:
    def ask(query: str) -> tuple[list[str], bool]:
        answer = api.get(f"/v1/threads/{thread.id}/messages?{query}")
        assert answer.status_code == 200, answer.content
        page = answer.json()
        ids = [message["id"] for message in page["data"]]
        assert (page["object"], page["first_id"], page["last_id"]) == (
            "list",
            ids[0] if ids else None,
            ids[-1] if ids else None,
        )
        return ids, page["has_more"]

    return ask


def test_pages_of_messages(five: list[str], listed: Callable[[str], Any]) -> None:
    a, b, c, d, e = five
    assert listed("") == ([e, d, c, b, a], False)
    assert listed("order=desc&limit=2") == ([e, d], True)
    assert listed(f"limit=2&after={d}") == ([c, b], True)
    assert listed(f"limit=2&after={b}") == ([a], False)
    assert listed(f"limit=1&after={b}") == ([a], False)
    assert listed(f"after={a}") == ([], False)
    assert listed("order=asc&limit=5") == (five, False)
    assert listed("order=asc&limit=4") == ([a, b, c, d], True)
    assert listed(f"order=asc&before={c}") == ([a, b], False), "as it was recorded"
    assert listed(f"before={c}") == ([e, d], False)
    assert listed(f"order=asc&after={a}&before={e}") == ([b, c, d], False)
    assert listed(f"order=asc&after={a}&before={e}&limit=2") == ([b, c], True)
    assert listed(f"after={e}&before={a}") == ([d, c, b], False)
    assert listed("after=&before=&order=asc&limit=1") == ([a], True)


def test_messages_of_one_run_page_by_page(five: list[str], thread: Thread, listed: Callable[[str], Any]) -> None:
    thread.refresh_from_db()
    for number in range(3):
        services.open_message(thread, message_id=f"msg_{number}", run_id="run_x", assistant_id="asst_x")
    assert listed("run_id=run_x") == (["msg_2", "msg_1", "msg_0"], False)
    assert listed("run_id=run_x&limit=2") == (["msg_2", "msg_1"], True)
    assert listed("run_id=run_x&limit=2&after=msg_1") == (["msg_0"], False)
    assert listed("run_id=run_y") == ([], False)
    assert len(listed("run_id=")[0]) == 8


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=-1", "Invalid 'limit': integer below minimum value. Expected a value >= 0, but got -1 instead."),
        ("limit=101", "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead."),
        ("limit=x", "Invalid type for 'limit': expected an integer, but got a string instead."),
        ("limit=%201", "Invalid type for 'limit': expected an integer, but got a string instead."),
        ("limit=1_0", "Invalid type for 'limit': expected an integer, but got a string instead."),
        ("limit=%D9%A3", "Invalid type for 'limit': expected an integer, but got a string instead."),
        ("order=up", "Invalid value: 'up'. Supported values are: 'asc' and 'desc'."),
        ("after=msg_nothing", "No object found with id 'msg_nothing'."),
        ("before=x", "No object found with id 'x'."),
    ],
)
def test_a_list_is_asked_for_in_the_contracts_words(api: APIClient, thread: Thread, query: str, message: str) -> None:
    for path in ("/v1/assistants", f"/v1/threads/{thread.id}/messages", f"/v1/threads/{thread.id}/runs"):
        answer = api.get(f"{path}?{query}")
        error = answer.json()["error"]
        assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
        assert (error["message"], error["param"]) == (message, query.partition("=")[0])


def test_another_threads_message_is_no_cursor_here(
    five: list[str], principal: Principal, listed: Callable[[str], Any]
) -> None:
    """One of our own ids is placed by the instant in it, whether or not such a row is to be seen here."""
    other = services.create_thread(principal=principal, messages=[{"role": "user", "content": "x"}])
    foreign = other.messages.get().id
    assert listed(f"after={foreign}") == (five[::-1], False)
    assert listed(f"order=asc&after={foreign}") == ([], False)


# ------------------------------------------------------------------------------------------------ many, and gone


def test_what_is_gone_is_told_by_its_kind_and_id(api: APIClient, thread: Thread) -> None:
    for path, kind, identifier in (
        ("/v1/threads/thread_x", "thread", "thread_x"),
        ("/v1/threads/thread_x/messages", "thread", "thread_x"),
        ("/v1/threads/thread_x/messages/msg_x", "thread", "thread_x"),
        ("/v1/threads/thread_x/runs", "thread", "thread_x"),
        (f"/v1/threads/{thread.id}/messages/msg_x", "message", "msg_x"),
        (f"/v1/threads/{thread.id}/runs/run_x", "run", "run_x"),
        ("/v1/assistants/asst_x", "assistant", "asst_x"),
        ("/v1/assistants/anything%20at%20all", "assistant", "anything at all"),
    ):
        answer = api.get(path)
        assert answer.status_code == 404
        assert answer.json()["error"] == {
            "message": f"No {kind} found with id '{identifier}'.",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }


def test_with_a_thread_goes_everything_in_it(api: APIClient, thread: Thread, five: list[str]) -> None:
    assert api.delete(f"/v1/threads/{thread.id}").json() == {
        "id": thread.id,
        "object": "thread.deleted",
        "deleted": True,
    }
    for path in ("", "/messages", f"/messages/{five[0]}", "/runs", "/runs/run_x", "/runs/run_x/steps"):
        assert api.get(f"/v1/threads/{thread.id}{path}").json()["error"]["message"] == (
            f"No thread found with id '{thread.id}'."
        )
    assert api.delete(f"/v1/threads/{thread.id}").status_code == 404
    assert not Message.objects.exists()


def test_a_message_that_is_being_written_cannot_be_deleted(api: APIClient, thread: Thread) -> None:
    services.open_message(thread, message_id="msg_x", run_id="run_x", assistant_id="asst_x")
    refused = api.delete(f"/v1/threads/{thread.id}/messages/msg_x")
    assert (refused.status_code, refused.json()["error"]["message"]) == (
        400,
        "Can't delete message msg_x while run run_x is writing it.",
    )
    services.close_message("msg_x", content=[])
    assert api.delete(f"/v1/threads/{thread.id}/messages/msg_x").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_many_who_speak_at_once_everybody_gets_a_place_of_their_own(principal: Principal, thread: Thread) -> None:
    """... and none of them once a run has begun in between."""
    start = threading.Barrier(16)
    made: list[str] = []
    refused: list[str] = []
    others: list[BaseException] = []

    def speak(number: int) -> None:
        try:
            start.wait(60)
            if number == 7:
                with transaction.atomic():
                    services.occupy(services.lock_threads([thread.id])[thread.id], "run_x")
            else:
                message = services.create_message(
                    principal=principal, thread_id=thread.id, role="user", content=str(number)
                )
                made.append(message.id)
        except ApiError as error:
            refused.append(error.message)
        except BaseException as error:
            others.append(error)
        finally:
            connections.close_all()

    speakers = [threading.Thread(target=speak, args=(number,)) for number in range(16)]
    for speaker in speakers:
        speaker.start()
    for speaker in speakers:
        speaker.join(60)
    assert others == []
    assert len(made) + len(refused) == 15
    assert set(refused) <= {f"Can't add messages to {thread.id} while a run run_x is active."}
    rows = Message.objects.of_thread(thread.id).order_by("position")
    assert sorted(made) == sorted(row.id for row in rows)
    assert [row.position for row in rows] == list(range(1, len(made) + 1))
    assert not Run.objects.exists()
