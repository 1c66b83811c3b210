"""What was used last, up to a size."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Values by key; where they are too many, those go that were not asked for longest. For any number of threads.

    :param room: the sum of the sizes that are kept.
    """

    def __init__(self, room: int) -> None:
        self._room, self._taken = room, 0
        self._lock = threading.Lock()
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def keep(self, key: K, value: V, size: int = 1) -> None:
        with self._lock:
            self._taken += size - self._values.pop(key, (value, 0))[1]
            self._values[key] = (value, size)
            while self._taken > self._room:
                _, (_, gone) = self._values.popitem(last=False)
                self._taken -= gone
