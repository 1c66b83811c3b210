from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from assistants.models import Assistant
from assistants.services import create_assistant
from inference.models import Engine
from inference.services import register_models
from runs.models import Run, RunEvent
from runs.services.creation import create_thread_and_run
from sovereign.accounts.credentials import principal_of_person
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from threads.models import Thread
from threads.services import create_thread

MODEL = "fake"
EVIL = "<script>alert('xss')</script>\"><img src=x onerror=alert(1)>{{ 7 }}</textarea>"
EVIL_MARKS = ("<script>alert", "<img src=x")  # in no page, whatever stands around them


@pytest.fixture
def model(db: None) -> str:
    register_models(names=[(MODEL, "", None)])
    return MODEL


@pytest.fixture
def engine(db: None) -> Callable[..., Engine]:
    """``engine(state=…, seconds=…)``: a supervised engine in that state for so long."""

    def make(*, state: str, seconds: int = 0, reason: str = "", token_age: int | None = None) -> Engine:
        moment = timezone.now()
        token = None if token_age is None else moment - timedelta(seconds=token_age)
        return Engine.objects.create(
            name=MODEL, kind="vllm", state=state, since=moment - timedelta(seconds=seconds), reason=reason,
            served=[{"id": MODEL, "context_length": 2048}], heartbeat_at=moment, last_token_at=token, created_at=moment,
        )  # fmt: skip

    return make


@pytest.fixture
def visit() -> Callable[[User], Client]:
    """``visit(user)``: a browser with that person's session."""

    def make(user: User) -> Client:
        client = Client(headers={"Accept": "text/html,application/xhtml+xml"})
        client.force_login(user)
        return client

    return make


@pytest.fixture
def principal(alice: User, project: Project) -> Principal:
    return principal_of_person(alice.pk)


@pytest.fixture
def assistant(principal: Principal, model: str) -> Assistant:
    return create_assistant(principal=principal, model=model, name="Guide", description="Knows the way.")


@pytest.fixture
def thread(principal: Principal) -> Thread:
    """Alice's own chat."""
    return create_thread(principal=principal, messages=[{"role": "user", "content": "Where is the station?"}])


@pytest.fixture
def run(principal: Principal, assistant: Assistant) -> Run:
    """A run with a few deltas in its log."""
    message: dict[str, Any] = {"role": "user", "content": "How are you?"}
    made = create_thread_and_run(principal=principal, assistant_id=assistant.id, thread={"messages": [message]}).run
    part = {"index": 0, "type": "text", "text": {"value": "Fine "}}
    RunEvent.objects.bulk_create(
        RunEvent(run=made, seq=seq, type="thread.message.delta", data={"id": "msg_1", "content": [part]})
        for seq in range(4, 7)
    )
    Run.objects.filter(pk=made.pk).update(last_seq=6)
    return made
