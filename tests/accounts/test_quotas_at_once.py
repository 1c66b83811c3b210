"""Limits with everybody at once: not one request too many, and not one too few."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from rest_framework.test import APIClient

from sovereign.accounts import services
from sovereign.accounts.models import ApiKey, Consumption, Project
from sovereign.accounts.services import quotas
from sovereign.accounts.services.quotas import Demand, Limits, Refusal, Reservation, Subject

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS = 64


def at_once(call: Callable[[int], Any]) -> list[Any]:
    """What ``call`` gave to each of the clients, all of which began when all were there."""
    gate = threading.Barrier(CLIENTS)

    def run(number: int) -> Any:
        try:
            gate.wait(60)
            return call(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(run, range(CLIENTS)))


def test_of_256_requests_a_hundred_pass(project: Project, api_key: str) -> None:
    key = ApiKey.objects.get()
    services.set_project_limits(project=project, limits=Limits(requests_per_minute=100))
    services.set_key_limits(key=key, limits=Limits(requests_per_minute=100))
    subjects = Subject("key", key.pk), Subject("project", project.pk)

    def client(number: int) -> list[Reservation | Refusal]:
        return [quotas.reserve([Demand(subjects[:: 1 - 2 * (number % 2)], holds=False)])[0] for _ in range(4)]

    answers = Counter(type(answer) for answered in at_once(client) for answer in answered)
    assert answers == {Reservation: 100, Refusal: 156}


def test_tokens_are_never_overshot_and_what_is_left_over_is_used(project: Project) -> None:
    """Every call reserves what it may become, and turns out smaller: all of the limit is used in the end."""
    limit = 100_000
    services.set_project_limits(project=project, limits=Limits(tokens_per_minute=limit))
    subjects = (Subject("project", project.pk),)

    def client(number: int) -> int:
        chance, used = random.Random(number), 0
        for _ in range(8):
            [answer] = quotas.reserve([Demand(subjects, requests=0, tokens=chance.randrange(100, 1000))])
            if isinstance(answer, Reservation):
                tokens = chance.randrange(1, answer.tokens)
                quotas.settle([(answer, tokens)])
                used += tokens
        return used

    used = sum(at_once(client))
    rest = 0
    while isinstance(answer := quotas.reserve([Demand(subjects, requests=0, tokens=1000)])[0], Reservation):
        rest += answer.tokens
    assert limit - 1000 < used + rest <= limit
    [row] = Consumption.objects.all()
    assert sum(amount for _, amount in row.windows["tokens"]) == used + rest


def test_no_more_calls_run_at_once_than_may(project: Project) -> None:
    services.set_project_limits(project=project, limits=Limits(concurrent_calls=5))
    subjects = (Subject("project", project.pk),)
    lock, running, most, ended = threading.Lock(), set[str](), 0, 0

    def client(number: int) -> None:
        nonlocal most, ended
        for _ in range(3):
            [answer] = quotas.reserve([Demand(subjects, requests=0)])
            if isinstance(answer, Refusal):
                continue
            with lock:
                running.add(answer.id)
                most = max(most, len(running))
            with lock:
                running.remove(answer.id)
                ended += 1
            quotas.settle([(answer, 0)])

    at_once(client)
    assert 0 < most <= 5
    assert ended >= 5
    assert Consumption.objects.get().calls == {}


def test_the_first_of_somebody_come_at_once(project: Project) -> None:
    """Nobody has a row yet, and each would make it."""
    services.set_project_limits(project=project, limits=Limits(requests_per_minute=10))
    subjects = Subject("provider", "prov_1", Limits(requests_per_minute=20)), Subject("project", project.pk)
    answers = at_once(lambda number: quotas.reserve([Demand(subjects[number % 2 :], holds=False)])[0])
    assert sum(isinstance(answer, Reservation) for answer in answers) == 10
    assert Consumption.objects.count() == 2


def test_over_http(project: Project, api_key: str, client_of: Callable[[str], APIClient]) -> None:
    services.set_project_limits(project=project, limits=Limits(requests_per_minute=20))
    answers = at_once(lambda _: client_of(api_key).post("/v1/threads", {}, format="json"))
    assert Counter(answer.status_code for answer in answers) == {200: 20, 429: 44}
    remaining = sorted(int(answer["x-ratelimit-remaining-requests"]) for answer in answers)
    assert remaining == [0] * 45 + list(range(1, 20))
