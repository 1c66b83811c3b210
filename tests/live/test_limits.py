"""Limits hold for all processes together: clients of two API processes get what one limit allows."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from typing import Any

import pytest

from tests.support.client import Client
from tests.support.fixtures import Cluster
from tests.support.processes import START_TIMEOUT, Stack, eventually, free_port

pytestmark = pytest.mark.live

CLIENTS = 64
MINUTE = 60  # seconds


@pytest.fixture
def both(cluster: Cluster, stack: Stack) -> Iterator[Callable[..., list[Client]]]:
    """``both("--requests-per-minute", "5")``: clients of two API processes with the same key, limited so."""
    port = free_port()
    second = stack.start("serve", "--no-worker", "--port", str(port), name="serve-second")

    def make(*limits: str) -> list[Client]:
        name = f"limited-{port}"
        key = stack.another_key(name)
        limiting = stack.start("set_limits", "--key", name, *limits)
        assert limiting.wait() == 0, limiting.output()
        clients = [Client(stack.url, key), Client(f"http://127.0.0.1:{port}", key)]
        eventually(lambda: answers(clients[1]), START_TIMEOUT, "the second process answers")
        return clients

    yield make
    second.destroy()


def answers(client: Client) -> bool:
    try:
        return client.request("GET", "/health")[0] == 200
    except (OSError, HTTPException):  # a connection to nobody may meet itself
        return False


def flood(clients: list[Client], path: str, body: Any) -> list[tuple[int, Any]]:
    """What 128 requests from 64 at once are answered with, half of them by each process."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(lambda number: clients[number % 2].request("POST", path, body), range(2 * CLIENTS)))


def test_two_processes_let_through_as_many_requests_as_one_limit_allows(
    both: Callable[..., list[Client]], stack: Stack
) -> None:
    clients = both("--requests-per-minute", "50")
    begun = time.monotonic()
    asked = flood(clients, "/v1/threads", {})
    asked += [client.request("POST", "/v1/threads", {}) for client in clients]
    minutes = 1 + int(time.monotonic() - begun) // MINUTE  # a machine that needs a second one has its requests, too
    counts = Counter(status for status, _ in asked)
    assert counts.keys() == {200, 429}
    assert 50 <= counts[200] <= 50 * minutes
    assert minutes > 1 or [status for status, _ in asked[-2:]] == [429, 429]
    assert {body["error"]["code"] for status, body in asked if status == 429} == {"rate_limit_exceeded"}
    assert stack.client.thread(), "another key of the project is not limited"


def test_two_processes_use_no_more_tokens_than_one_limit_allows(
    both: Callable[..., list[Client]], stack: Stack
) -> None:
    clients = both("--tokens-per-day", "2000")  # a day is long enough for any machine
    ask = {"model": "fake", "messages": [{"role": "user", "content": "[tokens=30]"}], "max_completion_tokens": 40}
    used, more = 0, True
    while more:
        asked = flood(clients, "/v1/chat/completions", ask)
        tokens = [body["usage"]["total_tokens"] for status, body in asked if status == 200]
        used, more = used + sum(tokens), bool(tokens)
    assert {body["error"]["type"] for _, body in asked} == {"tokens"}
    assert 1900 < used <= 2000, "what is left is less than one call might need"
    [(key,)] = stack.database.rows("SELECT id FROM accounts_apikey ORDER BY created_at DESC LIMIT 1")
    [(windows,)] = stack.database.rows("SELECT windows FROM accounts_consumption WHERE subject = ?", f"key:{key}")
    counted = windows if isinstance(windows, dict) else json.loads(windows)
    assert sum(amount for _, amount in counted["tokens_of_day"]) == used
