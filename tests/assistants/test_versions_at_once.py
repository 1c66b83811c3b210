"""Everybody publishes at once: one of them wins, numbers have no holes, and nobody's answer is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from assistants.models import Assistant, AssistantVersion
from assistants.services import update_assistant, versions
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS = 6


def at_once(call: Callable[[int], str]) -> list[str]:
    """What ``call`` gave, or the code of its refusal, for each of the clients, all of which began together."""
    gate = threading.Barrier(CLIENTS)

    def run(number: int) -> str:
        try:
            gate.wait(60)
            return call(number)
        except ApiError as error:
            return str(error.code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(CLIENTS) as pool:
        return sorted(pool.map(run, range(CLIENTS)))


@pytest.mark.parametrize(("expected", "refusal"), [(0, "version_conflict"), (None, "nothing_to_publish")])
def test_one_wins_and_the_others_are_told(
    expected: int | None, refusal: str, analyst: Principal, assistant: Assistant
) -> None:
    def publish(_: int) -> str:
        made = versions.publish(principal=analyst, assistant_id=assistant.id, expected_version=expected)
        return str(made.number)

    assert at_once(publish) == ["1"] + [refusal] * (CLIENTS - 1)
    assert AssistantVersion.objects.count() == 1


def test_the_draft_becomes_one_version_for_all_who_ask(analyst: Principal, assistant: Assistant) -> None:
    answers = at_once(lambda _: versions.version_of_draft(principal=analyst, assistant=assistant).id)
    assert answers == [AssistantVersion.objects.get().id] * CLIENTS


def test_each_change_that_is_published_gets_the_next_number(analyst: Principal, assistant: Assistant) -> None:
    def change_and_publish(number: int) -> str:
        update_assistant(principal=analyst, assistant_id=assistant.id, instructions=f"Text {number}")
        return str(versions.publish(principal=analyst, assistant_id=assistant.id).number)

    numbers = [int(answer) for answer in at_once(change_and_publish) if answer != "nothing_to_publish"]
    assert numbers
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    published = list(AssistantVersion.objects.order_by("number"))
    assert [version.number for version in published] == sorted(numbers)
    assert [version.parent for version in published] == [None, *published[:-1]]


def test_who_restores_and_who_publishes_leave_a_draft_that_is_whole(analyst: Principal, assistant: Assistant) -> None:
    versions.publish(principal=analyst, assistant_id=assistant.id)
    update_assistant(principal=analyst, assistant_id=assistant.id, instructions="Be long.", temperature=0.5)

    def act(number: int) -> str:
        if number % 2:
            return versions.restore(principal=analyst, assistant_id=assistant.id, version="1").id
        return str(versions.publish(principal=analyst, assistant_id=assistant.id).number)

    at_once(act)
    assistant.refresh_from_db()
    assert (assistant.instructions, assistant.temperature) == ("Be brief.", 1.0)
    for version in AssistantVersion.objects.all():
        content = version.content["instructions"], version.content["temperature"]
        assert content in (("Be brief.", 1.0), ("Be long.", 0.5))
