"""Our own OpenAPI document, as the server sends it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from inference import gateway
from inference.calls import Embedded, EmbeddingRequest, Moderated, ModerationRequest
from inference.chat import Availability, Capabilities, Delta, Finished, TextDelta, ToolCallDelta, Usage
from inference.models import RegisteredModel
from tests.contract.facts import Document

AWAITING = "tests.support.later.Awaiting"


@pytest.fixture(scope="session")
def document() -> Document:
    answer = Client().get("/openapi.json")
    assert answer.status_code == 200
    parsed: Document = json.loads(answer.content)
    return parsed


class Engine:
    """What answers in the place of ``inference.gateway``: any model called ``tiny``, to anything, at once."""

    LOGPROB: dict[str, Any] = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}

    async def stream(self, request: Any) -> AsyncIterator[Delta]:
        asks = getattr(request, "logprobs", None)
        yield TextDelta("Hi", [self.LOGPROB] if asks not in (None, False) else None)
        for index, tool in enumerate(getattr(request, "tools", [])):
            yield ToolCallDelta(index, None, tool["function"]["name"], "{}")
        yield Finished("stop", Usage(3, 1))

    async def embed(self, request: EmbeddingRequest) -> Embedded:
        return Embedded([[0.5, -0.5] for _ in request.texts], Usage(3, 0))

    async def moderate(self, request: ModerationRequest) -> Moderated:
        return Moderated([{"flagged": False} for _ in request.inputs], Usage(3, 0))


@pytest.fixture
def registered(db: None, monkeypatch: pytest.MonkeyPatch, settings: Any) -> RegisteredModel:
    """The model ``tiny``, which can be served and never is: tests write its answers."""
    capabilities = Capabilities(continuation=True, context_length=8_192)
    check, engine = gateway.check_model, Engine()

    def availability(name: str, **_: Any) -> Availability:
        return Availability(ready=True, capabilities=capabilities)

    def availabilities(names: Iterable[str], **_: Any) -> dict[str, Availability]:
        return {name: availability(name) for name in names}

    def check_model(name: str, **options: Any) -> None:
        if name != "tiny":
            check(name, **options)

    for name, answer in {
        "availability": availability,
        "availabilities": availabilities,
        "check_model": check_model,
        "stream": engine.stream,
        "complete": engine.stream,
        "embed": engine.embed,
        "moderate": engine.moderate,
    }.items():
        monkeypatch.setattr(gateway, name, answer)
    settings.MIDDLEWARE = [AWAITING, *settings.MIDDLEWARE]
    return RegisteredModel.objects.create(name="tiny", created_at=timezone.now())
