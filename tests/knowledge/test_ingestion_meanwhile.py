"""Files that have to be tried again, that change while they are worked on, and that get another model's vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from assistants.knowledge import storage
from assistants.knowledge.embedding import Space
from assistants.knowledge.ingestion import work
from assistants.knowledge.ingestion import worker as working_module
from assistants.knowledge.models import IngestionStatus, StoreFile
from assistants.knowledge.retrieval import packing
from assistants.knowledge.services import files, filling, members
from inference.chat import EngineUnavailable, InferenceError
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.knowledge.ingesting import (
    STATIC,
    Embedder,
    attach,
    fresh,
    indexed,
    over,
    store_with,
    upload,
    working,
)
from tests.runs.support import Gate, until, within

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick", "read_here")]


# ------------------------------------------------------------------------------------------------ trying again


async def test_a_content_that_is_gone_fails_at_once(embedder: Embedder, principal: Principal) -> None:
    [member] = await in_database(store_with, principal, "Soon gone.")
    await in_database(lambda: storage.delete(fresh(member).file.storage_key))
    async with working():
        done = await over(member)
    assert (done.status, done.error_code, done.error_message) == ("failed", "server_error", work.GONE)
    assert done.retry_count == 0


async def test_a_file_of_too_many_different_words_is_refused(
    embedder: Embedder, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "MOST_DIFFERENT", 3)
    [member] = await in_database(store_with, principal, "Pumps need valves, pipes and seals.")
    async with working():
        done = await over(member)
    assert (done.status, done.error_code, done.retry_count) == ("failed", "invalid_file", 0)
    assert "too many different words" in done.error_message
    assert embedder.calls == [], "nothing was paid for"


async def test_a_storage_that_is_away_is_asked_again_and_again(
    embedder: Embedder, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    [member] = await in_database(store_with, principal, "Out of reach.")
    asked: list[str] = []

    def away(key: str) -> Any:
        asked.append(key)
        raise OSError("no route to the bucket")

    monkeypatch.setattr(storage, "open_stream", away)
    async with working():
        done = await over(member)
    assert (done.status, done.error_code, done.error_message) == ("failed", "server_error", work.AWAY)
    assert len(asked) == work.RETRIES + 1


async def test_an_embedder_that_comes_back_is_waited_for(embedder: Embedder, principal: Principal) -> None:
    embedder.script = [EngineUnavailable("The engine sleeps.")] * 3
    [member] = await in_database(store_with, principal, "Patience.")
    async with working():
        done = await over(member)
    assert (done.status, done.space, done.note, done.retry_count) == ("completed", "tests/embedder/3", "", 0)
    assert len(embedder.calls) == 4
    assert await in_database(indexed, member) == (["Patience."], 1)


async def test_while_it_waits_the_file_says_for_what(
    embedder: Embedder, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "FIRST_DELAY", 60.0)
    embedder.script = [EngineUnavailable("http://10.0.0.7:8000 refuses")]
    [member] = await in_database(store_with, principal, "Patience.")
    async with working():
        waiting = await until(lambda: StoreFile.objects.filter(pk=member.pk, retry_count=1).first())
    assert (waiting.status, waiting.note, waiting.lease_owner) == ("in_progress", work.NO_ANSWER, None)
    assert waiting.crash_count == 0


async def test_an_embedder_that_stays_away_leaves_keywords_and_vectors_follow(
    embedder: Embedder, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working_module, "REEMBED", 600.0)
    embedder.script = [InferenceError("Nobody answers.")] * (work.RETRIES + 1)
    [member] = await in_database(store_with, principal, "Words first.")
    async with working():
        done = await over(member)
    assert (done.status, done.space, done.note) == ("completed", "", work.NO_VECTORS)
    assert await in_database(indexed, member) == (["Words first."], 0)
    async with working():
        later = await until(lambda: StoreFile.objects.filter(pk=member.pk, space="tests/embedder/3").first())
    assert (later.status, later.note, later.usage_bytes) == ("completed", "", done.usage_bytes + 3 * 4)
    assert await in_database(indexed, member) == (["Words first."], 1)


async def test_what_nobody_foresaw_is_tried_again_and_then_failed(embedder: Embedder, principal: Principal) -> None:
    embedder.script = [RuntimeError("a mistake of ours")] * (work.RETRIES + 1)
    broken, sound = await in_database(store_with, principal, "Unlucky.", "Another one.")
    async with working():
        done = await over(broken)
        await over(sound)
    outcomes = {(row.status, row.error_code) for row in (await in_database(fresh, sound), done)}
    assert outcomes <= {("completed", ""), ("failed", "server_error")}
    assert "a mistake" not in done.error_message


# ------------------------------------------------------------------------------------------------ changes meanwhile


@pytest.fixture
def gate(embedder: Embedder) -> Iterator[Gate]:
    """Where the first embedding waits."""
    made = Gate()
    embedder.script = [made]
    yield made
    made.opened.set()


async def test_a_cancelled_file_is_left_where_it_is(embedder: Embedder, gate: Gate, principal: Principal) -> None:
    store = (await in_database(store_with, principal, "Something else."))[0].store
    async with working() as worker:
        await within(gate.reached.wait())
        file = await in_database(upload, principal, "Too late.")
        second = Gate()
        embedder.script = [second]
        batch = await in_database(
            members.create_batch, principal=principal, store_id=store.id, files=[filling.NewFile(file.id)]
        )
        await within(second.reached.wait())
        await in_database(members.cancel_batch, principal=principal, store_id=store.id, batch_id=batch.id)
        await until(lambda: len(worker._executions) == 1)  # it has given up
        gate.opened.set()
    member = await in_database(lambda: StoreFile.objects.get(batch=batch))
    assert member.status == IngestionStatus.CANCELLED
    assert await in_database(indexed, member) == ([], 0)


async def test_of_a_file_that_is_deleted_meanwhile_nothing_stays(
    embedder: Embedder, gate: Gate, principal: Principal
) -> None:
    [member] = await in_database(store_with, principal, "Gone tomorrow.")
    async with working() as worker:
        await within(gate.reached.wait())
        await in_database(files.delete_file, principal=principal, file_id=member.file_id)
        await until(lambda: not worker._executions)
    assert not await in_database(lambda: StoreFile.objects.exists())
    assert await in_database(indexed, member) == ([], 0)


async def test_of_a_file_that_is_taken_out_of_its_store_meanwhile_nothing_stays(
    embedder: Embedder, gate: Gate, principal: Principal
) -> None:
    [member] = await in_database(store_with, principal, "Taken out.")
    async with working() as worker:
        await within(gate.reached.wait())
        await in_database(members.detach_file, principal=principal, store_id=member.store_id, file_id=member.file_id)
        await until(lambda: not worker._executions)
    assert await in_database(indexed, member) == ([], 0)


async def test_a_file_that_is_to_be_cut_otherwise_is_ingested_anew(embedder: Embedder, principal: Principal) -> None:
    text = " ".join(f"Sentence number {number} says something." for number in range(60))
    [member] = await in_database(store_with, principal, text)
    async with working():
        await over(member)
        assert len((await in_database(indexed, member))[0]) == 1
        await in_database(lambda: attach(principal, member.store, member.file, chunking=STATIC))
        await over(member)
    texts, _ = await in_database(indexed, member)
    assert len(texts) > 1
    assert " ".join(texts) == text


# ------------------------------------------------------------------------------------------------ another model


async def test_another_model_gives_other_vectors_and_the_old_serve_until_then(
    embedder: Embedder, principal: Principal
) -> None:
    first, second = await in_database(store_with, principal, "One.", "Two.")
    async with working():
        before = [await over(first), await over(second)]
    embedder.space = Space("tests/other", "0123456789ab", 5)
    waiting = Gate()
    embedder.script = [waiting]
    async with working():
        await within(waiting.reached.wait())
        assert [row.status for row in (await in_database(fresh, first), await in_database(fresh, second))] == [
            "completed",
            "completed",
        ]
        assert (await in_database(indexed, first))[1] == 1
        waiting.opened.set()
        renewed = "tests/other@0123456789ab/5"
        await until(lambda: StoreFile.objects.filter(space=renewed).count() == 2)
    for old, member in zip(before, (first, second), strict=True):
        new = await in_database(fresh, member)
        assert new.usage_bytes == old.usage_bytes + 2 * 4
        assert (new.status, new.lease_owner, new.crash_count) == ("completed", None, 0)
        assert (await in_database(indexed, member))[1] == 1


async def test_a_model_that_fails_leaves_the_old_vectors(embedder: Embedder, principal: Principal) -> None:
    [member] = await in_database(store_with, principal, "One.")
    async with working():
        await over(member)
    embedder.space = Space("tests/other", "", 5)
    embedder.script = [InferenceError("Not today."), RuntimeError("a mistake"), *[InferenceError("Nor now.")] * 20]
    async with working():
        await until(lambda: StoreFile.objects.filter(pk=member.pk, retry_count__gt=work.RETRIES).exists())
    kept = await in_database(fresh, member)
    assert (kept.status, kept.space) == ("completed", "tests/embedder/3")
    assert (await in_database(indexed, member))[1] == 1
