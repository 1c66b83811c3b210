"""Counts hold over processes where there is Redis, and within a process where it does not answer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from allauth.core.internal.ratelimit import consume
from django.conf import settings as django_settings
from django.test import RequestFactory

from sovereign.core import shared_cache
from sovereign.core.ids import new_id
from sovereign.core.shared_cache import SharedCache
from tests.support.fixtures import REDIS, skip_ring

ROOT = django_settings.BASE_DIR
NOWHERE = "redis://127.0.0.1:1/0"
PARAMS = {"KEY_PREFIX": "sovereign-tests", "OPTIONS": {"MAX_ENTRIES": 1_000}}


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """... and waited for, however busy the machine is."""
    monkeypatch.setattr(shared_cache, "_away_until", 0.0)
    monkeypatch.setattr(shared_cache, "PATIENCE", 60.0)


@pytest.fixture
def redis() -> str:
    return os.environ.get(REDIS) or skip_ring(f"{REDIS} is not set")  # type: ignore[func-returns-value]


@pytest.fixture
def name() -> Iterator[str]:
    """Of a count that no other test has."""
    return new_id("count_")


def cache_at(url: str) -> SharedCache:
    """A process's."""
    return SharedCache(url, PARAMS)


@pytest.mark.redis
def test_two_processes_have_one_count(redis: str, name: str) -> None:
    one, other = cache_at(redis), cache_at(redis)
    assert one.add(name, True, timeout=60)
    assert not other.add(name, True, timeout=60)
    one.set(name, [1.5, 2.5], timeout=60)
    assert other.get(name) == [1.5, 2.5]
    assert other.delete(name)
    assert one.get(name, []) == []


@pytest.mark.redis
def test_what_redis_holds_is_data(redis: str, name: str) -> None:
    cache = cache_at(redis)
    cache.set(name, [1.5], timeout=60)
    raw = cache._cache.get_client().get(cache.make_key(name))
    assert raw == b"[1.5]"


@pytest.mark.redis
def test_attempts_are_limited_over_processes(redis: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    request = RequestFactory().post("/login", REMOTE_ADDR="10.0.0.1")

    def attempt() -> bool:
        monkeypatch.setattr("allauth.core.internal.ratelimit.cache", cache_at(redis))  # of another process each time
        return (
            consume(request, app="allauth.account", action="login", key=name, config={"login": "2/m/key"}) is not None
        )

    assert [attempt(), attempt(), attempt()] == [True, True, False]


def test_without_an_answer_each_process_counts_for_itself(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = cache_at(NOWHERE)
    assert cache.add(name, True, timeout=60)
    assert not cache.add(name, True, timeout=60)
    cache.set(name, [1.5], timeout=60)
    assert cache.get(name) == [1.5]
    assert cache.delete(name)
    assert cache.get(name, "none") == "none"


def test_what_does_not_answer_is_left_alone_for_a_while(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([10.0, 10.0, 12.0, 16.0, 16.0])  # each call looks, and one that fails notes when
    monkeypatch.setattr(shared_cache, "monotonic", lambda: next(moments))
    cache, asked = cache_at(NOWHERE), []
    client = cache._cache
    get_client = client.get_client
    monkeypatch.setattr(client, "get_client", lambda *args, **more: asked.append(1) or get_client(*args, **more))
    for _ in range(3):
        cache.get(name)
    assert len(asked) == 2, "at 10 and at 16, not at 12"


@pytest.mark.parametrize(("url", "kind"), [(NOWHERE, "SharedCache"), ("", "LocMemCache")])
def test_the_product_counts_in_redis_where_there_is_one(url: str, kind: str) -> None:
    ask = "import django; django.setup(); from django.core.cache import caches; print(type(caches['default']).__name__)"
    environment = {**os.environ, "REDIS_URL": url, "DJANGO_SETTINGS_MODULE": "sovereign.settings"}
    command = [sys.executable, "-c", ask]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split()[-1] == kind
