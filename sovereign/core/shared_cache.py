"""Django's cache in Redis, for counts that all processes share. Redis stays what it is here: what makes things better.

While it does not answer, each process counts for itself, as it does without one.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

import orjson
import structlog
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

PATIENCE = 0.5  # seconds for each answer of Redis
AWAY = 5.0  # seconds in which one that did not answer is not asked again

_away_until = 0.0  # of this process: every thread has a cache of its own


class JSONSerializer:
    """What Redis holds is read as data; Django's own reads it as code."""

    def dumps(self, value: Any) -> bytes:
        return orjson.dumps(value)

    def loads(self, data: bytes) -> Any:
        return orjson.loads(data)


class SharedCache(RedisCache):
    """It takes what JSON has. Only what is overridden here falls back to this process's own."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        """:param params: its options are of the process's own, as ``LocMemCache`` has them."""
        options = {"serializer": JSONSerializer, "socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
        super().__init__(server, {**params, "OPTIONS": options})
        self._own = LocMemCache("instead-of-redis", params)

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return bool(self._asked("add", key, value, timeout=timeout, version=version))

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        return self._asked("get", key, default=default, version=version)

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        self._asked("set", key, value, timeout=timeout, version=version)

    def delete(self, key: str, version: int | None = None) -> bool:
        return bool(self._asked("delete", key, version=version))

    def _asked(self, method: str, *args: Any, **options: Any) -> Any:
        global _away_until
        if monotonic() >= _away_until:
            try:
                return getattr(super(), method)(*args, **options)
            except RedisError as error:
                _away_until = monotonic() + AWAY
                log.warning("shared_counts_lost", error=str(error) or type(error).__name__)
        return getattr(self._own, method)(*args, **options)
