"""The state of one model call: which engine is asked next, what it may use, and what it took in the end."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import replace
from functools import cached_property

import structlog
from django.db import Error as DatabaseError

from inference import metrics, services
from inference.adapters.base import Endpoint
from inference.adapters.transport import transport
from inference.calls import CompletionRequest
from inference.chat import ChatRequest, Delta, EngineBusy, EngineUnavailable, InferenceError, ToolCallDelta, Usage
from inference.gateway import balance, breaker, routing
from inference.gateway.allowances import Denial, Grant, Request, Wish, prompt_tokens
from inference.gateway.ledger import ledger, reservations_of
from inference.gateway.routing import Candidate, Route
from inference.models import UsageRecord
from inference.naming import MAXIMUM_NAME, Ability
from inference.usage import Ended
from sovereign.core.database import in_database
from sovereign.core.ids import new_id

log = structlog.get_logger(__name__)

#: what another engine may do better, as long as nothing was begun
PASSED_ON = frozenset({"server_error", "rate_limit_exceeded", "model_not_found"})
PATIENCE = 9.5  # seconds from a call's beginning in which engines that fail, or are not there, are followed by others
SHORTEST_SEARCH = 0.5  # seconds of them that must be left for another
TRIES = 3  # engines that may fail before one is believed
OTHER = "other"  # the label of models that no engine lists: their names are their callers' inventions
BYTES_OF_TOKEN = 4  # of what was given out, where no engine counted it
LEFT_ALONE = "The engines of {} failed again and again; they are left alone for a moment."


class ModelCall:
    """The state of one call, from the request until it is accounted for.

    :param engine_id: the only engine that may answer; ``None``: any that can.
    """

    def __init__(self, request: Request, ability: Ability, engine_id: str | None = None) -> None:
        self.request = request  # with a bound, where tokens are limited
        self.pieces = 0  # of the answer, given out …
        self._bytes = 0  # … and how large they were
        self.is_broken = False  # by an error of our own
        self._id = new_id("call_")
        self._ability = ability
        self._asked = request.model
        self._only = engine_id
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
        self._try: breaker.Try | None = None  # of the last engine that was to be asked
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
            self._try = breaker.begin(candidate.endpoint.engine_id, candidate.endpoint.model)
            if self._try is None:
                continue
            if await self._is_allowed(candidate):
                return self._send(candidate)
            self._try.release()

    async def _find_routes(self) -> None:
        asked = (self._asked, self.request.attribution.project, self._ability)
        known = routing.routes_in_memory(*asked)
        self._routes = await in_database(routing.routes, *asked) if known is None else known
        if self._only is not None:
            self._routes = [routing.narrowed(self._routes[0], self._only)]
        self._meant = self._routes[0]
        self._knows_fallbacks = not self._meant.candidates or self._only is not None
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
        candidates = [
            candidate
            for candidate in self._routes.pop(0).candidates
            if breaker.lets_through(candidate.endpoint.engine_id, candidate.endpoint.model)
        ]
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
        wish = Wish(self.request, self._prompt, candidate.provider, context_length, asks_owner=self._grant is None)
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

    @cached_property
    def _prompt(self) -> int:
        """About how many tokens the request has."""
        return prompt_tokens(self.request)

    def _send(self, candidate: Candidate) -> Endpoint:
        endpoint = candidate.endpoint
        patience = replace(endpoint.patience, connect=min(endpoint.patience.connect, self._rest))
        if self._last is None:
            metrics.ACTIVE.inc()
        self._last, self._is_asked, self._sent = candidate, True, self._loop.time()
        balance.under_way[endpoint.engine_id] += 1
        return replace(endpoint, patience=patience)

    @property
    def _rest(self) -> float:
        """Seconds that are left for finding an engine; an engine that is asked has a moment in any case."""
        return max(SHORTEST_SEARCH, self._begun + PATIENCE - self._loop.time())

    def _leave_engine(self) -> Candidate:
        """The engine is not asked any more."""
        assert self._last is not None
        self._is_asked = False
        balance.leave(self._last.endpoint.engine_id)
        return self._last

    # ------------------------------------------------------------------------------------- what becomes of it

    def take(self, delta: Delta) -> None:
        """A piece of the answer is about to be given out."""
        if not self.pieces:
            self._begin_answer()
        self.pieces += 1
        self._bytes += len((delta.arguments if type(delta) is ToolCallDelta else delta.text).encode(errors="replace"))  # type: ignore[union-attr]

    def _begin_answer(self) -> None:
        """From now on no other engine is asked."""
        assert self._last is not None
        assert self._meant is not None
        assert self._try is not None
        self._try.begin_answer()
        model, self._first = self._last.endpoint.model, self._loop.time()
        metrics.FIRST_TOKEN.labels(_label(self._last)).observe(self._first - self._sent)
        if model != self._meant.model:
            metrics.FALLBACKS.labels(self._meant.model, model).inc()

    async def finish(self, reason: str, usage: Usage) -> Usage:
        """The engine is done; returns what the call took when that is written down.

        :param usage: as the engine told it; without a prompt it told nothing.
        """
        self._leave_engine()
        assert self._try is not None
        self._try.succeed()
        if not usage.prompt_tokens:
            given = max(usage.completion_tokens, self._given)
            usage = replace(usage, prompt_tokens=self._prompt, completion_tokens=given)
        await self._ledger.written(self._end(reason, usage))
        return usage

    async def fail(self, error: InferenceError) -> None:
        """The engine failed; returns where another may be asked.

        :raises InferenceError: ``error``, where its answer had begun, or another engine would do no better.
        """
        candidate = self._leave_engine()
        endpoint, self._failure = candidate.endpoint, error
        log.warning("model_call_failed", model=endpoint.model, engine=endpoint.engine_id, error=error.detail)
        if self._tell_circuit(error):
            log.warning("engine_left_alone", model=endpoint.model, engine=endpoint.engine_id)
        if isinstance(error, EngineUnavailable) and not isinstance(error, EngineBusy):
            await self._mark_down(endpoint, error.detail)
        if self.pieces or not self._may_pass_on(error):
            await self._ledger.written(self._end(error.code, self._counted()))
            raise error
        self._give_back_providers()
        metrics.PASSED_OVER.labels(_label(candidate)).inc()

    def _tell_circuit(self, error: InferenceError) -> bool:
        """Whether the engine is left alone from now on."""
        assert self._try is not None
        if error.code == "server_error" and not isinstance(error, EngineBusy):
            is_away = isinstance(error, EngineUnavailable)
            return self._try.fail(None if is_away else self.request.attribution.project)
        if error.is_answer and error.code != "server_error":
            self._try.succeed()
        else:
            self._try.release()
        return False

    async def _mark_down(self, endpoint: Endpoint, reason: str) -> None:
        try:
            await in_database(
                services.mark_down, engine_id=endpoint.engine_id, reason=reason, base_url=endpoint.base_url
            )
        except DatabaseError as error:  # the next probe finds out, too
            log.warning("engine_not_marked_down", engine=endpoint.engine_id, error=type(error).__name__)

    def _may_pass_on(self, error: InferenceError) -> bool:
        if self._begun + PATIENCE - self._loop.time() < SHORTEST_SEARCH:
            return False
        if isinstance(error, EngineUnavailable):
            return True
        self._failures += 1
        return error.code in PASSED_ON and self._failures < TRIES

    def _give_back_providers(self) -> None:
        """What was reserved of a provider that did not answer; it was a request all the same."""
        if self._grant is not None and self._grant.provider is not None:
            self._ledger.write(Ended(None, reserved=(self._grant.provider,)))
            self._grant = Grant(self._grant.owner)

    def leave(self) -> None:
        """Nobody reads on, or there is nothing more to be read."""
        try:
            if not self._is_over:
                self._leave()
        finally:  # whatever went wrong: nothing of it is held any more
            if self._try is not None:
                self._try.release()
            if self._grant is not None:
                self._ledger.drop(reservations_of(self._grant))

    def _leave(self) -> None:
        if self._is_asked:
            self._leave_engine()
            ended = self._end("server_error" if self.is_broken else "cancelled", self._counted(is_cut=True))
        else:
            ended = self._end(self._failure.code if self._failure is not None else "cancelled", self._counted())
        if ended.row is not None or ended.reserved:
            self._ledger.write(ended)

    @property
    def _given(self) -> int:
        """About how many tokens were given out; a piece may have many."""
        return max(self.pieces, math.ceil(self._bytes / BYTES_OF_TOKEN))

    def _counted(self, *, is_cut: bool = False) -> Usage:
        """Of an answer that has no end: its pieces, and a prompt that was read for them or was being read."""
        return Usage(self._prompt if self.pieces or is_cut else 0, self._given)

    def _end(self, outcome: str, usage: Usage) -> Ended:
        """The call is over; what is to be written about it."""
        self._is_over = True
        reserved = reservations_of(self._grant) if self._grant is not None else ()
        if self._last is None:
            return Ended(None, reserved=reserved)
        label = _label(self._last)
        metrics.ACTIVE.dec()
        metrics.CALLS.labels(label, outcome).inc()
        _count(label, usage)
        provider_id = self._last.provider.pk if self._last.provider is not None else None
        row = self._row(self._last, outcome, usage)
        return Ended(row, provider_id, reserved, usage.prompt_tokens + usage.completion_tokens, time.monotonic())

    def _row(self, candidate: Candidate, outcome: str, usage: Usage) -> UsageRecord:
        whose = self.request.attribution
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
        )


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1_000))


def _label(candidate: Candidate) -> str:
    """What the model is called in metrics."""
    return candidate.endpoint.model if candidate.is_listed else OTHER


def _count(model: str, usage: Usage) -> None:
    metrics.TOKENS.labels(model, "prompt").inc(usage.prompt_tokens)
    metrics.TOKENS.labels(model, "completion").inc(usage.completion_tokens)
    metrics.TOKENS.labels(model, "cached").inc(usage.cached_tokens)


async def _record_token(engine_id: str) -> None:
    await in_database(services.record_token, engine_id=engine_id)
