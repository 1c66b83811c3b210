"""The state of one model call: which engine is asked next, what it may use, and what it took in the end."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog
from django.utils import timezone

from inference import metrics, services
from inference.adapters.base import Endpoint
from inference.adapters.transport import transport
from inference.calls import CompletionRequest
from inference.chat import ChatRequest, EngineBusy, EngineUnavailable, InferenceError, Usage
from inference.gateway import balance, breaker, routing
from inference.gateway.allowances import Denial, Grant, Request, Wish, prompt_tokens
from inference.gateway.ledger import ledger, reservations_of
from inference.gateway.routing import Candidate, Route
from inference.models import UsageRecord
from inference.resolution import MAXIMUM_NAME, Ability
from inference.usage import Ended
from sovereign.core.database import in_database
from sovereign.core.ids import new_id

log = structlog.get_logger(__name__)

#: what another engine may do better, as long as nothing was begun
PASSED_ON = frozenset({"server_error", "rate_limit_exceeded", "model_not_found"})
PATIENCE = 10.0  # seconds after which an engine that failed is not followed by another: enough was waited for
TRIES = 3  # engines that may fail before one is believed
LEFT_ALONE = "The engines of {} failed again and again; they are left alone for a moment."


class ModelCall:
    """The state of one call, from the request until it is accounted for."""

    def __init__(self, request: Request, ability: Ability) -> None:
        self.request = request  # with a bound, where tokens are limited
        self.pieces = 0  # of the answer, given out
        self.is_broken = False  # by an error of our own
        self._id = new_id("call_")
        self._ability = ability
        self._asked = request.model
        self._ledger = ledger()
        self._loop = asyncio.get_running_loop()
        self._begun = self._sent = self._loop.time()
        self._first: float | None = None
        self._routes: list[Route] = []  # those that were not tried yet
        self._meant: Route | None = None  # of the model itself
        self._knows_fallbacks = False
        self._waiting: list[Candidate] = []  # of the route that is tried
        self._last: Candidate | None = None  # the engine that was asked last …
        self._is_asked = False  # … and whether it still is
        self._grant: Grant | None = None
        self._failure: InferenceError | None = None
        self._failures = 0
        self._is_over = False

    # ------------------------------------------------------------------------------------- engines

    async def next(self) -> Endpoint:
        """The next engine to ask.

        :raises EngineUnavailable: there is none.
        :raises InferenceError: what the last one answered, or more is wanted than is allowed.
        """
        if self._meant is None:
            await self._find_routes()
        while True:
            while not self._waiting:
                await self._next_route()
            candidate = self._waiting.pop(0)
            if breaker.begin(candidate.endpoint.engine_id) and await self._is_allowed(candidate):
                return self._send(candidate)

    async def _find_routes(self) -> None:
        project = self.request.attribution.project
        self._routes = await in_database(routing.routes, self._asked, project, self._ability)
        self._meant = self._routes[0]
        self._knows_fallbacks = not self._meant.candidates
        transport().record_tokens_with(_record_token)

    async def _next_route(self) -> None:
        """Queue the engines of the next model that may answer.

        :raises InferenceError: there is none.
        """
        assert self._meant is not None
        if not self._routes and not self._knows_fallbacks:
            project = self.request.attribution.project
            self._routes = await in_database(routing.fallback_routes, self._meant.model, project, self._ability)
            self._knows_fallbacks = True
        if not self._routes:
            raise self._failure or EngineUnavailable(self._meant.reason or LEFT_ALONE.format(self._meant.model))
        candidates = [c for c in self._routes.pop(0).candidates if breaker.lets_through(c.endpoint.engine_id)]
        self._waiting = balance.ranked(self._suited(candidates), balance.conversation_of(self.request))

    def _suited(self, candidates: list[Candidate]) -> list[Candidate]:
        """Those that can go on with a cut answer, where one has to be."""
        if not getattr(self.request, "continues", False):
            return candidates
        return [candidate for candidate in candidates if candidate.endpoint.capabilities.continuation] or candidates

    async def _is_allowed(self, candidate: Candidate) -> bool:
        """Reserve what the call may use there; false where only the engine's provider has nothing left.

        :raises InferenceError: the key or the project has nothing left.
        """
        context_length = candidate.endpoint.capabilities.context_length
        wish = Wish(self.request, candidate.provider, context_length, asks_owner=self._grant is None)
        given = await self._ledger.reserve(wish)
        if isinstance(given, Denial):
            if not given.by_provider:
                raise given.error()
            self._failure = given.error()
        owner = given.owner if self._grant is None else self._grant.owner
        self._grant = Grant(owner, given.provider if isinstance(given, Grant) else None)
        if given.bound is not None and isinstance(self.request, ChatRequest | CompletionRequest):
            self.request = replace(self.request, max_tokens=given.bound)
        return isinstance(given, Grant)

    def _send(self, candidate: Candidate) -> Endpoint:
        endpoint = candidate.endpoint
        if self._last is None:
            metrics.ACTIVE.inc()
        self._last, self._is_asked, self._sent = candidate, True, self._loop.time()
        balance.under_way[endpoint.engine_id] += 1
        return endpoint

    def _leave_engine(self) -> Candidate:
        """The engine is not asked any more."""
        assert self._last is not None
        self._is_asked = False
        balance.leave(self._last.endpoint.engine_id)
        return self._last

    # ------------------------------------------------------------------------------------- what becomes of it

    def begin_answer(self) -> None:
        """The first piece is there: from now on no other engine is asked."""
        assert self._last is not None
        assert self._meant is not None
        model, self._first = self._last.endpoint.model, self._loop.time()
        metrics.FIRST_TOKEN.labels(model).observe(self._first - self._sent)
        if model != self._meant.model:
            metrics.FALLBACKS.labels(self._meant.model, model).inc()

    async def finish(self, reason: str, usage: Usage) -> None:
        """The engine is done; returns when that is written down."""
        candidate = self._leave_engine()
        breaker.succeed(candidate.endpoint.engine_id)
        await self._ledger.written(self._end(reason, usage))

    async def fail(self, error: InferenceError) -> None:
        """The engine failed; returns where another may be asked.

        :raises InferenceError: ``error``, where its answer had begun, or another engine would do no better.
        """
        endpoint = self._leave_engine().endpoint
        log.warning("model_call_failed", model=endpoint.model, engine=endpoint.engine_id, error=error.message)
        is_busy = isinstance(error, EngineBusy)
        if error.code == "server_error" and not is_busy and breaker.fail(endpoint.engine_id):
            log.warning("engine_left_alone", model=endpoint.model, engine=endpoint.engine_id)
        if isinstance(error, EngineUnavailable) and not is_busy:
            await in_database(
                services.mark_down, engine_id=endpoint.engine_id, reason=error.message, base_url=endpoint.base_url
            )
        if self.pieces or not self._may_pass_on(error):
            await self._ledger.written(self._end(error.code, self._counted()))
            raise error
        self._failure = error
        self._give_back_providers()
        metrics.PASSED_OVER.labels(endpoint.model).inc()

    def _may_pass_on(self, error: InferenceError) -> bool:
        if isinstance(error, EngineUnavailable):
            return True
        self._failures += 1
        in_time = self._loop.time() - self._sent < PATIENCE
        return error.code in PASSED_ON and self._failures < TRIES and in_time

    def _give_back_providers(self) -> None:
        """What was reserved of a provider that did not answer; it was a request all the same."""
        if self._grant is not None and self._grant.provider is not None:
            self._ledger.write(Ended(None, reserved=(self._grant.provider,)))
            self._grant = Grant(self._grant.owner)

    def leave(self) -> None:
        """Nobody reads on, or there is nothing more to be read."""
        if self._is_over:
            return
        if self._is_asked:
            self._leave_engine()
            ended = self._end("server_error" if self.is_broken else "cancelled", self._counted(is_cut=True))
        else:
            ended = self._end(self._failure.code if self._failure is not None else "cancelled", Usage(0, 0))
        if ended.row is not None or ended.reserved:
            self._ledger.write(ended)

    def _counted(self, *, is_cut: bool = False) -> Usage:
        """Of an answer that has no end: its pieces, and a prompt that was read for them or was being read."""
        return Usage(prompt_tokens(self.request) if self.pieces or is_cut else 0, self.pieces)

    def _end(self, outcome: str, usage: Usage) -> Ended:
        """The call is over; what is to be written about it."""
        self._is_over = True
        reserved = reservations_of(self._grant) if self._grant is not None else ()
        if self._last is None:
            return Ended(None, reserved=reserved)
        model = self._last.endpoint.model
        metrics.ACTIVE.dec()
        metrics.CALLS.labels(model, outcome).inc()
        _count(model, usage)
        provider_id = self._last.provider.pk if self._last.provider is not None else None
        row = self._row(self._last, outcome, usage)
        return Ended(row, provider_id, reserved, usage.prompt_tokens + usage.completion_tokens)

    def _row(self, candidate: Candidate, outcome: str, usage: Usage) -> UsageRecord:
        whose, instant = self.request.attribution, timezone.now()
        return UsageRecord(
            id=self._id,
            project_id=whose.project,
            key_id=whose.key,
            user_id=whose.user,
            assistant_id=whose.assistant,
            thread_id=whose.thread,
            run_id=whose.run,
            purpose=whose.purpose[:32],
            asked=self._asked[:MAXIMUM_NAME],
            model=candidate.endpoint.model,
            engine_id=candidate.endpoint.engine_id,
            provider=candidate.provider.name if candidate.provider is not None else "",
            outcome=outcome[:32],
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            completion_tokens=usage.completion_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            queue_ms=_milliseconds(self._sent - self._begun),
            first_token_ms=None if self._first is None else _milliseconds(self._first - self._sent),
            total_ms=_milliseconds(self._loop.time() - self._begun),
            day=instant.date(),
            created_at=instant,
        )


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1_000))


def _count(model: str, usage: Usage) -> None:
    metrics.TOKENS.labels(model, "prompt").inc(usage.prompt_tokens)
    metrics.TOKENS.labels(model, "completion").inc(usage.completion_tokens)
    metrics.TOKENS.labels(model, "cached").inc(usage.cached_tokens)


async def _record_token(engine_id: str) -> None:
    await in_database(services.record_token, engine_id=engine_id)
