"""The sentence embedder that lives in this process: as an adapter, so that it is called like any other model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from inference.adapters.base import Endpoint, Served
from inference.calls import CompletionRequest, Embedded, EmbeddingRequest, Moderated, ModerationRequest
from inference.chat import ChatRequest, Delta, InferenceError, Usage
from inference.embedder import EmbedderError, TextTooLong, local_embedder, why_none

ONLY_TEXTS = "This embedder reads texts, not token ids."


class LocalEmbedding:
    """See :class:`inference.adapters.base.Adapter`; it keeps no state."""

    def stream(self, endpoint: Endpoint, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        raise _unsupported(endpoint)

    def complete(self, endpoint: Endpoint, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        raise _unsupported(endpoint)

    async def moderate(self, endpoint: Endpoint, request: ModerationRequest) -> Moderated:
        raise _unsupported(endpoint)

    async def embed(self, endpoint: Endpoint, request: EmbeddingRequest) -> Embedded:
        """In a thread: numpy and the tokenizer leave the loop alone."""
        return await asyncio.to_thread(_embed, request)

    async def list_models(self, endpoint: Endpoint) -> Served:
        embedder = local_embedder()
        if embedder is None:
            return Served([])
        return Served([{"id": embedder.name, "context_length": embedder.context_length}])


def _embed(request: EmbeddingRequest) -> Embedded:
    """:raises InferenceError: no embedder, or not one for these texts."""
    embedder = local_embedder()
    if embedder is None:
        raise InferenceError(why_none())
    texts = [text for text in request.texts if isinstance(text, str)]
    if len(texts) != len(request.texts):
        raise InferenceError(ONLY_TEXTS, "invalid_prompt", param="input")
    try:
        found = embedder.embed_counted(texts, request.dimensions)
    except TextTooLong as error:
        raise InferenceError(f"input[{error.index}]: {error}", "invalid_prompt", param="input") from None
    except ValueError as error:
        raise InferenceError(str(error), "invalid_prompt", param="dimensions") from None
    except EmbedderError as error:
        raise InferenceError(str(error)) from None
    return Embedded(found.vectors, Usage(sum(found.tokens), 0))


def _unsupported(endpoint: Endpoint) -> InferenceError:
    return InferenceError(f"The model '{endpoint.model}' makes embeddings only.", "unsupported", param="model")
