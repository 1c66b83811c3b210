"""Who may do what with a conversation, by role and route: with one's own, a key's, and another member's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from rest_framework.test import APIClient

from assistants.models import Assistant
from runs.conversations import services
from runs.conversations.api.views import MessagesView
from runs.conversations.models import Conversation
from runs.models import Run
from sovereign.accounts import credentials
from sovereign.accounts import services as accounts
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import RUNS_WRITE, THREADS_READ, THREADS_WRITE, Role
from tests.conversations.conftest import ROOT

pytestmark = pytest.mark.django_db

READING = (("get", ""), ("get", "/messages"), ("get", "/summary"))
#: in an order in which each can be done to one conversation
WRITING = (
    ("put", "/context", {"compression": "pruning"}),
    ("post", "/messages", {"content": "Hello?"}),
    ("post", "/satisfaction", {"thumb": "up"}),
    ("post", "/end", {}),
)
ALL = len(READING) + len(WRITING)


@pytest.fixture(autouse=True)
def unanswered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody works at the runs here: that something may be said is known before its answer."""
    monkeypatch.setattr(MessagesView, "open", lambda view, request, stream: HttpResponse(stream.subject))


def statuses(client: Client, conversation: Conversation) -> list[int]:
    """What each route about one conversation answers, those that read first."""
    place = f"{ROOT}/{conversation.id}"
    read = [getattr(client, how)(f"{place}{route}").status_code for how, route in READING]
    return read + [
        getattr(client, how)(f"{place}{route}", body, content_type="application/json").status_code
        for how, route, body in WRITING
    ]


def listed(client: Client) -> set[str]:
    return {one["id"] for one in client.get(f"{ROOT}/active").json()["data"]}


@pytest.fixture
def person(project: Project) -> Callable[[str], User]:
    """``person(role)``: a member of Alice's project."""

    def make(role: str) -> User:
        user = User.objects.create_user(f"{role}-of-them")
        accounts.add_member(project=project, user=user, role=role)
        return user

    return make


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("role", list(Role))
def test_a_person_does_everything_with_their_own(
    person: Callable[[str], User], assistant: Assistant, role: str
) -> None:
    client = browser(person(role))
    begun = client.post(ROOT, {"assistant_id": assistant.id}, content_type="application/json")
    assert begun.status_code == 200
    assert listed(client) == {begun.json()["id"]}
    assert statuses(client, Conversation.objects.get()) == [200] * ALL


@pytest.mark.parametrize(
    ("role", "expected"),
    [(Role.VIEWER, 404), (Role.ANALYST, 200), (Role.ADMIN, 200), (Role.OWNER, 200)],
)
def test_another_members_is_for_those_who_may_read_threads_of_members(
    person: Callable[[str], User], assistant: Assistant, alice: User, role: str, expected: int
) -> None:
    """Whoever sees it may write to it, as to its thread. That they read it is noted, and what they do."""
    owner = credentials.principal_of_person(alice.pk)
    theirs = services.start(principal=owner, assistant_id=assistant.id)
    user = person(role)
    client = browser(user)
    assert listed(client) == ({theirs.id} if expected == 200 else set())
    assert statuses(client, theirs) == [expected] * ALL
    sees = expected == 200
    noted = AuditEvent.objects.filter(user_id=user.pk).values_list("action", flat=True)
    done = {"thread.read", "conversation.context_changed", "conversation.rated", "conversation.ended", "run.cancelled"}
    assert set(noted) >= done if sees else not done & set(noted)
    assert list(noted).count("thread.read") == sees
    theirs.refresh_from_db()
    assert theirs.is_over == (theirs.thumb == "up") == Run.objects.exists() == sees


@pytest.mark.parametrize("role", list(Role))
def test_a_keys_conversation_is_everybodys(
    person: Callable[[str], User], principal: Principal, assistant: Assistant, role: str
) -> None:
    assert principal.key_id is not None
    one = services.start(principal=principal, assistant_id=assistant.id)
    client = browser(person(role))
    assert listed(client) == {one.id}
    assert statuses(client, one) == [200] * ALL


def test_of_other_projects_there_is_nothing(charlie: User, principal: Principal, assistant: Assistant) -> None:
    one = services.start(principal=principal, assistant_id=assistant.id)
    client = browser(charlie)
    assert listed(client) == set()
    assert statuses(client, one) == [404] * ALL
    begun = client.post(ROOT, {"assistant_id": assistant.id}, content_type="application/json")
    assert begun.status_code == 404


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        ([THREADS_READ], [200] * 3 + [403] * 4),
        ([THREADS_WRITE], [403] * 3 + [200, 403, 200, 200]),
        ([THREADS_READ, THREADS_WRITE], [200] * 3 + [200, 403, 200, 200]),
        ([THREADS_READ, THREADS_WRITE, RUNS_WRITE], [200] * ALL),
        ([RUNS_WRITE], [403] * ALL),
    ],
)
def test_a_key_does_what_its_scopes_say(
    project: Project, client_of: Callable[[str], APIClient], principal: Principal, assistant: Assistant,
    scopes: list[str], expected: list[int],
) -> None:  # fmt: skip
    one = services.start(principal=principal, assistant_id=assistant.id)
    client: Any = client_of(accounts.create_api_key(project=project, name="some", scopes=scopes)[1])
    place = f"{ROOT}/{one.id}"
    read = [client.get(f"{place}{route}").status_code for _, route in READING]
    wrote = [getattr(client, how)(f"{place}{route}", body, format="json").status_code for how, route, body in WRITING]
    assert read + wrote == expected
    assert client.get(f"{ROOT}/active").status_code == (200 if THREADS_READ in scopes else 403)
    begun = client.post(ROOT, {"assistant_id": assistant.id}, format="json")
    assert begun.status_code == (200 if THREADS_WRITE in scopes else 403)
