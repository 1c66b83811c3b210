"""Files of exports: none is lost that somebody may fetch, and none stays that says what is gone."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from assistants.knowledge import storage
from assistants.knowledge.services import expiry
from runs.worker import exporting
from sovereign.accounts.principals import Principal
from sovereign.core import errors
from sovereign.core.database import begin_in_database, in_database
from sovereign.core.errors import ApiError
from tests.deployments.test_deploying_at_once import at_once
from tests.support.processes import eventually
from tests.threads.test_exports import begun, content_of, fresh, hers, hurried, many, written
from threads import keeping, redaction
from threads.exports import services
from threads.exports.models import Export
from threads.models import Message, Thread
from threads.redaction import MARK, redact_message
from threads.services import create_thread, delete_thread

__all__ = ["hers", "hurried", "many"]

pytestmark = pytest.mark.django_db(transaction=True)

Status = Export.Status


def redact_first(principal: Principal, thread: Thread) -> Message:
    first = Message.objects.of_thread(thread.pk).order_by("position")[0]
    return redact_message(principal=principal, thread_id=thread.pk, message_id=first.pk)


async def test_a_redaction_that_is_refused_costs_no_file(hers: Principal, many: list[Thread]) -> None:
    export = await written(hers, many[2:])

    def refused() -> None:
        Thread.objects.filter(pk=many[2].pk).update(active_run_id="run_x")
        with pytest.raises(ApiError) as refusal:
            redact_first(hers, many[2])
        assert refusal.value.code == "run_active"
        assert storage.old_doubts(-1) == [export.storage_key], "it was about to go"
        assert expiry.sweep(-1) == 0
        assert storage.old_doubts(-1) == []

    await in_database(refused)
    assert (await in_database(fresh, export)).status == Status.COMPLETED
    assert len(await in_database(content_of, export)) == export.bytes


async def test_a_worker_that_dies_right_after_the_end_costs_no_file(
    hers: Principal, many: list[Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(key: str) -> None:
        raise OSError("The disk is away.")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "settle", fail)
        export = await written(hers, many[2:])
    assert (export.status, export.error) == (Status.COMPLETED, "")
    assert await in_database(storage.old_doubts, -1) == [export.storage_key]
    assert await in_database(expiry.sweep, -1) == 0
    assert len(await in_database(content_of, export)) == export.bytes


async def test_a_disk_that_is_full_and_a_bucket_that_is_down_keep_nobody_from_redacting(
    hers: Principal, many: list[Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    export = await written(hers, many[2:])

    def full(key: str) -> None:
        raise OSError("No space left on device")

    def down(*_: Any) -> None:
        raise errors.unavailable("The bucket does not answer.")

    def changed() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(storage, "doubt", full)
            patch.setattr(storage.Folder, "remove", down)
            assert redact_first(hers, many[2]).redacted_at is not None
        storage.delete(str(export.storage_key))

    await in_database(changed)
    assert (await in_database(fresh, export)).status == Status.FAILED


async def test_a_file_goes_with_the_title_that_its_thread_has_of_the_message(
    hers: Principal, many: list[Thread]
) -> None:
    """A branch is called as its family is, also where it begins otherwise; it may be called otherwise by now."""

    def branch(title: str) -> Thread:
        said = [{"role": "user", "content": "Something else."}]
        made = create_thread(principal=hers, messages=said, title=many[2].title)
        Thread.objects.filter(pk=made.pk).update(family=many[2].pk)
        return made

    named, renamed = [await in_database(branch, many[2].title) for _ in range(2)]
    first, second, other = [await written(hers, [thread]) for thread in (named, renamed, many[1])]
    assert many[2].title.encode() in await in_database(content_of, first)
    await in_database(lambda: keeping.rename(principal=hers, thread_id=renamed.pk, title="Quite another"))
    await in_database(redact_first, hers, many[2])
    ended = [(await in_database(fresh, export)).status for export in (first, second, other)]
    assert ended == [Status.FAILED, Status.FAILED, Status.COMPLETED]


async def test_a_file_goes_with_a_thread_that_is_thrown_away(hers: Principal, many: list[Thread]) -> None:
    export, other = await written(hers, many[1:]), await written(hers, many[1:2])
    await in_database(lambda: keeping.trash(principal=hers, thread_id=many[2].pk))
    ended = await in_database(fresh, export)
    assert (ended.status, ended.error, ended.storage_key) == (Status.FAILED, services.CHANGED, None)
    assert (await in_database(fresh, other)).status == Status.COMPLETED
    await in_database(lambda: keeping.restore(principal=hers, thread_id=many[2].pk))
    assert (await in_database(fresh, export)).status == Status.FAILED


@pytest.mark.skipif(connection.vendor != "postgresql", reason="nothing is written beside another transaction")
async def test_a_redaction_under_way_is_waited_for(
    hers: Principal, many: list[Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has looked for exports already, when one of them begins."""
    looked, go_on = threading.Event(), threading.Event()

    def pause(message: Message) -> list[str]:
        looked.set()
        assert go_on.wait(60)
        return []

    monkeypatch.setattr(redaction, "before_redaction", [*redaction.before_redaction, pause])
    await in_database(begun, hers, many[2:])
    redacting = begin_in_database(lambda: redact_first(hers, many[2]))
    try:
        assert await in_database(looked.wait, 60)
        claimed = await in_database(services.claim)
        assert claimed is not None
        writing = begin_in_database(lambda: b"".join(piece for piece, _ in services.pieces(claimed)))
        await in_database(until_somebody_waits, writing)
    finally:
        go_on.set()
    assert redacting.result(60).redacted_at is not None
    content = writing.result(60).decode()
    assert (MARK in content, "says 0" in content) == (True, False)


def until_somebody_waits(writing: Any) -> None:
    """For a lock, or not at all any more."""
    waiting = (
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE NOT granted AND datname = current_database()"
    )

    def waits() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            return bool(cursor.fetchone()[0]) or writing.done()

    eventually(waits)


def test_a_thread_that_is_deleted_reads_no_export_that_it_is_not_in(hers: Principal, many: list[Thread]) -> None:
    Export.objects.bulk_create(
        Export(
            project_id=hers.project_id, user_id=hers.user_id, kind="json", total=1, threads=1, status=status,
            thread_ids=[thread.pk],
        )
        for thread in many[:2]
        for status in (Status.IN_PROGRESS, Status.COMPLETED, Status.QUEUED)
    )  # fmt: skip
    with CaptureQueriesContext(connection) as asked:
        delete_thread(principal=hers, thread_id=many[0].pk)
    found = [query["sql"] for query in asked if 'FROM "thread_exports_export"' in query["sql"]]
    assert len(found) == 1
    assert '"thread_ids",' not in found[0], "they may be ten thousand"
    left = Export.objects.filter(status__in=(Status.IN_PROGRESS, Status.COMPLETED))
    assert {export.thread_ids[0] for export in left} == {many[1].pk}
    assert left.count() == 2


async def test_what_is_old_is_forgotten_although_there_is_always_another_one_to_write(
    hers: Principal, many: list[Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    claim, forget = services.claim, services.forget_old

    def claimed() -> Any:
        found = claim()
        done.append("written" if found else "nothing")
        return found

    def forgotten() -> int:
        done.append("forgotten")
        return forget()

    monkeypatch.setattr(services, "claim", claimed)
    monkeypatch.setattr(services, "forget_old", forgotten)
    monkeypatch.setattr(exporting, "_next_look", 0.0)
    monkeypatch.setattr(exporting, "FORGETS_EVERY", 0.0)
    for _ in range(2):
        await in_database(begun, hers, many[2:])
    await exporting.write_exports()
    assert done == ["forgotten", "written", "forgotten", "written", "forgotten", "nothing"]


async def test_a_person_has_only_so_many_and_the_oldest_make_room(
    hers: Principal, many: list[Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MOST_KEPT", 4)
    first, second, third = [await written(hers, many[2:]) for _ in range(3)]
    called_off = await in_database(begun, hers, many[2:])
    await in_database(lambda: services.cancel(user_id=int(hers.user_id or 0), export_id=called_off.pk))
    fourth = await written(hers, many[2:])

    def standing() -> set[str]:
        return set(Export.objects.values_list("id", flat=True))

    assert await in_database(standing) == {one.pk for one in (first, second, third, fourth)}, "no file for no file"
    fifth = await written(hers, many[2:])
    assert await in_database(standing) == {one.pk for one in (second, third, fourth, fifth)}
    with pytest.raises(FileNotFoundError):
        await in_database(storage.open_stream, str(first.storage_key))


def test_who_asks_in_several_tabs_at_once_has_only_so_many(hers: Principal, many: list[Thread]) -> None:
    told = at_once([lambda: begun(hers, many[2:])] * (services.MOST_ACTIVE + 3))
    assert told.count("too_many_exports") == 3
    assert Export.objects.active().count() == services.MOST_ACTIVE
