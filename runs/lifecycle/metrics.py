"""What Prometheus is told about deployments."""

from __future__ import annotations

from prometheus_client import Counter

CANARIES_TAKEN_BACK = Counter("sovereign_canaries_rolled_back", "Canaries taken back by the product", ["cause"])
