"""The embedded default: install the engine where it is missing, then supervise it. The pages answer meanwhile."""

from __future__ import annotations

import asyncio

import structlog
from django.conf import settings

from inference.engines.installation import EngineCannotRun
from inference.engines.supervisor import supervise

log = structlog.get_logger(__name__)


async def run_local_engine(stop: asyncio.Event) -> None:
    """Run vLLM with ``MODEL_NAME`` or the starter model until ``stop``; what cannot be is said, and pages go on."""
    try:
        await supervise(settings.SOVEREIGN.model_name, stop=stop, install=True)
    except EngineCannotRun as error:
        log.error("engine_cannot_run", reason=str(error))
        await stop.wait()
