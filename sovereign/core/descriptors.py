"""How many connections a process may hold: each is an open file to the system."""

from __future__ import annotations

import resource


def allow_many() -> None:
    """Raise what shells allow (often 1,024) to what the system allows: a process that runs out calls healthy engines
    unreachable."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
