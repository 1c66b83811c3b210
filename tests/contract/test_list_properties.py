"""Any list, walked in any way: with rows of one instant, cursors that are gone, and rows deleted on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from assistants.models import Assistant
from runs.models import Run, RunConfiguration, RunStep
from sovereign.accounts.models import Project
from sovereign.core.ids import ALPHABET, instant_of, new_id
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db

SETTINGS = settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
SAME_TIME = new_id("")[:8]  # of the ten characters that are the instant: rows are made within a second of each other


@dataclass(frozen=True)
class List:
    """A list of the API: its address, and how a row with an id and a place comes into it."""

    path: str
    prefix: str
    make: Callable[[str, int], Any]
    model: Any


@pytest.fixture(params=["assistants", "messages", "runs", "steps"])
def listed(request: pytest.FixtureRequest, project: Project) -> List:
    thread = Thread.objects.create(project=project)
    data = dict.fromkeys(("temperature", "top_p", "reasoning_effort", "tool_choice", "response_format"))
    data |= dict.fromkeys(("max_completion_tokens", "max_prompt_tokens", "truncation_strategy"))
    data |= {"model": "tiny", "instructions": "", "tools": [], "tool_resources": {}, "parallel_tool_calls": True}
    configuration = RunConfiguration.objects.create(project=project, digest="x", data=data)
    over = {"project": project, "thread": thread, "configuration": configuration, "status": "completed"}

    def run(identifier: str, place: int) -> Run:
        instant = instant_of(identifier)
        return Run(id=identifier, created_at=instant, expires_at=instant, model="tiny", **over)

    owner = Run.objects.create(expires_at=thread.created_at, model="tiny", **over) if request.param == "steps" else None
    if request.param == "assistants":
        return List(
            "assistants",
            "asst_",
            lambda i, place: Assistant(id=i, created_at=instant_of(i), project=project, model="tiny"),
            Assistant,
        )
    if request.param == "messages":
        return List(
            f"threads/{thread.id}/messages",
            "msg_",
            lambda i, place: Message(
                id=i, created_at=instant_of(i), project=project, thread=thread, position=place, role="user"
            ),
            Message,
        )
    if request.param == "runs":
        return List(f"threads/{thread.id}/runs", "run_", run, Run)
    details = {"type": "tool_calls", "tool_calls": []}
    return List(
        f"threads/{thread.id}/runs/{owner.id if owner else ''}/steps",
        "step_",
        lambda i, place: RunStep(
            id=i, created_at=instant_of(i), run=owner, position=place, type="tool_calls", step_details=details
        ),
        RunStep,
    )


#: The rest of an id: two characters of its milliseconds, so that instants are often equal, and what makes it unique.
TAILS = st.tuples(st.sampled_from(["00", "01", "zz"]), st.text(ALPHABET, min_size=16, max_size=16)).map("".join)
ROWS = st.lists(TAILS, min_size=0, max_size=9, unique=True)


@pytest.fixture
def world(listed: List) -> Callable[[list[str]], list[str]]:
    """``world(tails)``: makes the rows; their ids, oldest first."""

    def make(tails: list[str]) -> list[str]:
        ids = sorted(f"{listed.prefix}{SAME_TIME}{tail}" for tail in tails)
        listed.model.objects.bulk_create([listed.make(i, place) for place, i in enumerate(ids, start=1)])
        return ids

    return make


@pytest.fixture
def page(api: APIClient, listed: List) -> Callable[..., dict[str, Any]]:
    def get(**query: Any) -> dict[str, Any]:
        answer = api.get(f"/v1/{listed.path}", {name: value for name, value in query.items() if value is not None})
        assert answer.status_code == 200, answer.content
        body: dict[str, Any] = answer.json()
        ids = [item["id"] for item in body["data"]]
        assert (body["first_id"], body["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))
        return body

    return get


@contextmanager
def undone() -> Iterator[None]:
    """What an example makes goes with it."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def walk(page: Callable[..., dict[str, Any]], **query: Any) -> Iterator[dict[str, Any]]:
    """The pages as an SDK walks them: behind the last object, until there are no more."""
    after = None
    while True:
        found = page(after=after, **query)
        yield found
        if not found["has_more"] or not found["data"]:
            return
        after = found["data"][-1]["id"]


def test_the_pages_are_the_whole_list(listed: List, world: Any, page: Any) -> None:
    @SETTINGS
    @given(tails=ROWS, limit=st.integers(1, 5), order=st.sampled_from(["asc", "desc"]))
    def check(tails: list[str], limit: int, order: str) -> None:
        with undone():
            whole = world(tails)
            whole = whole if order == "asc" else whole[::-1]
            seen: list[str] = []
            for found in walk(page, limit=limit, order=order):
                seen += [item["id"] for item in found["data"]]
                assert found["has_more"] == (len(seen) < len(whole))
            assert seen == whole

    check()


def test_any_page_is_the_part_between_its_cursors(listed: List, world: Any, page: Any) -> None:
    """Cursors of rows that are there, of rows that are gone, and of rows that never were."""

    @SETTINGS
    @given(tails=ROWS, gone=ROWS, data=st.data(), limit=st.integers(1, 10), order=st.sampled_from(["asc", "desc"]))
    def check(tails: list[str], gone: list[str], data: st.DataObject, limit: int, order: str) -> None:
        with undone():
            rows = world(sorted({*tails, *gone}))
            missing = {f"{listed.prefix}{SAME_TIME}{tail}" for tail in gone}
            listed.model.objects.filter(pk__in=missing).delete()
            cursors = st.sampled_from([None, *rows]) if rows else st.none()
            after, before = data.draw(cursors), data.draw(cursors)
            whole = rows if order == "asc" else rows[::-1]
            between = whole[whole.index(after) + 1 if after else 0 : whole.index(before) if before else None]
            expected = [identifier for identifier in between if identifier not in missing]
            found = page(limit=limit, order=order, after=after, before=before)
            assert [item["id"] for item in found["data"]] == expected[:limit]
            assert found["has_more"] == (len(expected) > limit)

    check()


def test_what_is_deleted_on_the_way_takes_nothing_else_with_it(listed: List, world: Any, page: Any) -> None:
    @SETTINGS
    @given(tails=ROWS, data=st.data(), limit=st.integers(1, 4), order=st.sampled_from(["asc", "desc"]))
    def check(tails: list[str], data: st.DataObject, limit: int, order: str) -> None:
        with undone():
            left = set(world(tails))
            seen: list[str] = []
            for found in walk(page, limit=limit, order=order):
                seen += [item["id"] for item in found["data"]]
                doomed = {identifier for identifier in sorted(left) if data.draw(st.booleans())}
                listed.model.objects.filter(pk__in=doomed).delete()
                left -= doomed
            assert seen == sorted(set(seen), reverse=order == "desc")
            assert left <= set(seen)

    check()
