"""Alice at her chat, in which an answer is under way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from assistants.models import Assistant
from runs.models import Run
from runs.outbox import services as outbox
from runs.outbox.models import QueuedMessage
from runs.services import creation
from sovereign.accounts import credentials
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from tests.runs.conftest import assistant, model, principal, registered  # noqa: F401 (fixtures)
from threads import services as threads
from threads.models import Thread


@pytest.fixture
def person(alice: User, project: Project) -> Principal:
    return credentials.principal_of_person(alice.pk, project.pk)


@pytest.fixture
def chat(person: Principal) -> Thread:
    return threads.create_thread(principal=person, messages=[{"role": "user", "content": "Hello?"}])


@pytest.fixture
def ask(person: Principal, chat: Thread, assistant: Assistant) -> Callable[[], Run]:  # noqa: F811
    """Begins an answer on the chat."""
    return lambda: creation.create_run(principal=person, thread_id=chat.id, assistant_id=assistant.id).run


@pytest.fixture
def queue(person: Principal, chat: Thread, assistant: Assistant) -> Callable[..., QueuedMessage]:  # noqa: F811
    """``queue(text, **more)``: one more that waits."""

    def add(text: str, **more: object) -> QueuedMessage:
        return outbox.add(
            principal=person,
            thread_id=chat.id,
            content=text,
            **{"assistant_id": assistant.id, **more},  # type: ignore[arg-type]
        )

    return add
