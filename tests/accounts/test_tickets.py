"""WebSocket tickets: one use, thirty seconds, never more rights than they were asked with."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from sovereign.accounts import credentials, services
from sovereign.accounts.models import ApiKey, Membership, Project, User, WebSocketTicket
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]


def opened_with(ticket: str) -> Principal:
    return credentials.read({}, None, {"ticket": ticket})


def refused(ticket: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        opened_with(ticket)
    assert caught.value.status == 401
    return caught.value


def test_a_key_gets_a_ticket_with_its_own_rights(api: APIClient, api_key: str) -> None:
    before = int(time.time())
    answer = api.post("/v1/ws_tickets")

    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"object", "ticket", "expires_at"}
    assert body["object"] == "ws_ticket"
    assert before + 29 <= body["expires_at"] <= time.time() + 31
    assert opened_with(body["ticket"]) == credentials.principal_of_key(api_key)


def test_a_person_gets_a_ticket_with_their_role(bob: User, browser_of: Callable[[User], Client]) -> None:
    browser = browser_of(bob)
    assert browser.post("/v1/ws_tickets").status_code == 403  # no CSRF token
    browser.cookies["sovereign_csrf"] = "a" * 32
    body = browser.post("/v1/ws_tickets", content_type="application/json", HTTP_X_CSRFTOKEN="a" * 32).json()
    assert opened_with(body["ticket"]) == credentials.principal_of_person(bob.pk)


def test_nobody_gets_none(client: Client, db: None) -> None:
    assert client.post("/v1/ws_tickets").status_code == 401


def test_a_key_that_may_not_read_runs_gets_none(project: Project, client_of: Callable[[str], APIClient]) -> None:
    _, secret = services.create_api_key(project=project, scopes=["models:read"])
    assert client_of(secret).post("/v1/ws_tickets").status_code == 403


def test_unknown_parameters_are_refused(api: APIClient) -> None:
    answer = api.post("/v1/ws_tickets", {"scopes": ["keys:manage"]}, format="json")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "unknown_parameter"
    assert not WebSocketTicket.objects.exists()


def test_a_ticket_works_once(api: APIClient) -> None:
    ticket = api.post("/v1/ws_tickets").json()["ticket"]
    opened_with(ticket)
    assert refused(ticket).code == "invalid_ticket"


def test_a_late_ticket_is_refused(api: APIClient) -> None:
    ticket = api.post("/v1/ws_tickets").json()["ticket"]
    WebSocketTicket.objects.update(expires_at=timezone.now())
    assert refused(ticket).code == "invalid_ticket"


@pytest.mark.parametrize("ticket", ["", "x", "\x00", "\ud800", "é", "a" * 100_000])
def test_nonsense_is_no_ticket(ticket: str, db: None) -> None:
    assert refused(ticket).code == "invalid_ticket"


def test_a_ticket_dies_with_its_key(api: APIClient) -> None:
    ticket = api.post("/v1/ws_tickets").json()["ticket"]
    services.revoke_api_key(key=ApiKey.objects.get())
    refused(ticket)


def test_a_ticket_dies_with_the_membership(bob: User) -> None:
    _, ticket = services.issue_ticket(principal=credentials.principal_of_person(bob.pk))
    services.remove_member(membership=Membership.objects.get(user=bob))
    refused(ticket)


def test_only_a_digest_is_stored(api: APIClient) -> None:
    ticket = api.post("/v1/ws_tickets").json()["ticket"]
    assert ticket not in str(WebSocketTicket.objects.values().get())


def test_old_tickets_are_cleared_away(api: APIClient) -> None:
    api.post("/v1/ws_tickets")
    WebSocketTicket.objects.update(expires_at=timezone.now() - timedelta(hours=2))
    api.post("/v1/ws_tickets")
    assert WebSocketTicket.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_wins(api: APIClient) -> None:
    ticket = api.post("/v1/ws_tickets").json()["ticket"]
    results: list[Principal | None] = []
    together = threading.Barrier(4)

    def redeem() -> None:
        try:
            together.wait()
            results.append(services.redeem_ticket(ticket))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=redeem) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert sum(result is not None for result in results) == 1
