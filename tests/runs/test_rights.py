"""What watching goes on with: rights that are asked for often, and cheaply."""

from __future__ import annotations

import asyncio

import pytest
from django.db import DatabaseError

from runs.streaming import rights
from runs.streaming.rights import Rights
from sovereign.accounts import credentials
from sovereign.accounts.principals import Principal

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def watcher(principal: Principal, monkeypatch: pytest.MonkeyPatch) -> Rights:
    monkeypatch.setattr(rights, "_verdicts", {})
    return Rights(principal)


async def test_rights_are_asked_for_once_for_all_who_hold_them(
    watcher: Rights, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Principal] = []
    monkeypatch.setattr(credentials, "still_valid", lambda *args: asked.append(args[0]) or True)
    assert all(await asyncio.gather(*(watcher.still_hold() for _ in range(20))))
    assert asked == [watcher.principal]


def test_withdrawn_rights_are_noticed_within_five_seconds() -> None:
    assert rights.KEPT + rights.GLANCE <= 3


async def test_while_the_database_is_away_the_last_verdict_stands(
    watcher: Rights, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: object) -> bool:
        raise DatabaseError

    monkeypatch.setattr(rights, "KEPT", 0.0)
    for verdict in (True, False):
        monkeypatch.setattr(credentials, "still_valid", lambda *args, verdict=verdict: verdict)
        assert await watcher.still_hold() is verdict
        monkeypatch.setattr(credentials, "still_valid", away)
        assert await watcher.still_hold() is verdict
