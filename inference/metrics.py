"""What Prometheus is told about model calls."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

CALLS = Counter("sovereign_model_calls", "Model calls by how they ended", ["model", "outcome"])
TOKENS = Counter("sovereign_model_tokens", "Tokens as the engines count them", ["model", "kind"])
FIRST_TOKEN = Histogram(
    "sovereign_model_first_token_seconds",
    "From the request to the engine until its first delta",
    ["model"],
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
ACTIVE = Gauge("sovereign_model_calls_active", "Model calls that are streaming now")
PASSED_OVER = Counter(
    "sovereign_model_calls_passed_over", "Engines that began no answer, so another was asked", ["model"]
)
FALLBACKS = Counter("sovereign_model_fallbacks", "Calls that a fallback answered", ["model", "fallback"])
CIRCUITS = Gauge("sovereign_engine_circuit_open", "1 while this process leaves an engine alone", ["engine"])
USAGE_WAITING = Gauge("sovereign_usage_waiting", "Model calls that ended and are not yet in the usage table")
USAGE_LOST = Counter("sovereign_usage_lost", "Model calls whose usage could not be written")
