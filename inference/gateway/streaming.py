"""One model call: engines in their order, until one of them begins to answer; what it took is counted at its end.

Another engine is asked only as long as nothing of the answer was given out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeVar

from inference import pictures
from inference.adapters import adapter_for
from inference.adapters.base import Adapter, Endpoint
from inference.calls import CompletionRequest, Embedded, EmbeddingRequest, Moderated, ModerationRequest
from inference.chat import Attribution, ChatRequest, Delta, Finished, InferenceError
from inference.gateway.allowances import Request, places
from inference.gateway.modelcall import ModelCall
from inference.naming import Ability
from sovereign.core.database import in_database

T = TypeVar("T", Embedded, Moderated)

UNFINISHED = "The engine's answer ended without being finished."


def stream(request: ChatRequest, *, engine_id: str | None = None) -> AsyncGenerator[Delta, None]:
    """The deltas of one model call: always exactly one ``Finished`` at the end, or an error.

    Closing the iterator closes the upstream connection.

    :param engine_id: the only engine that is asked, for who wants to know whether that one works.
    :raises EngineUnavailable: nothing can serve the model now; nothing was begun.
    :raises InferenceError: the call failed.
    """
    if pictures.has_stored(request):
        return _deltas(request, "chat", _with_pictures, engine_id)
    return _deltas(request, "chat", lambda adapter, endpoint, asked: adapter.stream(endpoint, asked), engine_id)


async def _with_pictures(adapter: Adapter, endpoint: Endpoint, asked: ChatRequest) -> AsyncGenerator[Delta, None]:
    shown = await pictures.shown(asked, sees=endpoint.capabilities.vision)
    async with aclosing(adapter.stream(endpoint, shown)) as deltas:
        async for delta in deltas:
            yield delta


def complete(request: CompletionRequest) -> AsyncGenerator[Delta, None]:
    """As ``stream``, of a text that is continued."""
    return _deltas(request, "completions", lambda adapter, endpoint, asked: adapter.complete(endpoint, asked))


async def in_turns(
    calls: Sequence[AsyncGenerator[Delta, None]], whose: Attribution
) -> list[AsyncGenerator[Delta, None]]:
    """The calls of one request, so that no more of them run at once than may: none is refused because of the others.

    :param calls: of ``stream`` or ``complete``, not begun.
    """
    limited = (await in_database(places, [whose])).values() if len(calls) > 1 else ()
    if not limited:
        return list(calls)
    turn = asyncio.Semaphore(min(max(1, limit.most - limit.taken) for limit in limited))
    return [_in_turn(call, turn) for call in calls]


async def _in_turn(call: AsyncGenerator[Delta, None], turn: asyncio.Semaphore) -> AsyncGenerator[Delta, None]:
    async with turn, aclosing(call):
        async for delta in call:
            yield delta


async def embed(request: EmbeddingRequest, *, engine_id: str | None = None) -> Embedded:
    """:raises InferenceError: as ``stream``."""
    call = ModelCall(request, "embeddings", engine_id)
    return await _whole(call, lambda adapter, endpoint: adapter.embed(endpoint, request))


async def moderate(request: ModerationRequest) -> Moderated:
    """:raises InferenceError: as ``stream``."""
    call = ModelCall(request, "moderations")
    return await _whole(call, lambda adapter, endpoint: adapter.moderate(endpoint, request))


async def _deltas(
    request: Request,
    ability: Ability,
    ask: Callable[[Adapter, Endpoint, Any], AsyncGenerator[Delta, None]],
    engine_id: str | None = None,
) -> AsyncGenerator[Delta, None]:
    call = ModelCall(request, ability, engine_id)
    try:
        while True:
            endpoint = await call.next()
            try:
                async with aclosing(ask(adapter_for(endpoint.kind), endpoint, call.request)) as deltas:
                    async for delta in deltas:
                        if type(delta) is Finished:
                            yield Finished(delta.reason, await call.finish(delta.reason, delta.usage))
                            return
                        call.take(delta)
                        yield delta
                raise InferenceError(UNFINISHED)
            except InferenceError as error:
                await call.fail(error)
    except Exception:
        call.is_broken = True
        raise
    finally:
        call.leave()


async def _whole(call: ModelCall, ask: Callable[[Adapter, Endpoint], Awaitable[T]]) -> T:
    try:
        while True:
            endpoint = await call.next()
            try:
                answer = await ask(adapter_for(endpoint.kind), endpoint)
            except InferenceError as error:
                await call.fail(error)
                continue
            return replace(answer, usage=await call.finish("stop", answer.usage))
    except Exception:
        call.is_broken = True
        raise
    finally:
        call.leave()
