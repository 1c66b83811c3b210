"""Lists: exact ends, both cursors, both orders, cursors of rows that are gone or somebody else's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.http import QueryDict
from rest_framework.test import APIClient

from assistants.models import Assistant
from sovereign.accounts.models import Project
from sovereign.core.api.pagination import Page, page_of, paginate
from sovereign.core.errors import ApiError
from sovereign.core.ids import new_id
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(project: Project) -> list[str]:
    """Seven assistants; the ids of some share a second, all in the order they were made."""
    rows = [Assistant.objects.create(project=project, model="tiny", name=str(n)) for n in range(7)]
    return [row.id for row in rows]


@pytest.fixture
def listed(project: Project) -> Callable[..., tuple[list[str], bool]]:
    def make(**options: Any) -> tuple[list[str], bool]:
        visible = Assistant.objects.filter(project=project)
        page = paginate(visible, Page(**options), order_by=("created_at", "id"), render=lambda row: {"id": row.id})
        ids = [item["id"] for item in page["data"]]
        assert page["first_id"] == (ids[0] if ids else None)
        assert page["last_id"] == (ids[-1] if ids else None)
        return ids, page["has_more"]

    return make


def test_pages_end_exactly(made: list[str], listed: Callable[..., Any]) -> None:
    assert listed(descending=False, limit=6) == (made[:6], True)
    assert listed(descending=False, limit=7) == (made, False)
    assert listed(descending=False, limit=8) == (made, False)
    assert listed(limit=1) == (made[-1:], True)
    assert listed(limit=7) == (made[::-1], False)


def test_a_page_of_none_tells_whether_there_is_more(made: list[str], listed: Callable[..., Any]) -> None:
    assert listed(limit=0) == ([], True)
    assert listed(limit=0, after=made[0]) == ([], False)


def test_cursors_are_exclusive_in_every_direction(made: list[str], listed: Callable[..., Any]) -> None:
    assert listed(descending=False, after=made[2]) == (made[3:], False)
    assert listed(descending=False, before=made[2]) == (made[:2], False)
    assert listed(after=made[2]) == ([made[1], made[0]], False)
    assert listed(before=made[4]) == ([made[6], made[5]], False)
    assert listed(descending=False, after=made[1], before=made[5]) == (made[2:5], False)
    assert listed(descending=False, after=made[1], before=made[5], limit=2) == (made[2:4], True)
    assert listed(after=made[0]) == ([], False)
    assert listed(descending=False, after=made[6]) == ([], False)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 20])
def test_paging_gives_every_row_once(made: list[str], listed: Callable[..., Any], limit: int, descending: bool) -> None:
    seen: list[str] = []
    after, more = None, True
    while more:
        ids, more = listed(limit=limit, descending=descending, after=after)
        assert ids
        seen += ids
        after = ids[-1]
    assert seen == (made[::-1] if descending else made)


@pytest.mark.parametrize("descending", [True, False])
def test_listing_and_deleting_in_one_loop(made: list[str], listed: Callable[..., Any], descending: bool) -> None:
    seen: list[str] = []
    after, more = None, True
    while more:
        ids, more = listed(limit=2, descending=descending, after=after)
        Assistant.objects.filter(pk__in=ids).delete()
        seen += ids
        after = ids[-1]
    assert seen == (made[::-1] if descending else made)


def test_rows_of_one_instant_keep_a_total_order(project: Project, listed: Callable[..., Any]) -> None:
    instant = datetime(2026, 1, 1, tzinfo=UTC)
    ids = sorted(f"asst_foreign{n}" for n in range(5))
    for identifier in reversed(ids):
        Assistant.objects.create(id=identifier, project=project, model="tiny", created_at=instant)
    assert listed(descending=False, after=ids[1]) == (ids[2:], False)
    assert listed(after=ids[1], limit=1) == (ids[:1], False)


def test_another_tenants_cursor_tells_nothing(
    made: list[str], listed: Callable[..., Any], charlies_project: Project
) -> None:
    """It is placed by the instant that is in it, whether there is such a row or not."""
    theirs = Assistant.objects.create(project=charlies_project, model="tiny")
    moved = Assistant.objects.create(
        project=charlies_project, model="tiny", created_at=datetime(2001, 1, 1, tzinfo=UTC)
    )
    nobodys = new_id("asst_")
    for cursor in (theirs.id, moved.id, nobodys):
        assert listed(after=cursor) == (made[::-1], False)
        assert listed(descending=False, after=cursor) == ([], False)
    foreign = Assistant.objects.create(id="asst_foreign", project=charlies_project, model="tiny")
    refusals = []
    for cursor in (foreign.id, "asst_nothere"):
        with pytest.raises(ApiError) as refused:
            listed(before=cursor)
        assert (refused.value.status, refused.value.param) == (400, "before")
        refusals.append(refused.value.message.replace(cursor, "X"))
    assert refusals[0] == refusals[1]


@pytest.mark.parametrize("descending", [True, False])
def test_messages_too_can_be_listed_and_deleted_in_one_loop(project: Project, descending: bool) -> None:
    thread = Thread.objects.create(project=project)
    other = Thread.objects.create(project=project)
    for position in range(1, 8):
        for where in (thread, other):
            Message.objects.create(project=project, thread=where, position=position, role="user")
    expected = list(thread.messages.order_by("-position" if descending else "position").values_list("id", flat=True))
    seen: list[str] = []
    after, more = None, True
    while more:
        page = paginate(
            Message.objects.of_thread(thread.id),
            Page(limit=2, descending=descending, after=after),
            order_by=("position",),
            render=lambda row: {"id": row.id},
        )
        ids = [item["id"] for item in page["data"]]
        Message.objects.filter(pk__in=ids).delete()
        seen, after, more = seen + ids, ids[-1], page["has_more"]
    assert seen == expected
    assert other.messages.count() == 7


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ("limit=-1", "limit", "integer_below_min_value"),
        ("limit=-5", "limit", "integer_below_min_value"),
        ("limit=101", "limit", "integer_above_max_value"),
        ("limit=ten", "limit", "invalid_type"),
        ("limit=", "limit", "invalid_type"),
        ("limit=1.5", "limit", "invalid_type"),
        ("limit=" + "9" * 5_000, "limit", None),
        ("order=up", "order", "invalid_value"),
        ("order=" + "x" * 5_000, "order", "invalid_value"),
    ],
)
def test_bad_list_parameters_are_named(query: str, param: str, code: str | None) -> None:
    with pytest.raises(ApiError) as refused:
        page_of(QueryDict(query))
    assert (refused.value.status, refused.value.param) == (400, param)
    assert code is None or refused.value.code == code
    assert len(refused.value.message) < 300


def test_defaults_and_empty_cursors() -> None:
    assert page_of(QueryDict("")) == Page(20, True, None, None)
    assert page_of(QueryDict("limit=100&order=asc&after=&before=x")) == Page(100, False, None, "x")


def test_an_empty_list(api: APIClient) -> None:
    assert api.get("/v1/assistants").json() == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
