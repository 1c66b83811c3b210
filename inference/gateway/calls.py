"""One model call: engines in their order, until one of them begins to answer; what it took is counted at its end.

Another engine is asked only as long as nothing of the answer was given out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

import structlog

from inference import metrics, services
from inference.adapters import adapter_for
from inference.adapters.base import Adapter, Endpoint
from inference.adapters.transport import transport
from inference.calls import CompletionRequest, Embedded, EmbeddingRequest, Moderated, ModerationRequest
from inference.chat import ChatRequest, Delta, EngineBusy, EngineUnavailable, Finished, InferenceError, Usage
from inference.gateway import balance, breaker, routing
from inference.gateway.routing import Candidate, Route
from inference.resolution import Ability
from sovereign.core.database import in_database

log = structlog.get_logger(__name__)

Request = ChatRequest | CompletionRequest | EmbeddingRequest | ModerationRequest
T = TypeVar("T", Embedded, Moderated)

#: what another engine may do better, as long as nothing was begun
PASSED_ON = frozenset({"server_error", "rate_limit_exceeded", "model_not_found"})
PATIENCE = 10.0  # seconds after which an engine that failed is not followed by another: enough was waited for
TRIES = 3  # engines that may fail before one is believed
LEFT_ALONE = "The engines of {} failed again and again; they are left alone for a moment."
UNFINISHED = "The engine's answer ended without being finished."


def stream(request: ChatRequest) -> AsyncGenerator[Delta, None]:
    """The deltas of one model call: always exactly one ``Finished`` at the end, or an error.

    Closing the iterator closes the upstream connection.

    :raises EngineUnavailable: nothing can serve the model now; nothing was begun.
    :raises InferenceError: the call failed.
    """
    return _deltas(ModelCall(request, "chat"), lambda adapter, endpoint: adapter.stream(endpoint, request))


def complete(request: CompletionRequest) -> AsyncGenerator[Delta, None]:
    """As ``stream``, of a text that is continued."""
    return _deltas(ModelCall(request, "completions"), lambda adapter, endpoint: adapter.complete(endpoint, request))


async def embed(request: EmbeddingRequest) -> Embedded:
    """:raises InferenceError: as ``stream``."""
    call = ModelCall(request, "embeddings")
    return await _whole(call, lambda adapter, endpoint: adapter.embed(endpoint, request))


async def moderate(request: ModerationRequest) -> Moderated:
    """:raises InferenceError: as ``stream``."""
    call = ModelCall(request, "moderations")
    return await _whole(call, lambda adapter, endpoint: adapter.moderate(endpoint, request))


async def _deltas(
    call: ModelCall, ask: Callable[[Adapter, Endpoint], AsyncGenerator[Delta, None]]
) -> AsyncGenerator[Delta, None]:
    try:
        while True:
            endpoint = await call.next()
            try:
                async with aclosing(ask(adapter_for(endpoint.kind), endpoint)) as deltas:
                    async for delta in deltas:
                        if type(delta) is Finished:
                            await call.finish(delta.reason, delta.usage)
                            yield delta
                            return
                        if not call.pieces:
                            call.begin_answer()
                        call.pieces += 1
                        yield delta
                raise InferenceError(UNFINISHED)
            except InferenceError as error:
                await call.fail(error)
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
            await call.finish("stop", answer.usage)
            return answer
    finally:
        call.leave()


class ModelCall:
    """The state of one call, from the request until it is accounted for."""

    def __init__(self, request: Request, ability: Ability) -> None:
        self.pieces = 0  # of the answer, given out
        self._request = request
        self._ability = ability
        self._loop = asyncio.get_running_loop()
        self._begun = self._sent = self._loop.time()
        self._routes: list[Route] = []  # those that were not tried yet
        self._meant: Route | None = None  # of the model itself
        self._knows_fallbacks = False
        self._waiting: list[Candidate] = []  # of the route that is tried
        self._current: Candidate | None = None
        self._failure: InferenceError | None = None
        self._failures = 0
        self._is_active = False

    # ------------------------------------------------------------------------------------- engines

    async def next(self) -> Endpoint:
        """The next engine to ask.

        :raises EngineUnavailable: there is none.
        :raises InferenceError: what the last one answered.
        """
        if self._meant is None:
            await self._find_routes()
        while not self._waiting:
            await self._next_route()
        self._current = self._waiting.pop(0)
        self._send(self._current.endpoint)
        return self._current.endpoint

    async def _find_routes(self) -> None:
        attribution = self._request.attribution
        self._routes = await in_database(routing.routes, self._request.model, attribution.project, self._ability)
        self._meant = self._routes[0]
        self._knows_fallbacks = not self._meant.candidates
        transport().record_tokens_with(_record_token)

    async def _next_route(self) -> None:
        """Queue the engines of the next model that may answer.

        :raises InferenceError: there is none.
        """
        assert self._meant is not None
        if not self._routes and not self._knows_fallbacks:
            project = self._request.attribution.project
            self._routes = await in_database(routing.fallback_routes, self._meant.model, project, self._ability)
            self._knows_fallbacks = True
        if not self._routes:
            raise self._failure or EngineUnavailable(self._meant.reason or LEFT_ALONE.format(self._meant.model))
        candidates = [c for c in self._routes.pop(0).candidates if breaker.lets_through(c.endpoint.engine_id)]
        self._waiting = balance.ranked(self._suited(candidates), balance.conversation_of(self._request))

    def _suited(self, candidates: list[Candidate]) -> list[Candidate]:
        """Those that can go on with a cut answer, where one has to be."""
        if not getattr(self._request, "continues", False):
            return candidates
        return [candidate for candidate in candidates if candidate.endpoint.capabilities.continuation] or candidates

    def _send(self, endpoint: Endpoint) -> None:
        self._sent = self._loop.time()
        breaker.begin(endpoint.engine_id)
        balance.under_way[endpoint.engine_id] += 1
        if not self._is_active:
            self._is_active = True
            metrics.ACTIVE.inc()

    def _leave_engine(self) -> Candidate:
        """The engine is not asked any more."""
        candidate, self._current = self._current, None
        assert candidate is not None
        balance.leave(candidate.endpoint.engine_id)
        return candidate

    # ------------------------------------------------------------------------------------- what becomes of it

    def begin_answer(self) -> None:
        """The first piece is there: from now on no other engine is asked."""
        assert self._current is not None
        assert self._meant is not None
        model = self._current.endpoint.model
        metrics.FIRST_TOKEN.labels(model).observe(self._loop.time() - self._sent)
        if model != self._meant.model:
            metrics.FALLBACKS.labels(self._meant.model, model).inc()

    async def finish(self, reason: str, usage: Usage) -> None:
        """The engine is done; returns when that is written down."""
        candidate = self._leave_engine()
        breaker.succeed(candidate.endpoint.engine_id)
        _count(candidate.endpoint.model, usage)
        self._end(candidate.endpoint.model, reason)

    async def fail(self, error: InferenceError) -> None:
        """The engine failed; returns where another may be asked.

        :raises InferenceError: ``error``, where its answer had begun, or another engine would do no better.
        """
        candidate = self._leave_engine()
        endpoint = candidate.endpoint
        log.warning("model_call_failed", model=endpoint.model, engine=endpoint.engine_id, error=error.message)
        if error.code == "server_error" and breaker.fail(endpoint.engine_id):
            log.warning("engine_left_alone", engine=endpoint.engine_id)
        if isinstance(error, EngineUnavailable) and not isinstance(error, EngineBusy):
            await in_database(
                services.mark_down, engine_id=endpoint.engine_id, reason=error.message, base_url=endpoint.base_url
            )
        if self.pieces or not self._may_pass_on(error):
            self._end(endpoint.model, error.code)
            raise error
        self._failure = error
        metrics.PASSED_OVER.labels(endpoint.model).inc()

    def _may_pass_on(self, error: InferenceError) -> bool:
        if isinstance(error, EngineUnavailable):
            return True
        self._failures += 1
        in_time = self._loop.time() - self._sent < PATIENCE
        return error.code in PASSED_ON and self._failures < TRIES and in_time

    def leave(self) -> None:
        """Nobody reads on, or there is nothing more to be read."""
        if self._current is not None:
            self._end(self._leave_engine().endpoint.model, "cancelled")
        elif self._failure is not None and self._is_active:
            assert self._meant is not None
            self._end(self._meant.model, self._failure.code)

    def _end(self, model: str, outcome: str) -> None:
        if self._is_active:
            self._is_active = False
            metrics.ACTIVE.dec()
            metrics.CALLS.labels(model, outcome).inc()


def _count(model: str, usage: Usage) -> None:
    metrics.TOKENS.labels(model, "prompt").inc(usage.prompt_tokens)
    metrics.TOKENS.labels(model, "completion").inc(usage.completion_tokens)
    metrics.TOKENS.labels(model, "cached").inc(usage.cached_tokens)


async def _record_token(engine_id: str) -> None:
    await in_database(services.record_token, engine_id=engine_id)
