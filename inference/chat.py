"""The contract between the rooms above and any provider of models: one request, one stream of deltas.

It follows OpenAI's chat completions, since every engine speaks that dialect; what differs is an adapter's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """For whom a call is made: ids for usage rows and limits. ``project`` also decides what may be used."""

    project: str | None = None
    key: str | None = None
    user: str | None = None
    assistant: str | None = None
    thread: str | None = None
    run: str | None = None
    purpose: str = ""  # "run", "chat", "embedding" …


NOBODY = Attribution()  # the house itself


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One model call.

    ``model`` is the name that was asked for; the gateway resolves it. ``messages`` and ``tools`` are OpenAI's.
    ``continues``: the last message is a cut answer of the assistant, and the stream holds only what comes after it.
    """

    model: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] = field(default_factory=list)
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool = True
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    response_format: dict[str, Any] | str | None = None
    reasoning_effort: str | None = None
    stop: list[str] = field(default_factory=list)
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool = False
    top_logprobs: int | None = None
    end_user: str | None = None  # OpenAI's ``user``: told to providers as it is
    continues: bool = False
    attribution: Attribution = NOBODY


@dataclass(slots=True)
class Usage:
    """Tokens of one call, as the engine counted them; ``cached_tokens`` are among ``prompt_tokens``."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(slots=True)
class TextDelta:
    """``logprobs``: OpenAI's entries (token, logprob, bytes, top_logprobs) of the tokens that ``text`` is made of."""

    text: str
    logprobs: list[dict[str, Any]] | None = None


@dataclass(slots=True)
class ReasoningDelta:
    """What a model thinks before it answers; no part of the answer."""

    text: str


@dataclass(slots=True)
class RefusalDelta:
    """A piece of a refusal, which stands in place of the answer."""

    text: str


@dataclass(slots=True)
class ToolCallDelta:
    """A piece of the tool call number ``index``: id and name come with its first piece."""

    index: int
    id: str | None
    name: str | None
    arguments: str


@dataclass(slots=True)
class Finished:
    """The last delta of every stream that did not fail."""

    reason: FinishReason
    usage: Usage


Delta = TextDelta | ReasoningDelta | RefusalDelta | ToolCallDelta | Finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an engine can do with a model; ``context_length`` in tokens, prompt and answer together."""

    chat: bool = True
    streaming: bool = True
    tools: bool = True
    json_schema: bool = False
    logprobs: bool = False
    vision: bool = False
    completions: bool = False  # text continued, without a chat's template
    embeddings: bool = False
    moderations: bool = False
    continuation: bool = False
    context_length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """Whether a model can be called now; if not, ``reason`` is one sentence for people."""

    ready: bool
    reason: str = ""
    capabilities: Capabilities = Capabilities()


class InferenceError(Exception):
    """A model call that failed.

    :ivar code: ``server_error``, ``rate_limit_exceeded`` or ``invalid_prompt``, as in a run's ``last_error``;
        ``unsupported`` for what this kind of provider or model cannot do.
    :ivar message: one sentence for the client, free of secrets.
    :ivar param: the request's field that was refused, where one was.
    :ivar retry_after: seconds after which another try makes sense, where that is known.
    :ivar type: what there was too much of, where there was: ``requests`` or ``tokens``.
    :ivar detail: the message for those who run the house, where it may name hosts and variables.
    :ivar is_answer: the engine said so itself, in a whole answer: it lives.
    """

    is_answer = False

    def __init__(
        self,
        message: str,
        code: str = "server_error",
        *,
        param: str | None = None,
        retry_after: float | None = None,
        headers: dict[str, str] | None = None,
        type: str = "requests",
        detail: str = "",
    ) -> None:
        super().__init__(message)
        self.detail = detail or message
        self.message = message
        self.code = code
        self.param = param
        self.retry_after = retry_after
        self.headers = headers or {}
        self.type = type


class EngineUnavailable(InferenceError):
    """Nothing can serve this model now, and nothing of the call was begun: it may be tried again later."""


class EngineBusy(EngineUnavailable):
    """The engine lives, and took nothing of the call: it has too much to do, or we had our share of it."""


class TooManyCalls(InferenceError):
    """As many model calls run as the limits of the house allow at once: it may be tried again when one has ended."""
