"""Has Ollamas fetch the models that they were told to: every worker looks for such pulls, and one follows each."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import structlog
from django.db import InterfaceError, OperationalError

from inference import services
from inference.adapters.ollama import Ollama, Progress
from inference.chat import EngineUnavailable, InferenceError
from inference.endpoints import endpoint_of
from inference.models import Engine
from inference.services.pulls import ClaimedPull
from sovereign.core.database import in_database

log = structlog.get_logger(__name__)

INTERVAL = 1.0  # seconds between two times that its progress is written down
PLACES = 2  # pulls that one worker follows at the same time
GONE = "The provider is disabled."
BROKEN = "It could not be followed because of an error of this server, which its log tells."


class _Fetch:
    """What the provider said last."""

    def __init__(self) -> None:
        self.progress = Progress("asking")

    async def run(self, claimed: ClaimedPull) -> None:
        """:raises InferenceError: it could not, or does not answer."""
        engine = await in_database(_engine, claimed.provider_id)
        if engine is None:
            raise EngineUnavailable(GONE)
        async with aclosing(Ollama().pull(endpoint_of(engine, ""), claimed.model)) as steps:
            async for step in steps:
                self.progress = step
        await in_database(services.ask_soon, engine_id=engine.pk)


async def pull_next() -> None:
    """Follow one pull after the other, as long as there are any that nobody follows."""
    while (claimed := await in_database(services.claim_pull)) is not None:
        await _follow(claimed)


async def _follow(claimed: ClaimedPull) -> None:
    fetch = _Fetch()
    fetching = asyncio.create_task(fetch.run(claimed), name=f"pull {claimed.id}")
    try:
        if not await _watch(claimed, fetch, fetching):
            return  # called off: its connection is closed below, which ends the pull at the provider
        error = _outcome(claimed, fetching)
    except asyncio.CancelledError:
        await in_database(services.give_back_pull, claimed)
        raise
    finally:
        fetching.cancel()
        await asyncio.gather(fetching, return_exceptions=True)
    await in_database(services.end_pull, claimed, error)


async def _watch(claimed: ClaimedPull, fetch: _Fetch, fetching: asyncio.Task[None]) -> bool:
    """Write down how far it is until it has ended; false where it is ours no more."""
    while True:
        done, _ = await asyncio.wait([fetching], timeout=INTERVAL)
        if done:
            return True
        seen = fetch.progress
        if not await in_database(services.keep_pull, claimed, seen.status, seen.completed, seen.total):
            return False


def _outcome(claimed: ClaimedPull, fetching: asyncio.Task[None]) -> str:
    """Why it failed; empty where it did not.

    :raises OperationalError: the database failed, not the pull: its lease runs out, and it goes on.
    """
    try:
        fetching.result()
    except InferenceError as failed:
        return failed.detail
    except (OperationalError, InterfaceError):
        raise
    except Exception:  # of a provider that nobody understands: it is told as the end of the pull
        log.exception("pull_failed", pull=claimed.id)
        return BROKEN
    return ""


def _engine(provider_id: str) -> Engine | None:
    engines = Engine.objects.of_providers().filter(provider=provider_id)
    found: Engine | None = engines.first()
    return found
