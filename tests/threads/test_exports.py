"""Conversations are written to a file in the background: left, found again, and gone when they have to be."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assistants.knowledge import storage
from runs.worker import exporting
from sovereign.accounts import credentials
from sovereign.accounts.models import AuditEvent, Membership, Project, User
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database, now
from sovereign.core.errors import ApiError
from threads.exports import services
from threads.exports.models import Export
from threads.models import Message, Thread
from threads.redaction import redact_message
from threads.services import create_thread, delete_thread

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hers(alice: User, project: Project) -> Principal:
    return credentials.principal_of_person(alice.pk)


@pytest.fixture
def many(hers: Principal) -> list[Thread]:
    """Three conversations, of 250 messages together."""
    return [
        create_thread(
            principal=hers,
            messages=[{"role": "user", "content": f"Thread {thread} says {number}."} for number in range(count)],
        )
        for thread, count in enumerate((200, 49, 1))
    ]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    """Each piece is a step of its own, and nobody rests; files are in a folder in which no other test has any."""
    settings.SOVEREIGN = replace(settings.SOVEREIGN, files_url=tmp_path.as_uri())
    monkeypatch.setattr(exporting, "STEP", 0.0)
    monkeypatch.setattr(exporting, "PAUSE", 0.0)


def begun(principal: Principal, threads: list[Thread], kind: str = "json") -> Export:
    return services.begin(principal=principal, thread_ids=[thread.pk for thread in threads], kind=kind)


def fresh(export: Export) -> Export:
    return Export.objects.get(pk=export.pk)


def content_of(export: Export) -> bytes:
    with services.open_file(export) as stream:
        return stream.read()


async def written(principal: Principal, threads: list[Thread], kind: str = "json") -> Export:
    export = await in_database(begun, principal, threads, kind)
    await exporting.write_exports()
    return await in_database(fresh, export)  # type: ignore[no-any-return]


async def test_all_of_it_is_written_and_each_thread_is_noted(hers: Principal, many: list[Thread]) -> None:
    export = await written(hers, many)
    assert (export.status, export.total, export.written, export.error) == ("completed", 250, 250, "")
    content = await in_database(content_of, export)
    assert export.bytes == len(content)
    told = json.loads(content)
    assert [(one["id"], len(one["messages"])) for one in told] == [
        (thread.pk, count) for thread, count in zip(many, (200, 49, 1), strict=True)
    ]
    assert told[0]["messages"][199]["content"][0]["text"]["value"] == "Thread 0 says 199."
    noted = await in_database(
        lambda: set(AuditEvent.objects.filter(action="thread.exported").values_list("object_id", flat=True))
    )
    assert noted == {thread.pk for thread in many}
    assert not await in_database(lambda: list(storage.old_doubts(0)))
    one = await in_database(content_of, await written(hers, many[1:2]))
    assert json.loads(one)["id"] == many[1].pk, "of one thread it is no list"
    text = (await in_database(content_of, await written(hers, many, "md"))).decode()
    assert (text.count("\n# "), text.count("> Thread")) == (2, 250)


async def test_how_far_it_is_is_told_and_it_is_called_off(
    hers: Principal, many: list[Thread], alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = await in_database(begun, hers, many)
    keep, seen = services.keep, []

    def kept(claimed: services.Claimed, number: int) -> bool:
        seen.append(number)
        if number > 100:
            services.cancel(user_id=alice.pk, export_id=export.pk)
        return keep(claimed, number)

    monkeypatch.setattr(services, "keep", kept)
    await exporting.write_exports()
    assert seen == sorted(seen)
    assert 100 < seen[-1] < 110
    after = await in_database(fresh, export)
    assert (after.status, after.storage_key) == ("cancelled", None)
    with pytest.raises(ApiError) as refused:
        await in_database(services.open_file, after)
    assert refused.value.status == 404


@pytest.mark.parametrize("kind", ["json", "md"])
async def test_what_is_told_are_the_messages_that_are_written_and_nothing_else(
    hers: Principal, many: list[Thread], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = await in_database(lambda: list(Message.objects.of_thread(many[1].pk).order_by("position")[:2]))
    await in_database(lambda: Message.objects.filter(pk=parts[1].pk).update(goes_on_with=parts[0].pk))
    keep, seen = services.keep, []

    def kept(claimed: services.Claimed, number: int) -> bool:
        seen.append(number)
        return keep(claimed, number)

    monkeypatch.setattr(services, "keep", kept)
    assert (await written(hers, many, kind)).written == 250
    assert list(dict.fromkeys(seen)) == [*range(201), *range(202, 251)], "an answer in two parts is two messages"


async def test_a_worker_that_dies_leaves_it_to_another_one_three_times(hers: Principal, many: list[Thread]) -> None:
    export = await in_database(begun, hers, many)
    for _ in range(services.MOST_ATTEMPTS):
        claimed = await in_database(services.claim)
        assert claimed is not None
        assert await in_database(services.claim) is None, "it is held"
        await in_database(lambda: Export.objects.update(lease_expires_at=now() - timedelta(seconds=1)))
    assert await in_database(services.claim) is None
    after = await in_database(fresh, export)
    assert (after.status, after.error) == ("failed", services.ABANDONED)
    assert not await in_database(services.keep, claimed, 1), "who held it holds it no more"


async def test_a_file_goes_with_a_message_that_is_redacted_and_with_a_thread_that_is_deleted(
    hers: Principal, many: list[Thread]
) -> None:
    first, second, third = [await written(hers, some) for some in (many[:2], many[1:], many[2:])]
    message = await in_database(lambda: Message.objects.of_thread(many[0].pk).order_by("position")[3])
    await in_database(lambda: redact_message(principal=hers, thread_id=many[0].pk, message_id=message.pk))
    after = await in_database(fresh, first)
    assert (after.status, after.error, after.storage_key) == ("failed", services.CHANGED, None)
    with pytest.raises(FileNotFoundError):
        await in_database(storage.open_stream, str(first.storage_key))
    await in_database(lambda: delete_thread(principal=hers, thread_id=many[1].pk))
    assert [(await in_database(fresh, export)).status for export in (second, third)] == ["failed", "completed"]
    running = await in_database(begun, hers, many[2:])
    claimed = await in_database(services.claim)
    assert claimed is not None
    await in_database(lambda: delete_thread(principal=hers, thread_id=many[2].pk))
    assert not await in_database(services.keep, claimed, 1)
    assert (await in_database(fresh, running)).status == "failed"


async def test_who_may_not_read_any_more_gets_no_file(hers: Principal, many: list[Thread], alice: User) -> None:
    export = await in_database(begun, hers, many)
    await in_database(lambda: Membership.objects.filter(user=alice).delete())
    await exporting.write_exports()
    after = await in_database(fresh, export)
    assert (after.status, after.error) == ("failed", services.GONE)
    assert not await in_database(lambda: AuditEvent.objects.filter(action="thread.exported").exists())


async def test_what_was_there_for_long_enough_is_deleted(hers: Principal, many: list[Thread]) -> None:
    export = await written(hers, many)
    assert await in_database(services.forget_old) == 0
    await in_database(lambda: Export.objects.update(ended_at=now() - services.KEPT))
    assert await in_database(services.forget_old) == 1
    assert not await in_database(Export.objects.exists)
    with pytest.raises(FileNotFoundError):
        await in_database(storage.open_stream, str(export.storage_key))


def test_a_person_has_only_so_many_under_way(hers: Principal, many: list[Thread]) -> None:
    for _ in range(services.MOST_ACTIVE):
        begun(hers, many)
    with pytest.raises(ApiError) as refused:
        begun(hers, many)
    assert (refused.value.status, refused.value.code) == (429, "too_many_exports")
