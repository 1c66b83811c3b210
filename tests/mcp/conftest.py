"""An assistant that is offered to MCP clients, and a client as bare as it can be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connections
from rest_framework.test import APIClient

from assistants import services as assistants
from assistants.models import Assistant
from inference.models import RegisteredModel
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.runs.conftest import model, principal, registered  # noqa: F401
from tests.runs.support import PATIENCE

BOTH = "application/json, text/event-stream"


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of one request; ``messages`` are those of the body, however many."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def messages(self) -> list[dict[str, Any]]:
        if not self.headers.get("Content-Type", "").startswith("text/event-stream"):
            return [json.loads(self.body)]
        frames = [frame for frame in self.body.decode().split("\n\n") if frame]
        lines = [line for frame in frames for line in frame.splitlines() if line.startswith("data: ")]
        return [json.loads(line.removeprefix("data: ")) for line in lines]

    @property
    def result(self) -> Any:
        return self.messages[-1]["result"]

    @property
    def error(self) -> Any:
        return self.messages[-1]["error"]


class Caller:
    """Sends one message a request."""

    def __init__(self, client: APIClient) -> None:
        self.client = client

    def send(self, message: Any, *, accept: str = BOTH, **headers: str) -> Answered:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        response = self.client.post(
            "/mcp", body, content_type="application/json", headers={"Accept": accept, **headers}
        )
        source = getattr(response, "source", None)
        content = response.content if source is None else asyncio.run(_all_of(source))
        return Answered(response.status_code, dict(response.items()), content)

    def ask(self, method: str, params: Any = None, *, accept: str = BOTH, **headers: str) -> Answered:
        told = {} if params is None else {"params": params}
        return self.send({"jsonrpc": "2.0", "id": 1, "method": method, **told}, accept=accept, **headers)

    def call(self, name: str, meta: dict[str, Any] | None = None, accept: str = BOTH, **arguments: Any) -> Answered:
        params = {"name": name, "arguments": arguments, **({"_meta": meta} if meta else {})}
        return self.ask("tools/call", params, accept=accept)

    async def calls(self, name: str, **more: Any) -> Answered:
        """As ``call``, beside a worker in this loop."""

        def act() -> Answered:
            try:
                return self.call(name, **more)
            finally:
                connections.close_all()

        return await asyncio.to_thread(act)


async def _all_of(source: Any) -> bytes:
    try:
        async with asyncio.timeout(PATIENCE):  # or a test that failed meanwhile would wait for its thread
            return b"".join([piece async for piece in source])
    finally:
        await source.aclose()


@pytest.fixture
def caller(settings: Any, api: APIClient) -> Caller:
    """Alice's key."""
    settings.MIDDLEWARE = ["tests.support.later.Awaiting", *settings.MIDDLEWARE]
    return Caller(api)


@pytest.fixture
def offer(principal: Principal, registered: RegisteredModel) -> Callable[..., Assistant]:  # noqa: F811
    """``offer(name, **fields)``: an assistant that MCP clients find."""

    def make(name: str | None = "House Rules", **fields: Any) -> Assistant:
        made = assistants.create_assistant(principal=principal, model="tiny", name=name, **fields)
        Assistant.objects.filter(pk=made.pk).update(offered_over_mcp=True)
        return made

    return make


@pytest.fixture
async def offered(offer: Callable[..., Assistant]) -> Assistant:
    made: Assistant = await in_database(offer)
    return made
