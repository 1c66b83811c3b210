"""The contract between the rooms above and any provider of models: one request, one stream of deltas.

It follows OpenAI's chat completions, since every engine speaks that dialect; what differs is an adapter's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One model call.

    ``model`` is the name that was asked for; the gateway resolves it. ``messages`` and ``tools`` are OpenAI's.
    ``continues``: the last message is a cut answer of the assistant, and the stream holds only what comes after it.
    ``attribution`` is opaque here: project, key, assistant, run, purpose.
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
    continues: bool = False
    attribution: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Usage:
    """Tokens of one call, as the engine counted them; ``cached_tokens`` are among ``prompt_tokens``."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(slots=True)
class TextDelta:
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


Delta = TextDelta | ToolCallDelta | Finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an engine can do; ``context_length`` in tokens, prompt and answer together."""

    streaming: bool = True
    tools: bool = True
    json_schema: bool = False
    vision: bool = False
    embeddings: bool = False
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

    :ivar code: ``server_error``, ``rate_limit_exceeded`` or ``invalid_prompt``, as in a run's ``last_error``.
    :ivar message: one sentence for the client, free of secrets.
    """

    def __init__(self, message: str, code: str = "server_error") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class EngineUnavailable(InferenceError):
    """Nothing can serve this model now, and nothing of the call was begun: it may be tried again later."""
