"""Answers about files that were put into a store a moment ago: which of them wait, for what, and for how long."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants.knowledge.api import settling
from assistants.knowledge.api.members import file_response
from assistants.knowledge.ingestion import presence
from assistants.knowledge.ingestion.leases import claim
from assistants.knowledge.models import FileBatch, StoreFile
from assistants.knowledge.services import members, stores
from assistants.knowledge.services.filling import NewFile
from sovereign.accounts.principals import Principal
from sovereign.core import bus
from sovereign.core.asgi import LaterResponse
from sovereign.core.database import in_database
from tests.knowledge.ingesting import Embedder, age_lease, upload, working
from tests.runs.support import Gate, until, within

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("patient")]
FOREVER = 3_600.0  # seconds


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, a file was put there a moment ago, and only what is tested ends a wait."""
    for name in ("YOUNG", "PATIENCE", "LOOK"):
        monkeypatch.setattr(settling, name, FOREVER)


@pytest.fixture
def awaited(settings: Any) -> None:
    settings.MIDDLEWARE = ["tests.support.later.Awaiting", *settings.MIDDLEWARE]


@dataclass(frozen=True)
class Batched:
    """A batch of one file, in a store of its own."""

    batch: FileBatch
    member: StoreFile

    @classmethod
    def made(cls, principal: Principal) -> Batched:
        store = stores.create_store(principal=principal)
        files = [NewFile(upload(principal).id)]
        batch = members.create_batch(principal=principal, store_id=store.id, files=files)
        return cls(batch, StoreFile.objects.get(store=store))

    @property
    def places(self) -> list[str]:
        """Where one reads how far it is."""
        store, batch = f"/v1/vector_stores/{self.batch.store_id}", f"file_batches/{self.batch.id}"
        return [f"{store}/{place}" for place in ("files", f"files/{self.member.file_id}", batch, f"{batch}/files")]

    async def later(self, principal: Principal) -> LaterResponse:
        """An answer about the file that is not there yet."""
        store_id, file_id = self.batch.store_id, self.member.file_id
        get = partial(members.get_file, principal=principal, store_id=store_id, file_id=file_id)
        response = await in_database(settling.when_settled, store_id, principal, lambda: file_response(get()))
        assert isinstance(response, LaterResponse)
        return response


def states_in(shown: dict[str, Any]) -> list[str]:
    return [entry["status"] for entry in shown.get("data", [shown])]


def waiting() -> int:
    return len(bus._listeners.get(bus.FILES_SETTLED, ()))


def client(api_key: str) -> APIClient:
    asking = APIClient()
    asking.credentials(HTTP_AUTHORIZATION=f"Bearer {api_key}")
    return asking


@pytest.mark.usefixtures("awaited", "quick", "read_here")
async def test_who_asks_at_once_is_told_when_the_file_is_done(
    principal: Principal, api_key: str, embedder: Embedder
) -> None:
    gate = Gate()
    embedder.script = [gate]
    async with working():
        made = await in_database(Batched.made, principal)
        answers = [asyncio.create_task(in_database(client(api_key).get, place)) for place in made.places]
        await within(gate.reached.wait())
        await until(lambda: waiting() == len(answers))
        gate.opened.set()
        told = [answer.json() for answer in await within(asyncio.gather(*answers))]
    assert [states_in(shown) for shown in told] == [["completed"]] * len(answers)
    assert waiting() == 0


def test_nobody_waits_where_nobody_works(principal: Principal, api: APIClient) -> None:
    made = Batched.made(principal)
    assert [states_in(api.get(place).json()) for place in made.places] == [["in_progress"]] * 4
    claim(worker_id="elsewhere", limit=1, of_project=1, executing={})
    assert presence.is_at_work_on(made.batch.store_id)
    age_lease(made.member)  # its worker died
    assert [states_in(api.get(place).json()) for place in made.places] == [["in_progress"]] * 4


def test_nobody_waits_for_what_was_put_there_earlier(
    principal: Principal, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Batched.made(principal)
    claim(worker_id="elsewhere", limit=1, of_project=1, executing={})
    monkeypatch.setattr(settling, "YOUNG", -FOREVER)
    assert [states_in(api.get(place).json()) for place in made.places] == [["in_progress"]] * 4


def test_what_is_put_there_is_answered_at_once(principal: Principal, api: APIClient) -> None:
    store, file = stores.create_store(principal=principal), upload(principal)
    presence.arrive("here")
    try:
        for place, body in (("files", {"file_id": file.id}), ("file_batches", {"file_ids": [file.id]})):
            shown = api.post(f"/v1/vector_stores/{store.id}/{place}", body, format="json").json()
            assert shown["status"] == "in_progress"
    finally:
        presence.leave("here")


@pytest.mark.usefixtures("awaited")
def test_a_wait_ends(principal: Principal, api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "PATIENCE", 0.0)
    made = Batched.made(principal)
    claim(worker_id="elsewhere", limit=1, of_project=1, executing={})
    answer = api.get(made.places[1])
    assert (answer.json()["status"], answer["Content-Type"]) == ("in_progress", "application/json")
    assert int(answer["openai-poll-after-ms"]) > 0


async def test_a_process_waits_with_so_many_answers_only(principal: Principal, monkeypatch: pytest.MonkeyPatch) -> None:
    places = threading.BoundedSemaphore(1)
    monkeypatch.setattr(settling, "_places", places)
    made = await in_database(Batched.made, principal)
    await in_database(partial(claim, worker_id="elsewhere", limit=1, of_project=1, executing={}))
    first = asyncio.create_task((await made.later(principal)).final())
    await until(lambda: waiting() == 1)
    second = await within((await made.later(principal)).final())
    assert second.status_code == 200
    first.cancel()  # its client leaves
    await asyncio.wait([first])
    assert waiting() == 0
    assert places.acquire(blocking=False)
