"""OpenAI's chat completions: vLLM, Ollama's ``/v1``, LM Studio, llama.cpp, OpenAI itself.

What comes back is untrusted: every field is checked before it is used, and a stream that breaks OpenAI's format ends
with an ``InferenceError`` that says so.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import orjson

from inference.adapters.base import Endpoint
from inference.adapters.transport import CUT, TRAILER_TIMEOUT, Call, transport
from inference.chat import ChatRequest, Delta, Finished, FinishReason, InferenceError, TextDelta, ToolCallDelta, Usage
from inference.sse import EventParser, StreamTooLarge

MAXIMUM_ERROR_BODY = 64 * 1024  # bytes
ERROR_BODY_TIMEOUT = 5.0  # seconds
MAXIMUM_MESSAGE = 500  # characters of an upstream's message
MAXIMUM_TOOL_CALLS = 128
LARGEST_COUNT = 2**31 - 1
SMALLEST_TOP_P = 1e-6  # keeps the most probable token alone

FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
FAILED_REASONS = frozenset({"error", "abort"})  # vLLM's, for a request that it gave up
REFUSED_STATUSES = frozenset({400, 413, 422})
SECRETS = re.compile(r"(sk-|Bearer\s+)[\w.-]{8,}", re.IGNORECASE)

NOT_OPENAI = "The engine sent an answer that is not in OpenAI's format."
TOO_LONG = "The engine sent a longer answer than is accepted."


class OpenAICompatible:
    """The adapter; it keeps no state."""

    async def stream(self, endpoint: Endpoint, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """See :class:`inference.adapters.base.Adapter`."""
        body = encode(endpoint, request)
        call = transport().open(endpoint.engine_id)
        try:
            response = await call.post(endpoint, "/chat/completions", body)
            await check(response, endpoint)
            decoder = Decoder()
            parser = EventParser()
            while not decoder.done and (chunk := await _next(call, decoder)):
                deltas: list[Delta] = []
                failure = _decode(parser, decoder, chunk, deltas)
                if deltas:
                    call.saw_token()
                for delta in deltas:
                    yield delta
                if failure is not None:
                    raise failure
            yield decoder.finished()
        finally:
            call.close()


def _decode(parser: EventParser, decoder: Decoder, chunk: bytes, deltas: list[Delta]) -> InferenceError | None:
    """Append what ``chunk`` holds to ``deltas``; a failure is returned, since what came before it counts."""
    try:
        for data in parser.feed(chunk):
            decoder.take(data, deltas)
    except StreamTooLarge:
        return InferenceError(TOO_LONG)
    except InferenceError as error:
        return error
    return None


async def _next(call: Call, decoder: Decoder) -> bytes:
    """The next bytes; once the finish reason is known, a missing rest is no failure."""
    call.answering()
    if decoder.reason is None:
        return await call.read()
    call.limit = TRAILER_TIMEOUT
    try:
        return await call.read()
    except InferenceError:
        return b""


def encode(endpoint: Endpoint, request: ChatRequest) -> bytes:
    """The body of the request.

    :raises InferenceError: the engine cannot do what is asked, or a text is not Unicode.
    """
    body: dict[str, Any] = {
        "model": endpoint.model,
        "messages": request.messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.tools:
        body["tools"] = request.tools
        if request.tool_choice is not None:
            body["tool_choice"] = request.tool_choice
        if not request.parallel_tool_calls:
            body["parallel_tool_calls"] = False
    body |= _bounded(endpoint, request)
    if isinstance(request.response_format, dict) and request.response_format.get("type") != "text":
        body["response_format"] = request.response_format
    if request.continues:
        if not endpoint.capabilities.continuation:
            raise InferenceError("The engine cannot continue an answer that was cut.")
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    try:
        return orjson.dumps(body)
    except TypeError:
        raise InferenceError("The conversation holds a character that is not Unicode.", "invalid_prompt") from None


def _bounded(endpoint: Endpoint, request: ChatRequest) -> dict[str, Any]:
    """The numbers, within what engines take: vLLM refuses a ``top_p`` of 0, and more tokens than its context has."""
    values: dict[str, Any] = {
        "temperature": request.temperature,
        "top_p": request.top_p if request.top_p is None else max(request.top_p, SMALLEST_TOP_P),
        "max_tokens": request.max_tokens,
        "reasoning_effort": request.reasoning_effort,
    }
    length = endpoint.capabilities.context_length
    if request.max_tokens is not None and length is not None:
        values["max_tokens"] = min(request.max_tokens, length)
    return {name: value for name, value in values.items() if value is not None}


async def check(response: aiohttp.ClientResponse, endpoint: Endpoint) -> None:
    """Refuse every answer that is not a stream of events.

    :raises InferenceError: with the code that the status means.
    """
    status = response.status
    if status == 200:
        if response.content_type != "text/event-stream":
            raise InferenceError(f"The engine answered with {sanitised(response.content_type)} instead of a stream.")
        return
    if status in (401, 403):
        raise InferenceError("The engine refused our key.")
    said = sanitised(await _error_message(response), endpoint.key)
    if status == 429:
        raise InferenceError(f"The engine is over its limit{said and ': ' + said}", "rate_limit_exceeded")
    if status in REFUSED_STATUSES:
        raise InferenceError(f"The engine refused the request{said and ': ' + said}", "invalid_prompt")
    raise InferenceError(f"The engine answered with status {status}{said and ': ' + said}")


async def _error_message(response: aiohttp.ClientResponse) -> str:
    """What an error's body says, if it is JSON as OpenAI or FastAPI write it."""
    try:
        async with asyncio.timeout(ERROR_BODY_TIMEOUT):
            raw = await response.content.read(MAXIMUM_ERROR_BODY)
        return _message_of(orjson.loads(raw))
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
        return ""


def _message_of(body: Any) -> str:
    if not isinstance(body, dict):
        return ""
    error = body.get("error", body)
    said = error.get("message", error.get("detail")) if isinstance(error, dict) else error
    return said if isinstance(said, str) else ""


def sanitised(text: str, key: str = "") -> str:
    """An upstream's words as one line of printable characters, shortened, without anything that looks like a key."""
    if key:
        text = text.replace(key, "[key]")
    text = SECRETS.sub("[key]", text[: 4 * MAXIMUM_MESSAGE])
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= MAXIMUM_MESSAGE else text[: MAXIMUM_MESSAGE - 1] + "…"


class Decoder:
    """Reads the chunks of one streamed completion."""

    __slots__ = ("_calls", "_pieces", "_usage", "done", "reason")

    def __init__(self) -> None:
        self.done = False  # ``[DONE]`` came
        self.reason: FinishReason | None = None
        self._usage: Usage | None = None
        self._calls: dict[int, str | None] = {}  # index → id
        self._pieces = 0

    def take(self, data: bytes, deltas: list[Delta]) -> None:
        """Read one event and append the deltas that it holds.

        :raises InferenceError: it is not a chunk of a completion, or it tells of a failure.
        """
        if data == b"[DONE]":
            self.done = True
            return
        try:
            chunk = orjson.loads(data)
            choices = chunk.get("choices")
            if choices:
                self._choice(choices[0], deltas)
            elif choices is None or "error" in chunk:
                raise InferenceError(_reported(chunk))
            if usage := chunk.get("usage"):
                self._usage = read_usage(usage)
        except (ValueError, TypeError, AttributeError, KeyError, IndexError):
            raise InferenceError(NOT_OPENAI) from None

    def _choice(self, choice: dict[str, Any], deltas: list[Delta]) -> None:
        if self.reason is None and (delta := choice.get("delta")):
            if text := delta.get("content"):
                if type(text) is not str:
                    raise TypeError
                if "\x00" in text:  # no database keeps it
                    text = text.replace("\x00", "")
                deltas.append(TextDelta(text))
                self._pieces += 1
            if calls := delta.get("tool_calls"):
                for position, call in enumerate(calls):
                    deltas.append(self._tool_call(call, position))
                    self._pieces += 1
        if reason := choice.get("finish_reason"):
            if reason in FAILED_REASONS:
                raise InferenceError("The engine gave up the answer.")
            self.reason = FINISH_REASONS.get(reason, "stop")

    def _tool_call(self, call: dict[str, Any], position: int) -> ToolCallDelta:
        index = call.get("index")
        if type(index) is not int:
            index = position
        function = call.get("function") or {}
        arguments = function.get("arguments") or ""
        if isinstance(arguments, dict):  # a few engines send the object itself
            arguments = orjson.dumps(arguments).decode()
        identifier, name = call.get("id") or None, function.get("name") or None
        texts = (arguments, identifier or "", name or "")
        if not 0 <= index < MAXIMUM_TOOL_CALLS or not all(type(text) is str for text in texts):
            raise ValueError(index)
        if index in self._calls:  # some repeat id and name with every piece
            return ToolCallDelta(index, None, None, arguments)
        if name is None:
            raise ValueError("a tool call without a name")
        self._calls[index] = identifier
        return ToolCallDelta(index, identifier, name, arguments.replace("\x00", ""))

    def finished(self) -> Finished:
        """The end of the stream.

        :raises InferenceError: it ended without a finish reason.
        """
        if self.reason is None:
            raise InferenceError("The engine ended the answer without a finish reason." if self.done else CUT)
        reason: FinishReason = "tool_calls" if self.reason == "stop" and self._calls else self.reason
        return Finished(reason, self._usage or Usage(0, self._pieces))


def read_usage(usage: dict[str, Any]) -> Usage:
    """Counts as the engine gives them; what is missing or absurd counts as 0."""
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    return Usage(
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
        _count(prompt.get("cached_tokens")),
        _count(completion.get("reasoning_tokens")),
    )


def _count(value: Any) -> int:
    return min(max(value, 0), LARGEST_COUNT) if type(value) is int else 0


def _reported(chunk: dict[str, Any]) -> str:
    """A failure that is told inside the stream."""
    if "error" not in chunk:
        return NOT_OPENAI
    said = sanitised(_message_of(chunk))
    return f"The engine failed in the middle of the answer{said and ': ' + said}"
