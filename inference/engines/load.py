"""How busy an engine is, from its ``/metrics``; and the other doors of vLLM's that are not OpenAI's."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TypedDict
from urllib.parse import urlsplit

import aiohttp

from inference.adapters.base import Endpoint
from inference.adapters.transport import transport
from inference.engines.versions import METRICS
from sovereign.core.egress import check_url

TIMEOUT = 2.0  # seconds
SLEEP_TIMEOUT = 120.0  # seconds: the weights go to the machine's memory, or come back
LARGEST_ANSWER = 4 * 1024 * 1024  # bytes
LARGEST_COUNT = 2**53  # what every JSON keeps exactly
SAMPLE = re.compile(r"^([\w:]+)(?:\{[^}]*\})? ([\d.eE+-]+|NaN)\s*$", re.M)


class Report(TypedDict, total=False):
    """What the registry keeps of it."""

    running: int
    waiting: int
    cache_usage: float
    latency_ms: int


@dataclass(frozen=True, slots=True)
class Load:
    """``running`` and ``waiting`` requests; ``cache_usage`` is 0 to 1; ``finished`` requests and ``tokens`` so far."""

    running: int
    waiting: int
    cache_usage: float
    finished: int
    tokens: int

    @property
    def idle(self) -> bool:
        return not self.running and not self.waiting

    def report(self) -> Report:
        return {"running": self.running, "waiting": self.waiting, "cache_usage": self.cache_usage}


def parse_metrics(text: str) -> Load | None:
    """Read Prometheus' format, several engines of one server summed; ``None`` where it is not vLLM's.

    :raises ValueError: a number is none.
    """
    samples: dict[str, list[float]] = {}
    for name, value in SAMPLE.findall(text):
        samples.setdefault(name, []).append(float(value))
    known = {key: next((samples[name] for name in names if name in samples), []) for key, names in METRICS.items()}
    if not known["running"]:
        return None
    usage = max(known["cache_usage"], default=0.0)
    return Load(
        running=_count(known["running"]),
        waiting=_count(known["waiting"]),
        cache_usage=min(max(usage, 0.0), 1.0) if usage == usage else 0.0,
        finished=_count(known["finished"]),
        tokens=_count(known["tokens"]) + _count(known["prompt_tokens"]),
    )


def _count(values: list[float]) -> int:
    return int(min(sum(value for value in values if 0 <= value < float("inf")), LARGEST_COUNT))


async def read_load(endpoint: Endpoint) -> Load | None:
    """``None`` where the engine does not say."""
    url = f"{_origin(endpoint.base_url)}/metrics"
    session = transport().session_for(endpoint)
    try:
        check_url(url, inner_network=endpoint.inner_network)
        async with (
            asyncio.timeout(TIMEOUT),
            session.get(url, headers=_headers(endpoint.key), allow_redirects=False) as response,
        ):
            if response.status != 200:
                return None
            raw = await response.content.read(LARGEST_ANSWER)
            while not response.content.at_eof() and len(raw) < LARGEST_ANSWER:
                raw += await response.content.readany()
        return parse_metrics(raw.decode(errors="replace"))
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
        return None


async def ask(base_url: str, key: str, path: str) -> bool:
    """``POST`` to one of vLLM's own doors (``/sleep?level=1``, ``/wake_up``); whether it was done."""
    try:
        async with (
            asyncio.timeout(SLEEP_TIMEOUT),
            transport().probe_session.post(
                f"{_origin(base_url)}{path}", headers=_headers(key), allow_redirects=False
            ) as response,
        ):
            return response.status == 200
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
        return False


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"}


def _origin(base_url: str) -> str:
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"
