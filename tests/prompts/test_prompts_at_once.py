"""Several people at the same prompt: one wins and the others are told, and nothing is half done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from assistants.prompts import services
from assistants.prompts.models import Prompt, PromptLabel, PromptVersion
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS = 5


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


@pytest.fixture
def prompt(alices: Principal) -> Prompt:  # type: ignore[override]
    return services.create_prompt(principal=alices, name="Desk", template="0")


def test_of_those_who_saw_the_same_version_one_wins(alices: Principal, prompt: Prompt) -> None:
    def add(number: int) -> str:
        text = f"text {number}"
        made = services.add_version(principal=alices, prompt_id=prompt.pk, template=text, expected_version=1)
        return str(made.number)

    assert at_once(add) == ["2"] + ["version_conflict"] * (CLIENTS - 1)
    assert PromptVersion.objects.count() == 2


def test_who_expects_nothing_gets_the_next_number(alices: Principal, prompt: Prompt) -> None:
    def add(number: int) -> str:
        return str(services.add_version(principal=alices, prompt_id=prompt.pk, template=f"text {number}").number)

    assert at_once(add) == [str(number) for number in range(2, CLIENTS + 2)]
    versions = list(PromptVersion.objects.order_by("number"))
    assert [version.parent for version in versions] == [None, *versions[:-1]]


def test_a_label_points_to_one_version(alices: Principal, prompt: Prompt) -> None:
    for number in range(1, CLIENTS):
        services.add_version(principal=alices, prompt_id=prompt.pk, template=f"text {number}")

    def move(number: int) -> str:
        label = services.move_label(principal=alices, prompt_id=prompt.pk, name="production", version=str(number + 1))
        return str(label.version.number)

    assert at_once(move) == [str(number + 1) for number in range(CLIENTS)]
    assert PromptLabel.objects.count() == 1


def test_a_name_is_given_once(alices: Principal, prompt: Prompt) -> None:
    def make(number: int) -> str:
        services.create_prompt(principal=alices, name="Same", template=f"text {number}")
        return "made"

    assert at_once(make) == ["made"] + ["name_taken"] * (CLIENTS - 1)
    assert (Prompt.objects.filter(name="Same").count(), PromptVersion.objects.count()) == (1, 2)
