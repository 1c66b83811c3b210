"""The calls beside chats: text completions, embeddings and moderations. What they share with chats is in ``chat``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from inference.chat import NOBODY, Attribution, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """One text to be continued, without a chat's template. ``prompt`` is text, or token ids of the model's own."""

    model: str
    prompt: str | list[int]
    suffix: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: list[str] = field(default_factory=list)
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: int | None = None
    echo: bool = False
    end_user: str | None = None
    attribution: Attribution = NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingRequest:
    """Texts (or lists of token ids) to be made vectors of, ``dimensions`` wide where the model can cut them."""

    model: str
    texts: list[str] | list[list[int]]
    dimensions: int | None = None
    end_user: str | None = None
    attribution: Attribution = NOBODY


@dataclass(frozen=True, slots=True)
class Embedded:
    """One vector for each text, in their order."""

    vectors: list[list[float]]
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ModerationRequest:
    """Inputs to be judged, each OpenAI's: a text, or a part of ``{"type": "text" | "image_url"}``."""

    model: str
    inputs: list[Any]
    attribution: Attribution = NOBODY


@dataclass(frozen=True, slots=True)
class Moderated:
    """OpenAI's ``results``, one for each input."""

    results: list[dict[str, Any]]
    usage: Usage
