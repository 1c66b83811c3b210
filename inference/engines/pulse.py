"""Whether one engine works: its tokens, its load, and canaries that ask for a token where there are none.

An open port proves nothing. What counts is a token of real traffic, in this process or another; a canary's; and for as
long as the engine's own counters move, or its processes compute, that it is at work.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta

import structlog
from django.db import Error as DatabaseError

from inference.adapters import adapter_for
from inference.adapters.base import Endpoint
from inference.adapters.transport import transport
from inference.calls import EmbeddingRequest
from inference.chat import ChatRequest, InferenceError
from inference.engines.circuit import Timing
from inference.engines.diagnosis import explain
from inference.engines.load import Load, read_load
from inference.engines.probing import DELIBERATE, ProbeFailed
from inference.models import Engine
from sovereign.core.database import in_database, now

log = structlog.get_logger(__name__)

COMPUTING = 0.1  # of a core: an engine that uses more is at work, even on a crowded machine; one that hangs uses none


class Unable(Exception):
    """The engine works and can never answer; the text is one sentence for people."""


class Pulse:
    """Of the engine behind ``endpoint``; made anew at every start.

    :param cpu_seconds: the processor time that the engine's processes have used.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        engine_id: Callable[[], str],
        cpu_seconds: Callable[[], float],
        timing: Timing,
        *,
        makes_vectors: bool = False,
    ) -> None:
        self._endpoint = endpoint
        self._engine_id = engine_id
        self._cpu_seconds = cpu_seconds
        self._timing = timing
        self._makes_vectors = makes_vectors
        self._moved_at = float("-inf")  # when the engine's counters moved last
        self._canaries = 0  # that were answered
        self._probing = False  # one is under way
        self._asked_at = time.monotonic()  # when somebody else's request was last seen
        self._others = -1
        self.load: Load | None = None
        self.latency_ms: int | None = None
        self.token = False  # a canary got one since this was last cleared

    async def first_token(self) -> None:
        """Ask an engine that loads.

        :raises ProbeFailed: it does not answer yet.
        :raises Unable: it never will.
        """
        await self._canary(self._timing.first_token)
        self._asked_at = time.monotonic()

    async def look(self) -> None:
        """Read the engine's own figures."""
        ours = self._probing
        load = await read_load(self._endpoint)
        ours, instant = ours or self._probing, time.monotonic()
        if load is not None:
            if self.load is not None and load.tokens != self.load.tokens:
                self._moved_at = instant
            others = load.finished - self._canaries
            if load.running + load.waiting > ours or (not ours and others != self._others):
                self._asked_at = instant
            self._others = self._others if ours else others
        self.load = load

    @property
    def idle_seconds(self) -> float:
        """How long nobody but our canaries has asked for anything."""
        return time.monotonic() - self._asked_at

    async def stopped(self) -> bool:
        """Whether the engine produces no tokens any more; takes as long as it needs to be sure."""
        return not await self._spoke(self._timing.quiet) and not await self._answers()

    async def _answers(self) -> bool:
        """Whether a canary gets its token: soon, or late from an engine that computes all the while."""
        asked, used = time.monotonic(), self._cpu_seconds()
        probe = asyncio.create_task(self._canary(self._timing.busy))
        try:
            while True:
                done, _ = await asyncio.wait([probe], timeout=self._timing.canary)
                elapsed = time.monotonic() - asked
                if done:
                    break
                computing = self._cpu_seconds() - used > elapsed * COMPUTING
                if not computing and not await self._spoke(elapsed):
                    return False
            probe.result()
        except (ProbeFailed, Unable) as failure:
            log.warning("engine_canary_failed", engine=self._endpoint.model, reason=str(failure))
            return await self._spoke(time.monotonic() - asked)
        finally:
            probe.cancel()
            await asyncio.gather(probe, return_exceptions=True)
        return True

    async def _canary(self, seconds: float) -> None:
        """
        :raises ProbeFailed: no token, or no vector, in time.
        :raises Unable: as in :meth:`first_token`.
        """
        begun = time.monotonic()
        ask = _vector if self._makes_vectors else _token
        self._probing = True
        try:
            async with asyncio.timeout(seconds):
                await ask(self._endpoint)
        except TimeoutError:
            raise ProbeFailed(f"It accepts connections but answered nothing within {seconds:.0f} s.") from None
        except InferenceError as error:
            if error.code not in DELIBERATE:
                raise ProbeFailed(error.detail) from None
            if unable := explain(error.message):  # the engine lives, and refuses all that it is for
                raise Unable(unable) from None
        finally:
            self._probing = False
        self._canaries += 1
        self.latency_ms = round((time.monotonic() - begun) * 1000)
        self.token = True

    async def _spoke(self, seconds: float) -> bool:
        """Whether a token of real traffic, or of a canary, is known from the last ``seconds``."""
        if time.monotonic() - self._moved_at < seconds:
            return True
        here = transport().progress.get(self._engine_id())
        if here is not None and asyncio.get_running_loop().time() - here < seconds:
            return True
        try:
            return await in_database(_spoke_since, self._engine_id(), seconds)
        except DatabaseError:
            return False


async def _token(endpoint: Endpoint) -> None:
    request = ChatRequest(model=endpoint.model, messages=[{"role": "user", "content": "Hi"}], max_tokens=1)
    async with aclosing(adapter_for(endpoint.kind).stream(endpoint, request)) as deltas:
        async for _ in deltas:  # to its end: an engine that is cut off every time would log it
            pass


async def _vector(endpoint: Endpoint) -> None:
    await adapter_for(endpoint.kind).embed(endpoint, EmbeddingRequest(model=endpoint.model, texts=["Hi"]))


def _spoke_since(engine_id: str, seconds: float) -> bool:
    at = Engine.objects.filter(pk=engine_id).values_list("last_token_at", flat=True).first()
    return at is not None and now() - at < timedelta(seconds=seconds)
