"""What was made of messages, for as long as it is asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock


class Cache:
    """Texts by keys; of those that were not asked for the longest, as many are forgotten as there is no room for.

    :param room: characters in all.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._taken = 0
        self._kept: OrderedDict[Hashable, list[str]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> list[str] | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: Hashable, texts: list[str]) -> None:
        with self._lock:
            self._taken += _size(texts) - _size(self._kept.pop(key, []))
            self._kept[key] = texts
            while self._taken > self._room and self._kept:
                self._taken -= _size(self._kept.popitem(last=False)[1])


def _size(texts: list[str]) -> int:
    return sum(map(len, texts))
