"""Answers of chats as the original service writes them: whole, and in chunks."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from inference.api.pump import PIECE, weight
from inference.chat import Delta, Finished, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta, Usage
from sovereign.core.ids import new_id

DONE = b"data: [DONE]\n\n"
TIER = "default"


@dataclass(frozen=True, slots=True)
class Style:
    """How the answers of one request are written.

    :ivar old: the request had ``functions``, so that the answer has a ``function_call``.
    :ivar forced: a certain function had to be called.
    :ivar counts: a stream ends with the usage.
    """

    choices: int = 1
    old: bool = False
    forced: bool = False
    counts: bool = False

    def reason(self, reason: str) -> str:
        if reason != "tool_calls":
            return reason
        return "stop" if self.forced else "function_call" if self.old else reason


@dataclass(frozen=True, slots=True)
class Heading:
    """What an answer and all of its chunks begin with."""

    id: str
    created: int
    model: str

    @property
    def fingerprint(self) -> str:
        return f"fp_{hashlib.sha256(self.model.encode()).hexdigest()[:10]}"


def heading(prefix: str, model: str) -> Heading:
    return Heading(new_id(prefix), int(time.time()), model)


def usage_of(usages: Iterable[Usage]) -> dict[str, Any]:
    """The tokens of a request: its prompt was read once, however many answers it got."""
    counted = list(usages)
    prompt = max((usage.prompt_tokens for usage in counted), default=0)
    cached = max((usage.cached_tokens for usage in counted), default=0)
    return render_usage(
        Usage(
            prompt,
            sum(usage.completion_tokens for usage in counted),
            cached,
            sum(usage.reasoning_tokens for usage in counted),
        )
    )


def render_usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


@dataclass(slots=True)
class Choice:
    """One answer, as it is put together from its deltas."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    logprobs: list[bytes] | None = None  # written already: as objects they take some ten times as much
    finished: Finished | None = None

    def add(self, delta: Delta) -> int:
        """:returns: about how many bytes more are kept."""
        match delta:
            case TextDelta():
                self.text.append(delta.text)
                if delta.logprobs:
                    written = orjson.dumps(delta.logprobs)[1:-1]
                    self.logprobs = self.logprobs or []
                    self.logprobs.append(written)
                    return weight(TextDelta(delta.text)) + PIECE + len(written)
            case ReasoningDelta():
                self.reasoning.append(delta.text)
            case RefusalDelta():
                self.refusal.append(delta.text)
            case ToolCallDelta():
                self._add_call(delta)
            case Finished():
                self.finished = delta
        return weight(delta)

    def _add_call(self, delta: ToolCallDelta) -> None:
        call = self.calls.setdefault(delta.index, {"id": new_id("call_"), "name": "", "arguments": []})
        call["id"] = delta.id or call["id"]
        call["name"] = delta.name or call["name"]
        call["arguments"].append(delta.arguments)

    def message(self, style: Style) -> dict[str, Any]:
        text, refusal = "".join(self.text), "".join(self.refusal)
        message: dict[str, Any] = {"role": "assistant", "content": text or (None if refusal or self.calls else "")}
        functions = [
            {"name": call["name"], "arguments": "".join(call["arguments"])} for _, call in sorted(self.calls.items())
        ]
        if functions and style.old:
            message["function_call"] = functions[0]
        elif functions:
            ids = [call["id"] for _, call in sorted(self.calls.items())]
            message["tool_calls"] = [
                {"id": identifier, "type": "function", "function": function}
                for identifier, function in zip(ids, functions, strict=True)
            ]
        message |= {"refusal": refusal or None, "annotations": []}
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        return message

    def render(self, index: int, style: Style) -> dict[str, Any]:
        logprobs = None if self.logprobs is None else {"content": joined(self.logprobs), "refusal": None}
        assert self.finished is not None  # else the call has failed
        return {
            "index": index,
            "message": self.message(style),
            "logprobs": logprobs,
            "finish_reason": style.reason(self.finished.reason),
        }


def joined(written: list[bytes]) -> orjson.Fragment:
    """A list of JSON whose elements are written already."""
    return orjson.Fragment(b"[%s]" % b",".join(written))


def render_chat(heading: Heading, choices: list[Choice], style: Style) -> dict[str, Any]:
    """A whole answer (``chat.completion``); its logprobs are written already."""
    return {
        "id": heading.id,
        "object": "chat.completion",
        "created": heading.created,
        "model": heading.model,
        "choices": [choice.render(index, style) for index, choice in enumerate(choices)],
        "usage": usage_of(choice.finished.usage for choice in choices if choice.finished),
        "service_tier": TIER,
        "system_fingerprint": heading.fingerprint,
    }


class ChatChunks:
    """The frames of a streamed answer. What all chunks share is written once; of a piece of text only that is new."""

    def __init__(self, heading: Heading, style: Style) -> None:
        head = orjson.dumps(
            {
                "id": heading.id,
                "object": "chat.completion.chunk",
                "created": heading.created,
                "model": heading.model,
                "service_tier": TIER,
                "system_fingerprint": heading.fingerprint,
            }
        )
        self._style = style
        self._head = b"data: " + head[:-1]
        self._end = (b',"usage":null' if style.counts else b"") + b"}\n\n"
        self._before = [b'%s,"choices":[{"index":%d,"delta":' % (self._head, n) for n in range(style.choices)]
        self._after = b',"logprobs":null,"finish_reason":null}]' + self._end
        self._begun = [False] * style.choices
        self._usages: list[Usage] = []

    def frames(self, number: int, delta: Delta) -> bytes:
        """The frames of one delta of answer ``number``: the first has the role before it."""
        frame = self._frame(number, delta)
        if self._begun[number]:
            return frame
        self._begun[number] = True
        opening = {"role": "assistant", "content": None if type(delta) is ToolCallDelta else "", "refusal": None}
        return self._chunk(number, orjson.dumps(opening)) + frame

    def _frame(self, number: int, delta: Delta) -> bytes:
        if type(delta) is TextDelta:
            content = b'{"content":%s}' % orjson.dumps(delta.text)
            if delta.logprobs is None:
                return self._before[number] + content + self._after
            return self._chunk(number, content, delta.logprobs)
        if type(delta) is ToolCallDelta:
            return self._call(number, delta)
        if type(delta) is ReasoningDelta:
            return self._chunk(number, b'{"reasoning_content":%s}' % orjson.dumps(delta.text))
        if type(delta) is RefusalDelta:
            return self._chunk(number, b'{"refusal":%s}' % orjson.dumps(delta.text))
        assert type(delta) is Finished
        self._usages.append(delta.usage)
        reason = orjson.dumps(self._style.reason(delta.reason))
        return b'%s{},"logprobs":null,"finish_reason":%s}]%s' % (self._before[number], reason, self._end)

    def _chunk(self, number: int, delta: bytes, logprobs: list[dict[str, Any]] | None = None) -> bytes:
        if logprobs is None:
            return self._before[number] + delta + self._after
        told = orjson.dumps({"content": logprobs, "refusal": None})
        return b'%s%s,"logprobs":%s,"finish_reason":null}]%s' % (self._before[number], delta, told, self._end)

    def _call(self, number: int, delta: ToolCallDelta) -> bytes:
        function: dict[str, Any] = {"arguments": delta.arguments}
        if delta.name is not None:
            function = {"name": delta.name, **function}
        if self._style.old:
            return self._chunk(number, orjson.dumps({"function_call": function})) if delta.index == 0 else b""
        call: dict[str, Any] = {"index": delta.index}
        if delta.name is not None:
            call |= {"id": delta.id or new_id("call_"), "type": "function"}
        return self._chunk(number, orjson.dumps({"tool_calls": [{**call, "function": function}]}))

    def ending(self) -> bytes:
        """What comes after the last answer has ended."""
        if not self._style.counts:
            return DONE
        return b'%s,"choices":[],"usage":%s}\n\n%s' % (self._head, orjson.dumps(usage_of(self._usages)), DONE)


class ChatAnswer:
    """A whole answer, put together from the deltas of all of its choices."""

    def __init__(self, heading: Heading, style: Style) -> None:
        self.heading = heading
        self._style = style
        self._choices = [Choice() for _ in range(style.choices)]
        self.held = 0

    def add(self, number: int, delta: Delta) -> None:
        self.held += self._choices[number].add(delta)

    def render(self) -> dict[str, Any]:
        return render_chat(self.heading, self._choices, self._style)
