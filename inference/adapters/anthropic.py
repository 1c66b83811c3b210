"""Anthropic's Messages: Claude, and servers that speak its dialect."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote

import orjson

from inference.adapters.anthropic_request import answers_by_tool, body_for, version
from inference.adapters.base import Endpoint, Served
from inference.adapters.exchange import EVENTS, document, encoded, failing, streamed, unsupported
from inference.adapters.openai_chunks import MAXIMUM_TOOL_CALLS, clean
from inference.adapters.openai_models import MAXIMUM_MODELS, bounded, context_length, is_name
from inference.adapters.refusals import MALFORMED, meaning
from inference.adapters.transport import CUT, Asked
from inference.adapters.usage import LARGEST_COUNT, count, counted
from inference.calls import CompletionRequest, Embedded, EmbeddingRequest, Moderated, ModerationRequest
from inference.chat import (
    ChatRequest,
    Delta,
    Finished,
    FinishReason,
    InferenceError,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from sovereign.core.error_messages import sanitised
from sovereign.core.sse_parser import EventParser

STREAM = frozenset({EVENTS})
PAGE = 1_000  # models, the most that are given at once
MAXIMUM_PAGES = 5
CAPABILITIES = {"tools": True, "json_schema": True, "vision": True}
NOT_ANTHROPIC = "The engine sent an answer that is not in Anthropic's format."
NOT_A_LIST = "The engine sent a list of models that is not in Anthropic's format."

FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
#: failures that are told inside a stream, and the status that they have outside of one
STATUSES = {"rate_limit_error": 429, "overloaded_error": 529, "invalid_request_error": 400, "api_error": 500}


class Anthropic:
    """The adapter; it keeps no state."""

    def stream(self, endpoint: Endpoint, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """See :class:`inference.adapters.base.Adapter`."""

        def ask() -> Asked:
            body = encoded(body_for(endpoint, request))
            return Asked(path="/v1/messages", body=body, accept=EVENTS, headers=_headers(endpoint))

        decoder = Decoder(endpoint.key, answers_by_tool(endpoint, request))
        return streamed(endpoint, ask, STREAM, EventParser(), decoder)

    def complete(self, endpoint: Endpoint, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """Not there."""
        return failing(unsupported("Texts are not continued"))

    async def embed(self, endpoint: Endpoint, request: EmbeddingRequest) -> Embedded:
        """Not there."""
        raise unsupported("Vectors are not made")

    async def moderate(self, endpoint: Endpoint, request: ModerationRequest) -> Moderated:
        """Not there."""
        raise unsupported("Texts are not judged")

    async def list_models(self, endpoint: Endpoint) -> Served:
        """See :class:`inference.adapters.base.Adapter`."""
        models: list[dict[str, Any]] = []
        path = f"/v1/models?limit={PAGE}"
        for _ in range(MAXIMUM_PAGES):
            asked = Asked(path=path, headers=_headers(endpoint))
            found, last = _read_page(await document(endpoint, asked, computed=False))
            models += found
            if last is None:
                return Served(models, dict(CAPABILITIES))
            path = f"/v1/models?limit={PAGE}&after_id={quote(last, safe='')}"
        raise InferenceError(f"The engine lists more than {MAXIMUM_MODELS} models.")


def _headers(endpoint: Endpoint) -> dict[str, str]:
    """The key goes where Anthropic has it, or, with the option ``bearer``, where vLLM and others look for it."""
    headers = {"anthropic-version": version(endpoint)}
    if endpoint.key and endpoint.options.get("bearer") is True:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    elif endpoint.key:
        headers["x-api-key"] = endpoint.key
    beta = endpoint.options.get("beta")
    return headers | ({"anthropic-beta": beta} if isinstance(beta, str) and beta.isprintable() else {})


def _read_page(body: Any) -> tuple[list[dict[str, Any]], str | None]:
    """The models of one page, and after which one the next begins.

    :raises InferenceError: it is no such page.
    """
    try:
        entries = bounded(body["data"])
        models = [_described(entry) for entry in entries if is_name(entry["id"]) and _serves(entry)]
        last = body.get("last_id") if body.get("has_more") and entries else None
        if last is not None and not is_name(last):
            raise ValueError("an id that is none")
        return models, last
    except MALFORMED:
        raise InferenceError(NOT_A_LIST) from None


def _serves(entry: dict[str, Any]) -> bool:
    return entry.get("lifecycle") != "retired"


def _described(entry: dict[str, Any]) -> dict[str, Any]:
    length = count(entry.get("max_input_tokens"))
    known = length if 0 < length < LARGEST_COUNT else context_length(entry)  # others that speak this dialect
    model: dict[str, Any] = {"id": entry["id"], "context_length": known}
    told = entry.get("capabilities") or {}
    names = {"vision": "image_input", "json_schema": "structured_outputs"}
    abilities = {
        ours: told[theirs]["supported"]
        for ours, theirs in names.items()
        if isinstance(told.get(theirs), dict) and isinstance(told[theirs].get("supported"), bool)
    }
    return model | ({"abilities": abilities} if abilities else {})


class Decoder:
    """Reads the events of one streamed message."""

    __slots__ = ("_answer_tool", "_calls", "_counts", "_key", "_pieces", "_texts", "_wrote", "done", "reason")

    def __init__(self, key: str = "", answer_tool: str | None = None) -> None:
        self.done = False
        self.reason: FinishReason | None = None
        self._key = key
        self._answer_tool = answer_tool  # what it is called with is the answer's text
        self._texts: set[int] = set()  # blocks that are calls of it
        self._calls: dict[int, int] = {}  # block → our number of the call
        self._wrote: set[int] = set()  # blocks whose arguments came
        self._counts: dict[str, Any] = {}
        self._pieces = 0

    def take(self, data: bytes, deltas: list[Delta]) -> None:
        """Read one event and append the deltas that it holds; kinds that are new are passed over.

        :raises InferenceError: it is not an event of a message, or it tells of a failure.
        """
        before = len(deltas)
        try:
            event = orjson.loads(data)
            kind = event["type"]
            if kind == "content_block_delta":
                self._delta(event, deltas)
            elif kind == "content_block_start":
                self._start(event, deltas)
            elif kind == "content_block_stop":
                self._stop(event, deltas)
            elif kind == "message_start":
                self._count(event["message"].get("usage"))
            elif kind == "message_delta":
                self._ending(event)
            elif kind == "message_stop":
                self.done = True
            elif kind == "error":
                raise self._failure(event)
        except MALFORMED:
            raise InferenceError(NOT_ANTHROPIC) from None
        self._pieces += len(deltas) - before

    def _start(self, event: dict[str, Any], deltas: list[Delta]) -> None:
        block, place = event["content_block"], event["index"]
        if type(place) is not int:
            raise TypeError
        if block["type"] == "text" and block.get("text"):
            deltas.append(TextDelta(clean(block["text"])))
        elif block["type"] == "tool_use" and block["name"] == self._answer_tool:
            self._texts.add(place)
        elif block["type"] == "tool_use":
            self._begin_call(place, block, deltas)

    def _begin_call(self, place: int, block: dict[str, Any], deltas: list[Delta]) -> None:
        number, name = len(self._calls), clean(block["name"])
        if place in self._calls or number >= MAXIMUM_TOOL_CALLS or not name:
            raise ValueError("too many calls, or one twice, or without a name")
        self._calls[place] = number
        given = block.get("input") or {}
        if not isinstance(given, dict):
            raise TypeError
        arguments = orjson.dumps(given).decode() if given else ""
        if arguments:
            self._wrote.add(place)
        deltas.append(ToolCallDelta(number, clean(block["id"]) or None, name, arguments))

    def _delta(self, event: dict[str, Any], deltas: list[Delta]) -> None:
        delta, place = event["delta"], event["index"]
        kind = delta["type"]
        if kind == "text_delta":
            if text := clean(delta["text"]):
                deltas.append(TextDelta(text))
        elif kind == "input_json_delta":
            if piece := clean(delta["partial_json"]):
                self._written(place, piece, deltas)
        elif kind == "thinking_delta" and (text := clean(delta["thinking"])):
            deltas.append(ReasoningDelta(text))

    def _written(self, place: Any, piece: str, deltas: list[Delta]) -> None:
        if place in self._texts:
            deltas.append(TextDelta(piece))
        elif place in self._calls:
            self._wrote.add(place)
            deltas.append(ToolCallDelta(self._calls[place], None, None, piece))

    def _stop(self, event: dict[str, Any], deltas: list[Delta]) -> None:
        """A call without arguments says nothing, where OpenAI's say ``{}``."""
        place = event["index"]
        if place in self._calls and place not in self._wrote:
            deltas.append(ToolCallDelta(self._calls[place], None, None, "{}"))

    def _ending(self, event: dict[str, Any]) -> None:
        if reason := event["delta"].get("stop_reason"):
            self.reason = FINISH_REASONS.get(reason, "stop")
            if self.reason == "tool_calls" and not self._calls:
                self.reason = "stop"  # the tool was the answer
        self._count(event.get("usage"))

    def _count(self, usage: dict[str, Any] | None) -> None:
        """Later counts are totals, and stand for earlier ones."""
        self._counts |= {name: value for name, value in (usage or {}).items() if value is not None}

    def _failure(self, event: dict[str, Any]) -> InferenceError:
        error = event["error"]
        said = sanitised(str(error.get("message") or ""), self._key)
        status = STATUSES.get(str(error.get("type")), 500)
        if self._pieces == 0 and status in (429, 529, 400):
            return meaning(status, said)
        code = "rate_limit_exceeded" if status == 429 else "server_error"
        return InferenceError(f"The engine failed in the middle of the answer{': ' + said if said else '.'}", code)

    def finished(self) -> Finished:
        """The end of the stream.

        :raises InferenceError: it ended without a reason.
        """
        if self.reason is None:
            raise InferenceError("The engine ended the answer without a finish reason." if self.done else CUT)
        counts = self._counts
        cached = count(counts.get("cache_read_input_tokens"))
        prompt = count(counts.get("input_tokens")) + cached + count(counts.get("cache_creation_input_tokens"))
        details = counts.get("output_tokens_details")
        thought = details.get("thinking_tokens") if isinstance(details, dict) else 0
        completion = counts.get("output_tokens", self._pieces)
        return Finished(self.reason, counted(min(prompt, LARGEST_COUNT), completion, cached, thought))
