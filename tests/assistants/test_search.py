"""Assistants are found by words, on both databases alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from assistants import services
from assistants.models import Assistant
from assistants.search import Owner, Wanted, search
from inference.models import RegisteredModel
from sovereign.accounts.models import User
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from tests.assistants.calling import Caller, caller, tiny

__all__ = ["caller", "tiny"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def principal(analyst: Principal, tiny: RegisteredModel) -> Principal:
    return analyst


@pytest.fixture
def make(principal: Principal) -> Callable[..., Assistant]:
    def made(name: str, **fields: Any) -> Assistant:
        return services.make_assistant(principal=principal, model="tiny", name=name, **fields)

    return made


def names(principal: Principal, query: str = "", limit: int = 20, after: str | None = None, **wanted: Any) -> list[str]:
    found = search(principal=principal, query=query, wanted=Wanted(**wanted), limit=limit, after=after)
    return [str(match.assistant.name) for match in found]


def test_a_name_counts_more_than_a_tag_a_description_and_instructions(
    principal: Principal, make: Callable[..., Assistant]
) -> None:
    make("Clerk", instructions="You know the tariffs of energy in every country.")
    make("Guide", description="Finds its way through energy.")
    make("Helper", tags=["energy"])
    make("Energy")
    make("Baker", instructions="Bread.")
    found = search(principal=principal, query="energy", wanted=Wanted(), limit=20)
    assert [match.assistant.name for match in found] == ["Energy", "Helper", "Guide", "Clerk"]
    shares = [match.relevance or 0.0 for match in found]
    assert shares[0] == 1.0
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] > 0


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("release notes", ["Notes of a Release"]),
        ("NOTES rel", ["Notes of a Release"]),
        ("release bread", []),
        ("größe", ["Größe & Gewicht"]),
        ("GRÖSSE", []),
        ("v2", ["v2.5/beta-test"]),
        ("beta", ["v2.5/beta-test"]),
        ('"notes" OR NOT (a:*', []),
        ("'; --", []),
        ("***", []),
        ("天気", ["天気 予報"]),
    ],
)
def test_words_are_found_in_any_order_and_signs_are_none(
    principal: Principal, make: Callable[..., Assistant], query: str, found: list[str]
) -> None:
    for name in ("Notes of a Release", "Größe & Gewicht", "v2.5/beta-test", "天気 予報"):
        make(name)
    assert names(principal, query) == found


def test_what_changes_is_found_as_it_is_now(principal: Principal, make: Callable[..., Assistant]) -> None:
    assistant = make("Old name")
    services.update_assistant(principal=principal, assistant_id=assistant.id, name="New words", instructions="Sing.")
    assert names(principal, "old") == []
    assert names(principal, "new") == names(principal, "sing") == ["New words"]
    services.delete_assistant(principal=principal, assistant_id=assistant.id)
    assert names(principal, "new") == []
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            for table in ("assistants_search", "assistants_search_place"):
                cursor.execute(f"SELECT count(*) FROM {table}")
                assert cursor.fetchone() == (0,)


def test_what_else_is_asked_for_has_to_be_true_too(principal: Principal, make: Callable[..., Assistant]) -> None:
    make("Poet one", type="creative", tags=["verse", "rhyme"])
    make("Poet two", type="creative", tags=["verse"])
    make("Poet three", type="general", status="active")
    assert names(principal, "poet", types=["creative"], tags=["verse", "rhyme"]) == ["Poet one"]
    assert names(principal, "poet", statuses=["active"]) == ["Poet three"]
    assert names(principal, "poet", owner=Owner(user=principal.user_id)) == ["Poet three", "Poet two", "Poet one"]
    for nobody in (Owner(user=4711), Owner(key="key_none"), Owner()):
        assert names(principal, "poet", owner=nobody) == []
    assert names(principal, types=["creative"]) == ["Poet two", "Poet one"]


def test_a_type_is_a_word_too(principal: Principal, make: Callable[..., Assistant]) -> None:
    make("Bookkeeper", type="task_oriented")
    make("Poet", type="creative")
    assert names(principal, "oriented task") == ["Bookkeeper"]
    assert names(principal, "creative") == ["Poet"]


def test_pages_follow_each_other(principal: Principal, make: Callable[..., Assistant]) -> None:
    for number in range(5):
        make(f"Twin {number}")
    first = search(principal=principal, query="twin", wanted=Wanted(), limit=2)
    rest = names(principal, "twin", after=first[-1].assistant.id)
    assert [str(match.assistant.name) for match in first] + rest == [f"Twin {number}" for number in (4, 3, 2, 1, 0)]
    with pytest.raises(ApiError, match="No object found"):
        names(principal, "twin", after="asst_unknown")


def test_nobody_finds_what_they_do_not_see(
    principal: Principal, make: Callable[..., Assistant], charlies: Principal
) -> None:
    make("Secret plans", visibility="private")
    make("Open plans")
    assert names(charlies, "plans") == []
    colleague = Principal(project_id=principal.project_id, user_id=78, scopes=frozenset({"assistants:read"}))
    assert names(colleague, "plans") == ["Open plans"]


def test_over_the_api(make: Callable[..., Assistant], bob: User, browser_of: Callable[[User], Client]) -> None:
    browser = browser_of(bob)
    for number in range(3):
        make(f"Engineer {number}", type="specialized")
    first = browser.get("/api/v1/assistants/search?q=engineer&type=specialized&limit=2").json()
    assert (len(first["data"]), first["has_more"], first["data"][0]["relevance"]) == (2, True, 1.0)
    rest = browser.get(f"/api/v1/assistants/search?q=engineer&limit=2&after={first['last_id']}").json()
    assert ([one["name"] for one in rest["data"]], rest["has_more"]) == (["Engineer 0"], False)
    for query, param in (("type=none", "type"), ("status=x", "status"), ("limit=x", "limit")):
        refused = browser.get(f"/api/v1/assistants/search?{query}")
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


def test_owners_have_names_and_keys_are_owners(
    make: Callable[..., Assistant],
    principal: Principal,
    caller: Caller,
    bob: User,
    browser_of: Callable[[User], Client],
) -> None:
    make("Of Bob")
    caller.made(name="Of a key")

    def found(client: Any, owner: str) -> list[str]:
        answer = client.get("/api/v1/assistants/search", {"owner": owner})
        assert answer.status_code == 200
        return [one["name"] for one in answer.json()["data"]]

    browser, key = browser_of(bob), str(caller.principal.key_id)
    assert found(browser, "me") == found(browser, bob.username) == found(browser, str(bob.pk)) == ["Of Bob"]
    assert found(caller.client, "me") == found(browser, key) == ["Of a key"]
    assert found(browser, "nobody-of-that-name") == []
