"""The embedded default: install the engine where it is missing, then supervise it. The pages answer meanwhile."""

from __future__ import annotations

import asyncio

import structlog
from django.conf import settings

from inference.engines.installation import EngineCannotRun
from inference.engines.start import Wanted, supervise

log = structlog.get_logger(__name__)


async def run_local_engine(stop: asyncio.Event, draining: asyncio.Event) -> None:
    """Run vLLM with ``MODEL_NAME`` or the starter model until ``stop``; what cannot be is said, and pages go on."""
    try:
        wanted = Wanted(model=settings.SOVEREIGN.model_name)
        await supervise(wanted, stop=stop, draining=draining, install=True)
    except EngineCannotRun as error:
        log.error("engine_cannot_run", reason=str(error))
        await stop.wait()
