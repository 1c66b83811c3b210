"""What a tool answered, as text for a model: texts as they are, everything else as a sentence about what it is."""

from __future__ import annotations

import re
from typing import Any

import orjson

from assistants.catalog.mcp.protocol import Endpoint, McpError, Message

MAXIMUM_PARTS = 256
MALFORMED = "The MCP server's answer has no content that can be read."
#: what is no text, or would only hide something from people who read it
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def text_of(result: Message, endpoint: Endpoint) -> str:
    """The answer of ``tools/call``; data for a model, never instructions.

    :raises McpError: it is not what the protocol says.
    """
    parts = result.get("content", [])
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise McpError(MALFORMED)
    if len(parts) > MAXIMUM_PARTS:
        raise McpError(f"The MCP server's answer has more than {MAXIMUM_PARTS} parts.")
    texts = [_part(part, endpoint) for part in parts]
    if not texts and "structuredContent" in result:  # any JSON value, from 2026-07-28 on
        texts = [orjson.dumps(result["structuredContent"]).decode()]
    return endpoint.without_secrets(CONTROL.sub("", "\n".join(texts)))


def _part(part: Message, endpoint: Endpoint) -> str:
    kind = part.get("type")
    if kind == "text":
        return _string(part.get("text"))
    if kind in ("image", "audio"):
        return f"[{_article(kind)}{_of_kind(part, endpoint)}, {_size(part.get('data'))}, which cannot be shown here]"
    if kind == "resource":
        return _resource(part.get("resource"), endpoint)
    if kind == "resource_link":
        name, uri = endpoint.quoted(part.get("name")), endpoint.quoted(part.get("uri"))
        return f"[A link to {name}{_of_kind(part, endpoint)}: {uri}]"
    return f"[Content of a kind that is not known here: {endpoint.quoted(kind)}]"


def _resource(resource: Any, endpoint: Endpoint) -> str:
    if not isinstance(resource, dict):
        raise McpError(MALFORMED)
    if "text" in resource:
        return _string(resource["text"])
    uri, size = endpoint.quoted(resource.get("uri")), _size(resource.get("blob"))
    return f"[The file {uri}{_of_kind(resource, endpoint)}, {size}, which cannot be shown here]"


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise McpError(MALFORMED)
    return value


def _article(kind: str) -> str:
    return "An image" if kind == "image" else "A recording"


def _of_kind(part: Message, endpoint: Endpoint) -> str:
    kind = endpoint.quoted(part.get("mimeType"))
    return f" ({kind})" if kind else ""


def _size(data: Any) -> str:
    """Of what is written in base64."""
    if not isinstance(data, str):
        raise McpError(MALFORMED)
    return f"{len(data) * 3 // 4:,} bytes"
