"""Poison: bodies that are no JSON, are JSON of a size or shape that hurts, or hold what no database can. None is a 5xx,
and each is refused before it costs much."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants.models import Assistant
from sovereign.core.api.transport import MAXIMUM_COMMAS
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db

# of every operation that takes a body: the address of one that could be
TARGETS = [
    "/v1/assistants",
    "/v1/assistants/asst_x",
    "/v1/threads",
    "/v1/threads/thread_x",
    "/v1/threads/thread_x/messages",
    "/v1/threads/thread_x/messages/msg_x",
    "/v1/threads/thread_x/runs",
    "/v1/threads/thread_x/runs/run_x",
    "/v1/threads/thread_x/runs/run_x/submit_tool_outputs",
    "/v1/threads/runs",
]

POISON = {
    "a NUL": b'{"metadata":{"k":"a\\u0000b"}}',
    "a NUL in a name": b'{"metadata":{"a\\u0000b":"v"}}',
    "a NUL that is an unknown parameter": b'{"a\\u0000b":"v"}',
    "a bare NUL": b'{"metadata":{"k":"a\x00b"}}',
    "nothing but NULs": b"\x00" * 1_000,
    "half of a surrogate pair": b'{"metadata":{"k":"\\ud83d"}}',
    "the other half first": b'{"metadata":{"k":"\\udca9\\ud83d"}}',
    "a surrogate in UTF-8": b'{"metadata":{"k":"\xed\xa0\x80"}}',
    "overlong UTF-8": b'{"metadata":{"k":"\xc0\x80"}}',
    "UTF-8 that is cut": b'{"metadata":{"k":"\xf0\x9f\x92"}}',
    "Latin-1": '{"metadata":{"k":"é"}}'.encode("latin-1"),
    "UTF-16": '{"metadata":{}}'.encode("utf-16"),
    "UTF-32": '{"metadata":{}}'.encode("utf-32"),
    "a byte order mark": b'\xef\xbb\xbf{"metadata":{}}',
    "200 arrays deep": b'{"messages":' + b"[" * 200 + b"]" * 200 + b"}",
    "200 objects deep": b'{"metadata":' * 200 + b"1" + b"}" * 200,
    "100,000 arrays deep": b"[" * 100_000 + b"]" * 100_000,
    "100,000 arrays that never end": b"[" * 100_000,
    "100,000 wrong messages": b'{"messages":[' + b",".join([b"{}"] * 100_000) + b"]}",
    "100,000 unknown parameters": json.dumps(dict.fromkeys(map(str, range(100_000)))).encode(),
    "100,000 pairs of metadata": json.dumps({"metadata": dict.fromkeys(map(str, range(100_000)), "")}).encode(),
    "a list of too many values": b"[" + b"0," * MAXIMUM_COMMAS + b"0,0]",
    "a number of 100,000 digits": b'{"temperature":' + b"9" * 100_000 + b"}",
    "a fraction of 100,000 digits": b'{"temperature":0.' + b"9" * 100_000 + b"x}",
    "an exponent out of this world": b'{"temperature":1e999999999}',
    "an exponent that is too large": b'{"temperature":1e309}',
    "NaN": b'{"temperature":NaN}',
    "Infinity": b'{"temperature":-Infinity}',
    "octal": b'{"temperature":01}',
    "hexadecimal": b'{"temperature":0x1}',
    "a plus": b'{"temperature":+1}',
    "a comment": b'{"metadata":{}/* x */}',
    "two values": b"{}{}",
    "a comma at the end": b'{"metadata":{},}',
    "single quotes": b"{'metadata':{}}",
    "a tab in a text": b'{"metadata":{"k":"\t"}}',
    "an unknown escape": b'{"metadata":{"k":"\\x"}}',
    "half an object": b'{"metadata":',
    "an array": b"[{}]",
    "a text": b'"{}"',
    "a number": b"1",
    "true": b"true",
    "null": b"null",
    "Python": b"{'a': None}",
    "a form": b"model=gpt-4o&name=x",
    "XML": b"<a/>",
}

Send = Callable[..., Any]


@pytest.fixture
def send(api: APIClient) -> Send:
    def post(path: str, body: Any, content_type: str = "application/json", **headers: str) -> Any:
        return api.generic("POST", path, body, content_type, headers=headers)

    return post


def refused(answer: Any, *statuses: int) -> dict[str, Any]:
    """The error of an answer in the contract's envelope."""
    assert answer.status_code in (statuses or (400,)), answer.content[:500]
    assert answer["Content-Type"] == "application/json"
    assert answer["x-request-id"].startswith("req_")
    assert len(answer.content) < 1_000, "what was sent is not repeated"
    assert set(answer.json()) == {"error"}
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    return error


@pytest.mark.parametrize("body", POISON.values(), ids=POISON.keys())
def test_poison_is_refused_by_every_operation(send: Send, body: bytes) -> None:
    for path in TARGETS:
        assert refused(send(path, body))["message"]
    assert not Thread.objects.exists()
    assert not Assistant.objects.exists()


@pytest.mark.parametrize("name", ["a NUL", "half of a surrogate pair", "a surrogate in UTF-8"])
def test_poison_deep_in_a_message_is_refused_and_leaves_nothing(send: Send, name: str) -> None:
    bad = POISON[name].split(b'"k":')[1].rstrip(b"}")
    for message in (
        b'{"role":"user","content":%s}' % bad,
        b'{"role":"user","content":[{"type":"text","text":"fine"},{"type":"text","text":%s}]}' % bad,
        b'{"role":"user","content":[{"type":"image_url","image_url":{"url":%s}}]}' % bad,
        b'{"role":"user","content":"fine","attachments":[{"file_id":%s}]}' % bad,
        b'{"role":%s,"content":"fine"}' % bad,
    ):
        refused(send("/v1/threads", b'{"messages":[{"role":"user","content":"fine"},%s]}' % message))
    assert not Thread.objects.exists()
    assert not Message.objects.exists()


def test_of_two_equal_names_the_last_counts(send: Send) -> None:
    """As in every reader of JSON that clients use; both ours read it once, so that nobody sees another body."""
    body = b'{"metadata":{"k":"first"},"metadata":{"k":"second","k":"third"}}'
    assert send("/v1/threads", body).json()["metadata"] == {"k": "third"}
    assert refused(send("/v1/threads", b'{"metadata":{},"metadata":5}'))["param"] == "metadata"


def test_every_character_that_text_may_have_comes_back(send: Send, api: APIClient) -> None:
    text = "".join(
        chr(code) for code in [*range(1, 0x20), 0x7F, 0x85, 0x2028, 0xFFFE, 0xFFFF, 0xFEFF, 0x1F4A9, 0x10FFFF]
    )
    body = json.dumps({"metadata": {"k": text}, "messages": [{"role": "user", "content": text}]}).encode()
    thread = send("/v1/threads", body).json()
    assert thread["metadata"] == {"k": text}
    [message] = api.get(f"/v1/threads/{thread['id']}/messages").json()["data"]
    assert message["content"][0]["text"]["value"] == text


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "text/plain",
        "text/xml; charset=utf-8",
        "application/octet-stream",
        "nonsense",
    ],
)
def test_a_body_of_another_type_is_told_which_type_is_meant(send: Send, content_type: str) -> None:
    error = refused(send("/v1/threads", b"model=gpt-4o", content_type), 415)
    assert error["code"] == "unsupported_content_type"
    assert error["message"].startswith(f"Unsupported content type: '{content_type}'. This API method only accepts")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json; charset=utf-16",
        "application/json;;;",
        "APPLICATION/JSON",
        "application/vnd.api+json",
    ],
)
def test_a_body_that_says_it_is_json_is_read_as_utf_8(send: Send, content_type: str) -> None:
    assert send("/v1/threads", '{"metadata":{"k":"é"}}'.encode(), content_type).json()["metadata"] == {"k": "é"}
    assert "could not parse the JSON body" in refused(send("/v1/threads", b"{", content_type))["message"]


def test_a_long_content_type_is_not_repeated(send: Send) -> None:
    refused(send("/v1/threads", b"x", "text/" + "x" * 5_000), 415)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "x" * 2_000])
def test_nothing_is_unpacked(send: Send, encoding: str) -> None:
    """A body of a few kilobytes may hold one of many gigabytes."""
    body = b"{}" + b" " * 100_000
    packed = {"gzip": gzip.compress(body), "deflate": zlib.compress(body)}.get(encoding, body)
    error = refused(send("/v1/threads", packed, **{"Content-Encoding": encoding}), 415)
    assert error["code"] == "unsupported_content_encoding"
    assert send("/v1/threads", b"{}", **{"Content-Encoding": "identity"}).status_code == 200


def test_as_many_values_as_are_allowed_are_looked_at(send: Send) -> None:
    """The limit is on what is checked piece by piece, not on the length of texts."""
    wide = b'{"x":[' + b"0," * (MAXIMUM_COMMAS - 1) + b"0]}"
    assert refused(send("/v1/threads", wide))["code"] == "unknown_parameter"
    assert refused(send("/v1/threads", wide.replace(b"[", b"[0,0,", 1)))["code"] == "invalid_json"
