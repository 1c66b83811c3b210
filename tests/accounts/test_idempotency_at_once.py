"""The same ``POST`` again while the first is still being worked on, and when the database fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, connections, transaction
from rest_framework.test import APIClient

from sovereign.accounts import credentials
from sovereign.accounts.models import IdempotencyRecord
from sovereign.accounts.services import idempotency
from sovereign.core import database
from tests.accounts.test_idempotency import MESSAGE, post
from threads import services as threads
from threads.models import Message, Thread


def in_parallel(calls: list[Callable[[], Any]]) -> list[Any]:
    """What each gave, each in a thread with a connection of its own."""

    def run(call: Callable[[], Any]) -> Any:
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


class Held:
    """The first thread to be made is held inside its transaction until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered, self.go_on = threading.Event(), threading.Event()
        self._real, self._first = threads.create_thread, threading.Lock()
        monkeypatch.setattr(threads, "create_thread", self._create)

    def _create(self, **request: Any) -> Thread:
        made = self._real(**request)
        if self._first.acquire(blocking=False):
            self.entered.set()
            assert self.go_on.wait(60)
        return made


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("headers", [[{"key": "k"}] * 5, [{"retry": count} for count in (0, 1, 2, 3, 4)]])
def test_five_at_once_are_one_object(
    api_key: str, client_of: Callable[[str], APIClient], headers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is being worked on when the others come."""
    post(client_of(api_key), "ws_tickets")  # notes the key's use: no request has to write that in between
    monkeypatch.setattr(idempotency, "PATIENCE", 60)  # however long it takes until the last of them is there
    held, arrived = Held(monkeypatch), []
    real = idempotency.transact_alone

    def counted(*arguments: Any, **options: Any) -> Any:
        arrived.append(1)
        if len(arrived) == 5:
            held.go_on.set()
        return real(*arguments, **options)

    monkeypatch.setattr(idempotency, "transact_alone", counted)

    def later(header: dict[str, Any]) -> Any:
        assert held.entered.wait(60)
        return post(client_of(api_key), **header)

    first, *rest = headers
    calls = [lambda: post(client_of(api_key), **first), *(lambda header=header: later(header) for header in rest)]
    answers = in_parallel(calls)
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    assert [answer.get("idempotent-replayed") for answer in answers] == [None, *["true"] * 4]
    assert Thread.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("first", "second"), [({"key": "k"}, {"key": "k"}), ({"retry": 0}, {"retry": 1})])
def test_a_twin_waits_for_a_while_and_is_told_to_come_back(
    api_key: str, client_of: Callable[[str], APIClient], first: Any, second: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(api_key)
    post(client, "ws_tickets")
    assert idempotency.PATIENCE == 5
    monkeypatch.setattr(idempotency, "PATIENCE", 0.05)
    held = Held(monkeypatch)

    def twin() -> Any:
        assert held.entered.wait(60)
        try:
            return post(client_of(api_key), **second)
        finally:
            held.go_on.set()

    done, refused = in_parallel([lambda: post(client, **first), twin])
    assert (done.status_code, refused.status_code) == (200, 503)
    assert refused.json()["error"]["code"] == "service_unavailable"
    assert "or the database is busy" in refused.json()["error"]["message"]  # SQLite cannot tell which
    assert int(refused["Retry-After"]) >= 1
    assert "x-should-retry" not in refused
    again = post(client, **second)
    assert (again.content, again["idempotent-replayed"]) == (done.content, "true")
    assert Thread.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_fresh_requests_do_not_wait_for_their_like(
    api_key: str, client_of: Callable[[str], APIClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    client = client_of(api_key)
    post(client, "ws_tickets")
    held = Held(monkeypatch)

    def another() -> Any:
        assert held.entered.wait(60)
        try:
            return post(client_of(api_key), retry=0)
        finally:
            held.go_on.set()

    one, two = in_parallel([lambda: post(client, retry=0), another])
    assert (one.status_code, two.status_code) == (200, 200)
    assert one.content != two.content


# ------------------------------------------------------------------------------------- when something goes wrong


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("headers", [{}, {"key": "k"}])
def test_what_the_database_wants_again_is_done_again_as_a_whole(
    api: APIClient, headers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if headers and connection.vendor == "sqlite":
        pytest.skip("there only the beginning of a transaction can be refused")
    real, tried = threads.audit.record, []

    def fail_once(*arguments: Any, **details: Any) -> Any:
        tried.append(transaction.get_connection().in_atomic_block)
        if len(tried) == 1:
            raise OperationalError("database is locked")
        return real(*arguments, **details)

    monkeypatch.setattr(threads.audit, "record", fail_once)
    answer = post(api, body={"messages": [MESSAGE]}, **headers)
    assert (answer.status_code, tried) == (200, [True, True])
    assert (Thread.objects.count(), Message.objects.count(), IdempotencyRecord.objects.count()) == (1, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_a_retry_that_comes_between_two_tries_of_its_first_is_found_by_it(
    api_key: str, client_of: Callable[[str], APIClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(api_key)
    post(client, "ws_tickets")
    real, tried, retried = threads.audit.record, [], []

    def fail_once(*arguments: Any, **details: Any) -> Any:
        tried.append(1)
        if len(tried) == 1:
            raise OperationalError("database is locked")
        return real(*arguments, **details)

    def meanwhile(seconds: float) -> None:
        retried.extend(in_parallel([lambda: post(client_of(api_key), body={"messages": [MESSAGE]}, retry=1)]))

    monkeypatch.setattr(threads.audit, "record", fail_once)
    monkeypatch.setattr(database, "time", SimpleNamespace(sleep=meanwhile))
    first = post(client, body={"messages": [MESSAGE]}, retry=0)
    assert (first.status_code, first.content) == (200, retried[0].content)
    assert "idempotent-replayed" not in retried[0]
    assert Message.objects.count() == 1
    tried.clear()
    monkeypatch.setattr(database, "time", SimpleNamespace(sleep=lambda _: None))
    later = post(client, body={"messages": [MESSAGE]}, retry=0)
    assert "idempotent-replayed" not in later  # what was retried before it came is another's
    assert (len(tried), Message.objects.count()) == (2, 2)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("headers", "advice"), [({}, "false"), ({"key": "k"}, None), ({"retry": 0}, None)])
def test_who_would_not_be_recognised_is_told_not_to_retry_what_may_be_done(
    api: APIClient, headers: dict[str, Any], advice: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit's own answer is lost: nobody knows whether it happened."""

    def lost(self: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    post(api, "ws_tickets")
    with monkeypatch.context() as patch:
        patch.setattr(type(connections["default"]), "_commit", lost)
        answer = post(api, **headers)
    assert answer.status_code == 503
    assert answer.get("x-should-retry") == advice


@pytest.mark.django_db(transaction=True)
def test_what_was_surely_not_done_may_be_retried(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(threads, "create_thread", fail)
    answer = post(api)
    assert (answer.status_code, answer.get("x-should-retry")) == (500, None)


def fail_in_post(patch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    patch.setattr(threads, "create_thread", fail)


def fail_in_authentication(patch: pytest.MonkeyPatch) -> None:
    def fail(secret: str) -> None:
        raise OperationalError("couldn't get a connection after 10.00 sec")

    patch.setattr(credentials, "principal_of_key", fail)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fail", [fail_in_post, fail_in_authentication])
@pytest.mark.parametrize("first", [{}, {"retry": 0}])
def test_the_retry_of_what_was_not_done_gets_nobody_elses_answer(
    api: APIClient, fail: Callable[[pytest.MonkeyPatch], None], first: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two people, one API key, equal requests: one is answered, the other's first tries are not carried out."""
    others = post(api, retry=0)
    for headers in (first, {"retry": 1}):  # the refused retry is a fresh request, too
        with monkeypatch.context() as patch:
            fail(patch)
            assert post(api, **headers).status_code == 503
    mine = post(api, retry=2)
    assert (mine.status_code, "idempotent-replayed" in mine) == (200, False)
    assert mine.json()["id"] != others.json()["id"]
    assert post(api, retry=3).content == mine.content  # the note is used up
    assert Thread.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_read_is_not_noted(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_in_authentication(monkeypatch)
    assert api.generic("POST", "/v1/threads", b"{", "application/json").status_code == 503


def test_refusals_are_counted_bounded_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(idempotency, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(idempotency, "REFUSALS_KEPT", 2)
    refusals = idempotency.Refusals()
    assert not refusals.take(b"a")
    for request in (b"a", b"b", b"a"):
        refusals.note(request)
    assert [refusals.take(request) for request in (b"a", b"a", b"a")] == [True, True, False]
    refusals.note(b"c")
    refusals.note(b"d")
    assert not refusals.take(b"b"), "the oldest goes first"
    clock.now += 119
    assert refusals.take(b"c")
    clock.now += 2
    assert not refusals.take(b"d")
