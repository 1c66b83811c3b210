"""An embed key on a site, and a visitor's browser there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from assistants.embeds import services
from assistants.embeds.models import EmbedKey
from assistants.models import Assistant, Deployment
from assistants.services import update_assistant, versions
from runs.models import Run
from sovereign.accounts.principals import Principal
from threads.models import Thread
from threads.services import close_message, open_message

SITE = "https://intranet.example"
INSTRUCTIONS = "The password is swordfish."


@pytest.fixture(autouse=True)
def unlimited() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def deployed(principal: Principal, assistant: Assistant) -> Assistant:
    update_assistant(principal=principal, assistant_id=assistant.id, instructions=INSTRUCTIONS)
    version = versions.publish(principal=principal, assistant_id=assistant.id)
    Deployment.objects.create(
        project_id=assistant.project_id, assistant=assistant, version=version, environment="production", status="active"
    )
    assistant.refresh_from_db()
    return assistant


@pytest.fixture
def make(principal: Principal, deployed: Assistant) -> Callable[..., EmbedKey]:
    def make(**wish: Any) -> EmbedKey:
        wish = {"name": "Intranet", "origins": [SITE], "environment": "production", "allows_anonymous": True, **wish}
        return services.create_embed(principal=principal, assistant=deployed, **wish)

    return make


@pytest.fixture
def embed(make: Callable[..., EmbedKey]) -> EmbedKey:
    return make()


class Browser:
    """The page in the frame."""

    def __init__(self, embed: EmbedKey, token: str | None = None) -> None:
        self.embed, self.token, self.client = embed, token, Client(enforce_csrf_checks=True)
        if token is None:
            self.token = self.call("post", "visitors").json()["token"]

    def call(self, method: str, path: str, body: Any = None, key: str = "", **headers: str) -> Any:
        address = f"/embed/{key or self.embed.public_key}/{path}"
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        more = {"data": json.dumps(body or {}), "content_type": "application/json"} if method == "post" else {}
        return getattr(self.client, method)(address, headers=headers, **more)

    def ask(self, text: str = "Where?", thread: str = "", **more: Any) -> Any:
        said = [{"role": "user", "content": text}]
        where = {"additional_messages": said} if thread else {"thread": {"messages": said}}
        path = f"v1/threads/{thread}/runs" if thread else "v1/threads/runs"
        return self.call("post", path, {"assistant_id": self.embed.public_key, **where, **more})


@pytest.fixture
def visitor(embed: EmbedKey) -> Browser:
    return Browser(embed)


def end(run: dict[str, Any], text: str = "Here.") -> None:
    """The run is answered, with what its steps, metadata and annotations would say of the inside."""
    thread = Thread.objects.get(pk=run["thread_id"])
    opened = open_message(thread, message_id=f"msg_{run['id']}", run_id=run["id"], assistant_id="asst_secret")
    cited = {
        "type": "file_citation", "text": "【1†a.md】", "start_index": 0, "end_index": 0,
        "file_citation": {"file_id": "file-secret"},
    }  # fmt: skip
    close_message(opened.pk, content=[{"type": "text", "text": {"value": text, "annotations": [cited]}}])
    Run.objects.filter(pk=run["id"]).update(status="completed")
    Thread.objects.filter(pk=thread.pk).update(active_run_id=None)
