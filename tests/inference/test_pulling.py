"""An Ollama fetches a model because a superuser says so, and the page is told how far it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from inference import services
from inference.endpoints import endpoint_of
from inference.engines.pulling import pull_frames
from inference.models import Engine, Provider
from sovereign.accounts.models import AuditEvent, User
from sovereign.core.database import now
from tests.inference.conftest import Upstream, in_database, plain
from tests.inference.helpers import provider_engine

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "sk-ollama-secret-0123456789"


def ollama(address: str, **described: Any) -> Engine:
    return provider_engine(address, name="house-ollama", kind="ollama", key=SECRET, **described)


def page(engine: Engine) -> str:
    return reverse("admin:inference_provider_pull_model", args=[engine.provider_id])


async def frames_of(upstream: Upstream) -> list[tuple[str, Any]]:
    engine = await in_database(ollama, f"http://127.0.0.1:{upstream.port}")
    await in_database(lambda: Engine.objects.filter(pk=engine.pk).update(probed_at=now()))
    frames = b"".join([frame async for frame in pull_frames(endpoint_of(engine, ""), "llama3.2:3b")]).decode()
    pairs = [frame.split("\n") for frame in frames.strip().split("\n\n")]
    return [(head.removeprefix("event: "), data.removeprefix("data: ")) for head, data in pairs]


def lines(*steps: dict[str, Any]) -> bytes:
    body = b"".join(json.dumps(step).encode() + b"\n" for step in steps)
    return plain(200, body, "application/x-ndjson")


async def test_the_progress_is_told_and_the_new_model_listed_soon(upstream: Upstream) -> None:
    upstream.answers(
        lines(
            {"status": "pulling manifest"},
            {"status": "pulling 8eeb", "total": 2_000, "completed": 500},
            {"status": "success"},
        )
    )
    told = await frames_of(upstream)
    assert [name for name, _ in told] == ["progress", "progress", "progress", "done"]
    assert json.loads(told[1][1]) == {"status": "pulling 8eeb", "completed": 500, "total": 2_000}
    assert upstream.requests[-1].body == {"model": "llama3.2:3b", "stream": True}
    assert (await in_database(Engine.objects.get)).probed_at is None


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lines({"error": "pull model manifest: file does not exist"}), "could not be pulled: pull model manifest"),
        (lines({"status": "pulling 8eeb"}), "closed the connection"),
        (plain(200, b"<html>", "text/html"), "text/html"),
        (plain(401, f'{{"error": "{SECRET}"}}'.encode()), "refused our key"),
        (lines({"error": f"what is {SECRET}?"}), "could not be pulled"),
    ],
)
async def test_a_pull_that_fails_says_why(upstream: Upstream, answer: bytes, words: str) -> None:
    upstream.answers(answer)
    *_, (event, data), end = await frames_of(upstream)
    assert (event, end[0]) == ("error", "done")
    assert words in json.loads(data)["message"]
    assert SECRET not in data
    assert (await in_database(Engine.objects.get)).probed_at is not None


def test_superusers_pull_and_nobody_else(bob: User) -> None:
    engine, client = ollama("http://127.0.0.1:9"), Client()
    assert client.get(page(engine)).status_code == 302
    client.force_login(bob)
    for answer in (client.get(page(engine)), client.post(page(engine), {"model": "x"})):
        assert answer.status_code == 403
    client.force_login(User.objects.create_superuser("root"))
    shown = client.get(page(engine)).content.decode()
    assert "Pull a model into house-ollama" in shown
    assert SECRET not in shown
    change = reverse("admin:inference_provider_change", args=[engine.provider_id])
    assert page(engine) in client.get(change).content.decode()
    refused = client.post(page(engine), {"model": "two words; rm"})
    assert (refused.status_code, "Letters" in refused.json()["message"]) == (400, True)
    assert not AuditEvent.objects.filter(action="provider.model_pulled").exists()
    begun = client.post(page(engine), {"model": "llama3.2:3b"})
    assert (begun.status_code, begun["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
    begun.close()
    assert AuditEvent.objects.get(action="provider.model_pulled").details["model"] == "llama3.2:3b"


def test_only_an_enabled_ollama_pulls() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    other = provider_engine("https://api.example.org/v1", name="other")
    disabled = ollama("http://127.0.0.1:9")
    services.set_enabled(provider=Provider.objects.get(name="house-ollama"), enabled=False)
    for engine in (other, disabled):
        assert client.post(page(engine), {"model": "x"}).status_code == 403
        change = reverse("admin:inference_provider_change", args=[engine.provider_id])
        assert page(engine) not in client.get(change).content.decode()
