"""Limits hold for all processes together: clients of two API processes get what one limit allows."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.client import Client
from tests.support.fixtures import Cluster
from tests.support.processes import Stack, eventually, free_port

pytestmark = pytest.mark.live

CLIENTS = 64
LIMIT = 50


def test_two_processes_let_through_what_one_limit_allows(cluster: Cluster, stack: Stack) -> None:
    port = free_port()
    second = stack.start("serve", "--no-worker", "--port", str(port), name="serve-second")
    try:
        key = stack.another_key("limited")
        limiting = stack.start("set_limits", "--key", "limited", "--requests-per-minute", str(LIMIT))
        assert limiting.wait() == 0, limiting.output()
        clients = [Client(stack.url, key), Client(f"http://127.0.0.1:{port}", key)]
        eventually(lambda: answers(clients[1]), 45, "the second process answers")
        with ThreadPoolExecutor(CLIENTS) as pool:
            asked = list(pool.map(lambda number: clients[number % 2].request("POST", "/v1/threads", {}), range(128)))
        assert Counter(status for status, _ in asked) == {200: LIMIT, 429: 128 - LIMIT}
        assert {body["error"]["code"] for status, body in asked if status == 429} == {"rate_limit_exceeded"}
        for client in clients:
            assert client.request("POST", "/v1/threads", {})[0] == 429
        assert stack.client.thread(), "another key of the project is not limited"
    finally:
        second.destroy()


def answers(client: Client) -> bool:
    try:
        return client.request("GET", "/health")[0] == 200
    except OSError:
        return False
