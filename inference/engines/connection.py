"""Whether a provider answers, asked now by a person: a list of models, and never anything that costs or computes."""

from __future__ import annotations

import asyncio

from inference.adapters.transport import close_transport
from inference.chat import EngineUnavailable
from inference.endpoints import endpoint_of
from inference.engines.probing import ProbeFailed, list_models
from inference.models import Engine, Provider


class ConnectionFailed(Exception):
    """One sentence for people."""


def listed_models(provider: Provider) -> list[str]:
    """The names of its models; takes up to five seconds, in a loop of its own. Nothing is written.

    :raises ConnectionFailed: it could not be asked, or did not answer with a list.
    """
    if not provider.enabled:
        raise ConnectionFailed("It is disabled, and asked nothing before it is enabled.")
    engine = Engine.objects.select_related("provider").get(provider=provider)
    return asyncio.run(_listed(engine))


async def _listed(engine: Engine) -> list[str]:
    try:
        served = await list_models(endpoint_of(engine, ""), engine.address)
    except (EngineUnavailable, ProbeFailed) as failure:
        raise ConnectionFailed(getattr(failure, "detail", str(failure))) from None
    finally:
        await close_transport()
    return [entry["id"] for entry in served.models]
