"""The sentence embedder that lives in this process: as an adapter, so that it is called like any other model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore, Event

from inference.adapters.base import Endpoint, Served
from inference.calls import CompletionRequest, Embedded, EmbeddingRequest, Moderated, ModerationRequest
from inference.chat import ChatRequest, Delta, EngineBusy, InferenceError, Usage
from inference.embedder import EmbedderError, TextTooLong, local_embedder, why_none

ONLY_TEXTS = "This embedder reads texts, not token ids."
FULL = "The embedder has as many texts waiting as it takes."
RETRY_AFTER = 1.0  # seconds
WORKERS = 2
MAXIMUM_JOBS = 64  # requests, those that wait among them
TEXTS_AT_ONCE = 64  # between so many it is asked whether anybody still waits

#: not the loop's own threads: names are looked up in those, and must not wait for texts
_workers = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="embedder")
_places = BoundedSemaphore(MAXIMUM_JOBS)


class LocalEmbedding:
    """See :class:`inference.adapters.base.Adapter`; it keeps no state."""

    def stream(self, endpoint: Endpoint, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        raise _unsupported(endpoint)

    def complete(self, endpoint: Endpoint, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        raise _unsupported(endpoint)

    async def moderate(self, endpoint: Endpoint, request: ModerationRequest) -> Moderated:
        raise _unsupported(endpoint)

    async def embed(self, endpoint: Endpoint, request: EmbeddingRequest) -> Embedded:
        """In a thread: numpy and the tokenizer leave the loop alone.

        :raises EngineBusy: too many wait for it.
        """
        if not _places.acquire(blocking=False):
            raise EngineBusy(FULL, retry_after=RETRY_AFTER)
        is_given_up = Event()
        job = _workers.submit(_embed, request, is_given_up)
        job.add_done_callback(lambda _: _places.release())
        try:  # shielded: the place is free when the work has ended, and not before
            return await asyncio.shield(asyncio.wrap_future(job))
        finally:
            is_given_up.set()

    async def list_models(self, endpoint: Endpoint) -> Served:
        embedder = local_embedder()
        if embedder is None:
            return Served([])
        return Served([{"id": embedder.name, "context_length": embedder.context_length}])


def _embed(request: EmbeddingRequest, is_given_up: Event) -> Embedded:
    """What is made when ``is_given_up`` is set is incomplete, and for nobody.

    :raises InferenceError: no embedder, or not one for these texts.
    """
    embedder = local_embedder()
    if embedder is None:
        raise InferenceError(why_none())
    texts = [text for text in request.texts if isinstance(text, str)]
    if len(texts) != len(request.texts):
        raise InferenceError(ONLY_TEXTS, "invalid_prompt", param="input")
    vectors: list[list[float]] = []
    tokens = begin = 0
    try:
        for begin in range(0, len(texts), TEXTS_AT_ONCE):
            if is_given_up.is_set():
                break
            found = embedder.embed_counted(texts[begin : begin + TEXTS_AT_ONCE], request.dimensions)
            vectors += found.vectors
            tokens += sum(found.tokens)
    except TextTooLong as error:
        raise InferenceError(f"input[{begin + error.index}]: {error}", "invalid_prompt", param="input") from None
    except ValueError as error:
        raise InferenceError(str(error), "invalid_prompt", param="dimensions") from None
    except EmbedderError as error:
        raise InferenceError(str(error)) from None
    return Embedded(vectors, Usage(tokens, 0))


def _unsupported(endpoint: Endpoint) -> InferenceError:
    return InferenceError(f"The model '{endpoint.model}' makes embeddings only.", "unsupported", param="model")
