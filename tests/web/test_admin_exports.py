"""Exports in the admin: what is long is written in the background, and its file is for who asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from assistants.knowledge import storage
from sovereign.accounts.models import Membership, User
from sovereign.accounts.principals import Principal
from sovereign.core import errors
from sovereign.core.database import in_database
from tests.threads.test_exports import fresh, hers, hurried, many, written
from threads.exports.models import Export
from threads.models import Thread

__all__ = ["hers", "hurried", "many"]

pytestmark = pytest.mark.django_db(transaction=True)

Visit = Callable[[User], Client]
LIST = "/admin/threads/thread/"


def file_of(export: Export) -> str:
    return reverse("admin:threads_export_file", args=[export.pk])


def test_what_is_long_is_written_in_the_background_and_found_on_the_page_of_work(
    hers: Principal, many: list[Thread], alice: User, bob: User, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = visit(alice)
    chosen = {"action": "export_json", "_selected_action": [thread.pk for thread in many]}
    at_once: Any = client.post(LIST, chosen)
    assert len(json.loads(b"".join(at_once.streaming_content))) == 3
    monkeypatch.setattr("threads.admin.threads.MESSAGES_AT_ONCE", 249)
    answer = client.post(LIST, chosen)
    assert (answer.status_code, answer["Location"]) == (302, reverse("work"))
    export = Export.objects.get()
    assert set(export.thread_ids) == {thread.pk for thread in many}
    Export.objects.update(status="in_progress", written=100)
    shown = client.get(reverse("work")).content.decode()
    assert "3 conversations as JSON" in shown
    assert "100 of 250 messages are written (40 %)" in shown
    assert "3 conversations" not in visit(bob).get(reverse("work")).content.decode(), "nobody else's"
    called_off = {"kind": "exports", "id": export.pk}
    assert visit(bob).post(reverse("work-cancel"), called_off).status_code == 404
    assert client.post(reverse("work-cancel"), called_off).status_code == 302
    assert fresh(export).status == "cancelled"
    one = client.post(f"{LIST}{many[0].pk}/export/md/")
    assert one.status_code == 200, "a short one is sent at once"


async def test_its_file_is_for_who_asked_as_long_as_they_may_read_it(
    hers: Principal, many: list[Thread], alice: User, bob: User, visit: Visit
) -> None:
    export = await written(hers, many)

    def look() -> None:
        address = file_of(export)
        assert f'href="{address}"' in visit(alice).get(reverse("work")).content.decode()
        answer: Any = visit(alice).get(address)
        assert answer["Content-Disposition"] == f'attachment; filename="{export.pk}.json"'
        assert len(b"".join(answer.streaming_content)) == export.bytes
        assert visit(bob).get(address).status_code == 404
        assert visit(alice).get(f"{address}".replace("export_", "none_")).status_code == 404
        Membership.objects.filter(user=alice).update(role="viewer")
        assert visit(alice).get(address).status_code == 404, "who may not read other people's conversations any more"

    await in_database(look)


async def test_a_bucket_that_does_not_answer_is_told_and_is_not_a_file_that_is_gone(
    hers: Principal, many: list[Thread], alice: User, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = await written(hers, many[2:])

    def down(*_: Any) -> None:
        raise errors.unavailable("The bucket does not answer.")

    def look() -> None:
        client = visit(alice)
        with monkeypatch.context() as patch:
            patch.setattr(storage.Folder, "open", down)
            answer = client.get(file_of(export), follow=True)
        assert answer.redirect_chain == [(reverse("work"), 302)]
        assert "The bucket does not answer." in answer.content.decode()
        again: Any = client.get(file_of(export))
        assert len(b"".join(again.streaming_content)) == export.bytes
        again.close()

    await in_database(look)
