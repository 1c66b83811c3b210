"""What workers see to besides runs: each entry is done again and again, in every worker at once.

So a chore looks before it writes, and changes rows by conditions that only one of several workers finds true. The rooms
above fill this in when they start.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

CHORES: dict[str, Callable[[], Awaitable[None]]] = {}
