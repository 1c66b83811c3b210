"""Reads OpenAI's messages for dialects that write them differently."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NoBase64
from typing import Any

import orjson

from inference.chat import ChatRequest, InferenceError

DATA_URL = re.compile(r"data:(image/(?:png|jpe?g|gif|webp));base64,", re.IGNORECASE)


def invalid(sentence: str) -> InferenceError:
    return InferenceError(sentence, "invalid_prompt", param="messages")


def text_of(content: Any) -> str:
    """All text of a message's content, which is a text, parts, or nothing."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "\n".join(text for part in content if (text := _text(part)))


def _text(part: dict[str, Any]) -> str:
    kind = part.get("type")
    if kind not in ("text", "refusal"):
        raise invalid(f"A part of the kind '{kind}' cannot stand there for this kind of provider.")
    return str(part[kind])


def parts_of(content: Any) -> list[tuple[str, str, str]]:
    """``("text", text, "")`` and ``("image", media type, base64)`` in their order, without empty texts.

    :raises InferenceError: a part of another kind, or an image that is an address.
    """
    if content is None or isinstance(content, str):
        return [("text", content, "")] if content and content.strip() else []
    parts = []
    for part in content:
        if part.get("type") == "image_url":
            parts.append(("image", *image(part)))
        elif (text := _text(part)).strip():
            parts.append(("text", text, ""))
    return parts


def image(part: dict[str, Any]) -> tuple[str, str]:
    """Media type and base64 of an image that is given as data.

    :raises InferenceError: it is an address, of another kind, or broken.
    """
    url = part["image_url"]
    url = url["url"] if isinstance(url, dict) else url
    head = DATA_URL.match(url)
    if head is None:
        raise invalid("Images must be given as data: 'data:image/png;base64,…', or as JPEG, GIF or WebP.")
    data = url[head.end() :]
    try:
        b64decode(data, validate=True)
    except (NoBase64, ValueError):
        raise invalid("An image holds something that is not base64.") from None
    kind = head[1].lower()
    return "image/jpeg" if kind == "image/jpg" else kind, data


def arguments_of(call: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an earlier tool call, as an object: a model may have written something else."""
    text = call["function"].get("arguments") or "{}"
    try:
        found = orjson.loads(text)
    except ValueError:
        return {"arguments": text}
    return found if isinstance(found, dict) else {"arguments": found}


def named_tool(request: ChatRequest) -> str | None:
    """The one tool that must be called, if the request names it."""
    choice = request.tool_choice
    return choice["function"]["name"] if isinstance(choice, dict) and "function" in choice else None


def json_schema(request: ChatRequest) -> dict[str, Any] | None:
    """``name``, ``schema`` and so on, where the answer must follow a schema."""
    wanted = request.response_format
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        found: dict[str, Any] = wanted["json_schema"]
        return found
    return None


def wants_json(request: ChatRequest) -> bool:
    """Whether any JSON object is asked for."""
    return isinstance(request.response_format, dict) and request.response_format.get("type") == "json_object"
