"""Reads the chunks of OpenAI's streams: chat completions, and the older text completions."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import orjson

from inference.adapters.refusals import MALFORMED
from inference.adapters.transport import CUT
from inference.adapters.usage import read_usage
from inference.chat import (
    Delta,
    Finished,
    FinishReason,
    InferenceError,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from sovereign.core.error_messages import message_of, sanitised

MAXIMUM_TOOL_CALLS = 128
MAXIMUM_ALTERNATIVES = 100  # most probable tokens that are told beside each token

FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
FAILED_REASONS = frozenset({"error", "abort"})  # vLLM's, for a request that it gave up
NOT_OPENAI = "The engine sent an answer that is not in OpenAI's format."


class _Chunks:
    """What both kinds of streams share: their end, their usage, their failures."""

    __slots__ = ("_key", "_pieces", "_usage", "done", "reason")

    def __init__(self, key: str = "") -> None:
        self._key = key  # must not come back in a message
        self.done = False  # ``[DONE]`` came
        self.reason: FinishReason | None = None
        self._usage: Usage | None = None
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
                raise InferenceError(_reported(chunk, self._key))
            if usage := chunk.get("usage"):
                self._usage = read_usage(usage)
        except MALFORMED:
            raise InferenceError(NOT_OPENAI) from None

    def _choice(self, choice: dict[str, Any], deltas: list[Delta]) -> None:
        raise NotImplementedError

    def _ended(self, reason: str) -> None:
        if reason in FAILED_REASONS:
            raise InferenceError("The engine gave up the answer.")
        self.reason = FINISH_REASONS.get(reason, "stop")

    def finished(self) -> Finished:
        """The end of the stream.

        :raises InferenceError: it ended without a finish reason.
        """
        if self.reason is None:
            raise InferenceError("The engine ended the answer without a finish reason." if self.done else CUT)
        return Finished(self.reason, self._usage or Usage(0, self._pieces))


class ChatDecoder(_Chunks):
    """Reads the chunks of one streamed chat completion."""

    __slots__ = ("_calls",)

    def __init__(self, key: str = "") -> None:
        super().__init__(key)
        self._calls: dict[int, str | None] = {}  # index → id

    def _choice(self, choice: dict[str, Any], deltas: list[Delta]) -> None:
        if self.reason is None and (delta := choice.get("delta")):
            text, logprobs = delta.get("content"), choice.get("logprobs")
            if text and len(delta) == 1 and not logprobs and type(text) is str and "\x00" not in text:
                deltas.append(TextDelta(text))  # nearly every chunk, thousands a second
                self._pieces += 1
            else:
                self._others(delta, text, logprobs, deltas)
        if reason := choice.get("finish_reason"):
            self._ended(reason)

    def _others(self, delta: dict[str, Any], text: Any, logprobs: Any, deltas: list[Delta]) -> None:
        """All that is rarer than plain text."""
        before = len(deltas)
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if thought and type(thought) is str:  # others than OpenAI's own models send objects here
            deltas.append(ReasoningDelta(clean(thought)))
        # probabilities of thoughts are no part of the answer, those of special tokens have no text
        entries = read_logprobs(logprobs.get("content")) if logprobs and (text or not thought) else None
        if text or entries:
            deltas.append(TextDelta(clean(text or ""), entries))
        if refusal := delta.get("refusal"):
            deltas.append(RefusalDelta(clean(refusal)))
        if calls := delta.get("tool_calls"):
            deltas.extend(self._tool_call(call, position) for position, call in enumerate(calls))
        elif call := delta.get("function_call"):  # the dialect before tools
            deltas.append(self._tool_call({"function": call}, 0))
        self._pieces += len(deltas) - before

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
        arguments = clean(arguments)
        if index in self._calls:  # some repeat id and name with every piece
            return ToolCallDelta(index, None, None, arguments)
        if name is None:
            raise ValueError("a tool call without a name")
        self._calls[index] = identifier
        return ToolCallDelta(index, identifier and clean(identifier), clean(name), arguments)

    def finished(self) -> Finished:
        """As of every stream; an answer that calls tools and says ``stop`` ended for its tools."""
        last = super().finished()
        if last.reason == "stop" and self._calls:
            last.reason = "tool_calls"
        return last


class TextDecoder(_Chunks):
    """Reads the chunks of one streamed text completion."""

    __slots__ = ()

    def _choice(self, choice: dict[str, Any], deltas: list[Delta]) -> None:
        text, logprobs = choice.get("text"), choice.get("logprobs")
        if self.reason is None and (text or logprobs):
            deltas.append(TextDelta(clean(text or ""), read_old_logprobs(logprobs) if logprobs else None))
            self._pieces += 1
        if reason := choice.get("finish_reason"):
            self._ended(reason)


def clean(text: Any) -> str:
    """A text as databases keep it, which is without NUL.

    :raises TypeError: it is no text.
    """
    if type(text) is not str:
        raise TypeError
    return text.replace("\x00", "") if "\x00" in text else text


def read_logprobs(entries: Any) -> list[dict[str, Any]] | None:
    """OpenAI's entries with the fields that they have, and no others."""
    if not entries:
        return None
    return [
        {**_token(entry), "top_logprobs": [_token(other) for other in _bounded(entry.get("top_logprobs"))]}
        for entry in entries
    ]


def _token(entry: dict[str, Any]) -> dict[str, Any]:
    token = clean(entry["token"])
    raw = entry.get("bytes")
    if raw is not None and not all(type(number) is int and 0 <= number < 256 for number in raw):
        raise ValueError("bytes that are none")
    return {"token": token, "logprob": _probability(entry["logprob"]), "bytes": raw}


def _probability(value: Any) -> float:
    if type(value) not in (float, int) or not -1e9 < value <= 1e-3:
        raise ValueError("a logarithm of no probability")
    return float(value)


def _bounded(entries: Any) -> Any:
    return (entries or [])[:MAXIMUM_ALTERNATIVES]


def read_old_logprobs(logprobs: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The four parallel lists of text completions as entries of chats; the first token of a prompt has no logprob."""
    tokens = logprobs.get("tokens") or []
    values = logprobs.get("token_logprobs") or []
    others = logprobs.get("top_logprobs") or []
    if not len(tokens) == len(values) or len(others) not in (0, len(tokens)):
        raise ValueError("lists of different lengths")
    entries = []
    for token, value, other in zip_longest(tokens, values, others):
        ranked = list((other or {}).items())[:MAXIMUM_ALTERNATIVES]
        entries.append(
            {
                "token": clean(token),
                "logprob": None if value is None else _probability(value),
                "bytes": list(token.encode()),
                "top_logprobs": [
                    {"token": clean(name), "logprob": _probability(chance), "bytes": list(name.encode())}
                    for name, chance in ranked
                ],
            }
        )
    return entries or None


def _reported(chunk: dict[str, Any], key: str) -> str:
    """A failure that is told inside the stream."""
    if "error" not in chunk:
        return NOT_OPENAI
    said = sanitised(message_of(chunk), key)
    return f"The engine failed in the middle of the answer{said and ': ' + said}"
