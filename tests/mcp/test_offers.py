"""Which assistants are tools, and by which names."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from assistants.models import Assistant
from runs.mcp import offers
from sovereign.accounts.principals import Principal
from tests.mcp.conftest import Caller

pytestmark = pytest.mark.django_db

Offer = Callable[..., Assistant]


def names(caller: Caller) -> list[str]:
    return [tool["name"] for tool in caller.ask("tools/list").result["tools"]]


def test_only_what_is_offered_and_has_a_name_is_a_tool(caller: Caller, offer: Offer) -> None:
    assert names(caller) == []
    shown = offer("House Rules", description="Knows the rules of the house.")
    hidden = offer("Hidden")
    offer(None)
    offer("")
    Assistant.objects.filter(pk=hidden.pk).update(offered_over_mcp=False)
    (tool,) = caller.ask("tools/list").result["tools"]
    assert (tool["name"], tool["title"]) == ("house-rules", "House Rules")
    assert tool["description"] == "Knows the rules of the house."
    assert tool["inputSchema"]["required"] == ["message"]
    assert tool["outputSchema"]["required"] == ["answer", "thread_id", "run_id"]
    shown.delete()
    assert names(caller) == []


def test_charlie_finds_nothing_of_alices(caller: Caller, offer: Offer, outsider: APIClient) -> None:
    made = offer()
    charlie = Caller(outsider)
    assert names(charlie) == []
    unknown = charlie.call("nobody", message="x").error["message"]
    assert charlie.call("house-rules", message="x").error["message"] == unknown.replace("nobody", "house-rules")
    longer = f"house-rules-{made.id[-6:]}"
    assert charlie.call(longer, message="x").error["message"] == f"Unknown tool: {longer}"


def test_of_several_with_one_name_each_has_its_own(caller: Caller, offer: Offer, principal: Principal) -> None:
    first, second = offer("Über uns!"), offer("uber--uns")
    third = offer("数学")
    assert names(caller) == ["uber-uns", f"uber-uns-{second.id[-6:]}", "assistant"]
    found = {name: offers.offer_named(principal, name) for name in ["uber-uns", f"uber-uns-{first.id[-6:]}"]}
    assert [offer.assistant_id for offer in found.values() if offer] == [first.id, first.id]
    assert offers.offer_named(principal, f"assistant-{third.id[-6:]}") is not None
    first.delete()
    assert names(caller)[0] == "uber-uns"
    kept = offers.offer_named(principal, f"uber-uns-{second.id[-6:]}")
    assert kept is not None
    assert kept.assistant_id == second.id


def test_long_lists_come_in_pages(caller: Caller, offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        offer(f"Number {number}")
    monkeypatch.setattr(offers, "PAGE", 2)
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        result = caller.ask("tools/list", {"cursor": cursor} if cursor else {}).result
        found += [tool["name"] for tool in result["tools"]]
        cursor, pages = result.get("nextCursor"), pages + 1
    assert found == [f"number-{number}" for number in range(5)]
    assert pages == 3
    for cursor in ("nowhere", 5, ["x"]):
        assert caller.ask("tools/list", {"cursor": cursor}).error["code"] == -32602
