"""Whatever an MCP server answers, nothing but an ``McpError`` comes of it, or something that can be kept and shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from assistants.catalog.mcp import Endpoint, McpError, content, listing, protocol

ENDPOINT = Endpoint(url="https://mcp.example/", headers={"Authorization": "Bearer secret-12345678"})
LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20)
KEYS = st.sampled_from(
    ["type", "text", "data", "mimeType", "resource", "uri", "name", "title", "description", "inputSchema",
     "annotations", "readOnlyHint", "properties", "items", "$ref", "$defs", "enum", "anyOf", "required", "pattern",
     "$id", "default", "content", "structuredContent", "id", "method", "result", "error", "message", "nextCursor"]
)  # fmt: skip
KINDS = st.sampled_from(["text", "image", "audio", "resource", "resource_link", "object", "string", "#", "#/$defs"])
JSON = st.recursive(
    LEAVES | KINDS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5)
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=6)


T = TypeVar("T")


def tried(function: Callable[..., T], *arguments: Any) -> T | None:
    """What it gives, or nothing where it refuses in a sentence for people."""
    try:
        return function(*arguments)
    except McpError as failure:
        refusal = failure.message
    assert refusal
    assert refusal.isprintable()
    return None


@settings(max_examples=200, deadline=None)
@given(st.fixed_dictionaries({}, optional={"content": st.lists(OBJECTS, max_size=3) | JSON, "structuredContent": JSON}))
def test_contents(result: dict[str, Any]) -> None:
    said = tried(content.text_of, result, ENDPOINT)
    assert said is None or "\x00" not in said


@settings(max_examples=200, deadline=None)
@given(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["echo", "a b"]) | JSON},
        optional={"inputSchema": OBJECTS | JSON, "description": JSON, "annotations": OBJECTS | JSON, "title": JSON},
    )
)
def test_tools(tool: dict[str, Any]) -> None:
    if (listed := tried(listing.read, tool, ENDPOINT)) is not None:
        assert bool(listed.problem) != bool(listed.digest)
        assert f"{listed.name}{listed.title}{listed.problem}".isprintable()
        assert b"\\u0000" not in orjson.dumps([listed.description, listed.input_schema])


@settings(max_examples=200, deadline=None)
@given(
    OBJECTS | st.fixed_dictionaries({"id": st.sampled_from([1, "1", True])}, optional={"result": JSON, "error": JSON})
)
def test_messages(message: dict[str, Any]) -> None:
    if protocol.is_request(message):
        answer = tried(protocol.answer_to, message)
        assert answer is None or orjson.dumps(answer)
    elif not protocol.is_notification(message):
        result = tried(protocol.result_of, message, 1, ENDPOINT)
        assert result is None or isinstance(result, dict)
