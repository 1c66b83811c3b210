"""An Ollama fetches a model because a superuser says so: in the background, so that the page may be left and found."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from inference import services
from inference.engines import pulling
from inference.models import Engine, ModelPull, Provider
from inference.services import pulls
from sovereign.accounts.models import AuditEvent, User
from sovereign.core.database import now
from sovereign.core.errors import ApiError
from tests.inference.conftest import Upstream, in_database, plain, until
from tests.inference.helpers import provider_engine
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "sk-ollama-secret-0123456789"
MODEL = "llama3.2:3b"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"


def ollama(address: str = "http://127.0.0.1:9", **described: Any) -> Engine:
    return provider_engine(address, name="house-ollama", kind="ollama", key=SECRET, **described)


def page(engine: Engine) -> str:
    return reverse("admin:inference_provider_pull_model", args=[engine.provider_id])


def begun(engine: Engine, model: str = MODEL) -> ModelPull:
    Engine.objects.filter(pk=engine.pk).update(probed_at=now())
    return services.begin_pull(provider=engine.provider, model=model)


async def begin_at(upstream: Upstream) -> ModelPull:
    engine = await in_database(ollama, f"http://127.0.0.1:{upstream.port}")
    return await in_database(begun, engine)


async def fresh(pull: ModelPull) -> ModelPull:
    return await in_database(ModelPull.objects.select_related("provider__engine").get, pk=pull.pk)


def lines(*steps: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(step).encode() + b"\n" for step in steps)


def whole(*steps: dict[str, Any]) -> bytes:
    return plain(200, lines(*steps), "application/x-ndjson")


async def test_a_pull_is_followed_to_its_end_and_the_new_model_listed_soon(upstream: Upstream) -> None:
    upstream.answers(whole({"status": "pulling 8eeb", "total": 2_000, "completed": 500}, {"status": "success"}))
    pull = await begin_at(upstream)
    await pulling.pull_next()
    pull = await fresh(pull)
    assert (pull.status, pull.error, pull.lease_owner) == ("completed", "", None)
    assert pull.ended_at is not None
    assert upstream.requests[-1].body == {"model": MODEL, "stream": True}
    assert pull.provider.engine.probed_at is None


async def test_how_far_it_is_stands_in_the_row_for_everybody(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "INTERVAL", 0.01)
    upstream.hangs(HEAD, lines({"status": "pulling 8eeb", "total": 2_000, "completed": 500}))
    pull = await begin_at(upstream)
    worker = asyncio.create_task(pulling.pull_next())
    await until(lambda: _at(pull, 25))
    seen = await fresh(pull)
    assert (seen.step, seen.completed_bytes, seen.total_bytes) == ("pulling 8eeb", 500, 2_000)
    await in_database(services.cancel_pull, pull_id=pull.pk)
    await worker  # it sees that nobody wants it any more …
    await upstream.requests[-1].gone.wait()  # … and the provider is told by the end of its connection
    assert (await fresh(pull)).status == "cancelled"


async def _at(pull: ModelPull, percent: int) -> bool:
    return (await fresh(pull)).percent == percent


async def test_a_worker_that_stops_leaves_it_to_the_next_at_once(upstream: Upstream) -> None:
    upstream.hangs(HEAD)
    pull = await begin_at(upstream)
    worker = asyncio.create_task(pulling.pull_next())
    await until(lambda: len(upstream.requests) == 1)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert ((await fresh(pull)).status, (await fresh(pull)).attempts) == ("in_progress", 0)
    upstream.answers(whole({"status": "success"}))
    await pulling.pull_next()
    assert (await fresh(pull)).status == "completed"


def test_a_worker_that_died_is_followed_by_another_when_its_lease_is_over_and_not_for_ever() -> None:
    pull = begun(ollama())
    for attempt in range(1, pulls.MOST_ATTEMPTS + 1):
        claimed = services.claim_pull()
        assert claimed is not None
        assert services.claim_pull() is None  # held
        pull.refresh_from_db()
        assert pull.attempts == attempt
        ModelPull.objects.update(lease_expires_at=now() - timedelta(seconds=1))
    assert services.claim_pull() is None
    pull.refresh_from_db()
    assert (pull.status, pull.error) == ("failed", pulls.ABANDONED)
    assert not services.keep_pull(claimed, "late", 1, 2)  # what comes late writes nothing
    services.end_pull(claimed)
    pull.refresh_from_db()
    assert pull.status == "failed"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (whole({"error": "pull model manifest: file does not exist"}), "could not be pulled: pull model manifest"),
        (whole({"status": "pulling 8eeb"}), "closed the connection"),
        (plain(200, b"<html>", "text/html"), "text/html"),
        (plain(401, f'{{"error": "{SECRET}"}}'.encode()), "refused our key"),
        (whole({"error": f"what is {SECRET}?"}), "could not be pulled"),
    ],
)
async def test_a_pull_that_fails_says_why(upstream: Upstream, answer: bytes, words: str) -> None:
    upstream.answers(answer)
    pull = await begin_at(upstream)
    await pulling.pull_next()
    pull = await fresh(pull)
    assert pull.status == "failed"
    assert words in pull.error
    assert SECRET not in pull.error
    assert pull.provider.engine.probed_at is not None


async def test_a_provider_that_was_disabled_meanwhile_is_not_asked(upstream: Upstream) -> None:
    pull = await begin_at(upstream)
    await in_database(services.set_enabled, provider=pull.provider, enabled=False)
    await pulling.pull_next()
    assert (await fresh(pull)).error == pulling.GONE
    assert upstream.requests == []


def test_the_same_model_is_pulled_once_at_a_time() -> None:
    engine = ollama()
    first = begun(engine)
    assert begun(engine).pk == first.pk
    assert begun(engine, "other").pk != first.pk
    assert AuditEvent.objects.filter(action="provider.model_pulled").count() == 2
    services.cancel_pull(pull_id=first.pk)
    services.cancel_pull(pull_id=first.pk)  # over already: nothing
    assert AuditEvent.objects.filter(action="provider.pull_cancelled").count() == 1
    assert begun(engine).pk != first.pk


def test_of_two_who_pull_at_once_the_second_begins_anew_where_the_first_has_just_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = ollama()
    first = begun(engine)

    def ended(rows: Any) -> Any:
        ModelPull.objects.filter(pk=first.pk).update(status="cancelled")
        return rows.none()

    monkeypatch.setattr(type(ModelPull.objects.all()), "active", ended)
    assert begun(engine).pk != first.pk


# the page


def test_superusers_pull_and_nobody_else(bob: User) -> None:
    engine, client = ollama(), Client()
    assert client.get(page(engine)).status_code == 302
    client.force_login(bob)
    for answer in (client.get(page(engine)), client.post(page(engine), {"model": "x"})):
        assert answer.status_code == 403
    client.force_login(User.objects.create_superuser("root"))
    shown = client.get(page(engine)).content.decode()
    assert "Pull a model into house-ollama" in shown
    assert "data-refresh" not in shown  # nothing is under way: nothing is asked for again
    assert SECRET not in shown
    change = reverse("admin:inference_provider_change", args=[engine.provider_id])
    assert page(engine) in client.get(change).content.decode()
    refused = client.post(page(engine), {"model": "two words; rm"})
    assert (refused.status_code, "Letters" in refused.content.decode()) == (400, True)
    assert not ModelPull.objects.exists()
    assert client.post(page(engine), {"model": MODEL}).status_code == 302
    pull = ModelPull.objects.get()
    assert (pull.model, pull.status) == (MODEL, "queued")
    assert AuditEvent.objects.get(action="provider.model_pulled").details["model"] == MODEL


def test_the_page_shows_how_far_it_is_and_calls_it_off() -> None:
    engine, client = ollama(), Client()
    client.force_login(User.objects.create_superuser("root"))
    pull = begun(engine)
    claimed = services.claim_pull()
    assert claimed is not None
    services.keep_pull(claimed, EVIL, 500_000_000, 2_000_000_000)
    shown = client.get(page(engine)).content.decode()
    assert 'id="pulls" data-refresh="2"' in shown
    assert "0.50 of 2.00 GB (25 %)" in shown
    assert not [mark for mark in EVIL_MARKS if mark in shown]
    for nothing in ("pull_unknown", "pull_\x00"):
        assert client.post(page(engine), {"cancel": nothing}).status_code == 404
    assert client.post(page(engine), {"cancel": pull.pk}).status_code == 302
    pull.refresh_from_db()
    assert pull.status == "cancelled"
    assert "Nothing is being pulled" in client.get(page(engine)).content.decode()


def test_only_an_enabled_ollama_pulls() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    other = provider_engine("https://api.example.org/v1", name="other")
    disabled = ollama()
    services.set_enabled(provider=Provider.objects.get(name="house-ollama"), enabled=False)
    for engine in (other, disabled):
        assert client.post(page(engine), {"model": "x"}).status_code == 403
        change = reverse("admin:inference_provider_change", args=[engine.provider_id])
        assert page(engine) not in client.get(change).content.decode()
        with pytest.raises(ApiError, match="Only an Ollama"):
            services.begin_pull(provider=engine.provider, model="x")
