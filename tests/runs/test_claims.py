"""Which runs a worker takes: nobody's queue keeps others out, however long it is and whatever it waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from assistants import services as assistants
from assistants.models import Assistant
from inference import gateway
from inference.chat import Availability, TooManyCalls
from runs.models import Run
from runs.services import control, creation, waiting
from runs.services.leases import claim, give_back
from runs.worker import execution
from runs.worker.worker import Worker
from sovereign.accounts import credentials
from sovereign.accounts import services as accounts
from sovereign.accounts.models import ApiKey, Project
from sovereign.accounts.principals import Principal
from sovereign.accounts.services import quotas
from sovereign.accounts.services.quotas import Demand, Limits, Subject
from sovereign.core.database import in_database
from tests.runs.support import Gate, Model, age_lease, answer_of, end, ended, text, until, within, working

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def other(charlies_key: str, model: Model) -> Callable[[], Run]:
    """A run of another project."""
    principal = credentials.principal_of_key(charlies_key)
    assistant = assistants.create_assistant(principal=principal, model="tiny")
    return lambda: begin_anew(principal, assistant)


@pytest.fixture
def mine(model: Model, principal: Principal, assistant: Assistant) -> Callable[[], Run]:
    """A run of Alice's project, on a thread of its own."""
    return lambda: begin_anew(principal, assistant)


def begin_anew(principal: Principal, assistant: Assistant) -> Run:
    thread = {"messages": [{"role": "user", "content": "Hello?"}]}
    return creation.create_thread_and_run(principal=principal, assistant_id=assistant.id, thread=thread).run


def claimed(limit: int = 8, worker: str = "a") -> list[str]:
    return [lease.run_id for lease in claim(worker_id=worker, limit=limit)]


def limit_calls(whose: str, project: Project, principal: Principal, calls: int) -> None:
    limits = Limits(concurrent_calls=calls)
    if whose == "project":
        accounts.set_project_limits(project=project, limits=limits)
    else:
        accounts.set_key_limits(key=ApiKey.objects.get(pk=principal.key_id), limits=limits)


# ------------------------------------------------------------------------------------------------ places


@pytest.mark.parametrize("whose", ["project", "key"])
def test_no_more_runs_are_claimed_than_may_call(
    mine: Callable[[], Run], other: Callable[[], Run], project: Project, principal: Principal, whose: str
) -> None:
    limit_calls(whose, project, principal, 2)
    hogs = [mine().id for _ in range(6)]
    others = [other().id for _ in range(2)]
    assert claimed() == [*hogs[:2], *others], "those that are passed over keep nobody out"
    assert claimed() == claimed(worker="b") == [], "what was claimed counts before it calls"
    assert Run.objects.filter(pk__in=hogs, status="queued").exclude(waiting_reason="").count() == 4
    Run.objects.filter(pk=hogs[0]).update(status="completed", lease_owner=None, lease_expires_at=None)
    assert claimed(worker="b") == [hogs[2]]


def test_calls_that_are_no_runs_count_too(mine: Callable[[], Run], project: Project, principal: Principal) -> None:
    limit_calls("project", project, principal, 2)
    runs = [mine().id for _ in range(3)]
    quotas.reserve([Demand([Subject("project", project.pk)], requests=0)])
    assert claimed() == runs[:1]


def test_a_run_that_lost_its_worker_waits_for_a_place_too(
    mine: Callable[[], Run], other: Callable[[], Run], project: Project, principal: Principal
) -> None:
    limit_calls("project", project, principal, 1)
    runs = [mine().id for _ in range(2)]
    assert claimed() == runs[:1]
    age_lease(runs[0])
    assert claimed(worker="b") == runs[:1], "it stood before those that were not begun"
    give_back("b")
    quotas.reserve([Demand([Subject("project", project.pk)], requests=0)])
    free = other().id
    assert claimed(worker="c") == [free]


async def test_a_crowd_leaves_the_workers_places_to_others(
    model: Model, mine: Callable[[], Run], other: Callable[[], Run], project: Project, principal: Principal
) -> None:
    await in_database(limit_calls, "project", project, principal, 1)
    gate = Gate()
    model.answers(*text("Mine"), gate, end())
    first, *crowd = [await in_database(mine) for _ in range(5)]
    async with working(concurrency=2) as worker:
        await within(gate.reached.wait())
        model.answers(*text("Theirs"), end())
        theirs = await in_database(other)
        assert (await ended(theirs.id)).status == "completed"
        assert set(worker._executions) <= {first.id, theirs.id}
        for _ in crowd:
            model.answers(*text("Mine too"), end())
        gate.opened.set()
        assert {(await ended(run.id)).status for run in (first, *crowd)} == {"completed"}


# ------------------------------------------------------------------------------------------------ giving back


async def test_a_run_that_was_one_too_many_gives_its_place_back_and_is_taken_again(
    model: Model, mine: Callable[[], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "TURN_PAUSE", 0.01)
    run = await in_database(mine)
    model.answers(TooManyCalls("Not now.", "rate_limit_exceeded"))
    model.answers(TooManyCalls("Not now.", "rate_limit_exceeded"))
    model.answers(*text("Now"), end())
    async with working():
        over = await ended(run.id)
    assert (over.status, over.crash_count, over.lease_epoch) == ("completed", 0, 3)
    assert (await in_database(answer_of, run.id)).text == "Now"


async def test_a_run_that_was_given_back_takes_no_place(
    model: Model, mine: Callable[[], Run], principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "TURN_PAUSE", 3600.0)
    run = await in_database(mine)
    model.answers(TooManyCalls("Not now.", "rate_limit_exceeded"))
    async with working(concurrency=1) as worker:
        await until(lambda: Run.objects.filter(pk=run.id, lease_epoch=1, lease_owner=None).exists())
        await until(lambda: not worker._executions)
        model.answers(*text("Next"), end())
        assert (await ended((await in_database(mine)).id)).status == "completed"
    assert (await in_database(Run.objects.get, pk=run.id)).status == "in_progress"


async def test_a_run_that_is_cancelled_as_it_is_given_back_is_over(
    model: Model, mine: Callable[[], Run], principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def blind(worker: Worker) -> None:
        """Only what it writes tells it of the cancellation."""

    monkeypatch.setattr(Worker, "_watch", blind)
    run, gate = await in_database(mine), Gate()
    model.answers(gate, TooManyCalls("Not now.", "rate_limit_exceeded"))
    async with working():
        await within(gate.reached.wait())
        await in_database(control.cancel_run, principal=principal, thread_id=run.thread_id, run_id=run.id)
        gate.opened.set()
        assert (await ended(run.id)).status == "cancelled"


# ------------------------------------------------------------------------------------------------ many pairs


def named(runs: Iterable[Run]) -> list[str]:
    """Each run asks for a model of its own."""
    ids = [run.id for run in runs]
    for run_id in ids:
        Run.objects.filter(pk=run_id).update(model=f"model-of-{run_id}")
    return ids


def test_a_look_asks_about_a_bounded_number_of_models(
    mine: Callable[[], Run], other: Callable[[], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where more wait, each look is about others, by chance; the registry is read once for each project."""
    runs = named([*(mine() for _ in range(4)), *(other() for _ in range(3))])
    monkeypatch.setattr(waiting, "PAIRS", 3)
    looks: list[tuple[str, list[str]]] = []

    def availabilities(names: list[str], *, project_id: str) -> dict[str, Availability]:
        looks.append((project_id, names))
        return {name: Availability(ready=True) for name in names}

    monkeypatch.setattr(gateway, "availabilities", availabilities)
    found: list[str] = []
    for expected in (3, 3, 1):
        looks.clear()
        found += claimed()
        assert sum(len(names) for _, names in looks) == expected
        assert len({project_id for project_id, _ in looks}) == len(looks)
    assert sorted(found) == sorted(runs)


def test_the_most_that_a_look_asks_about_is_not_too_much_for_the_database(db: Any) -> None:
    models = {f"proj_{number}": [f"model-{number}"] for number in range(waiting.PAIRS)}
    assert not Run.objects.claimable(models=models).exists()


def test_what_is_told_already_is_not_written_again(
    model: Model, mine: Callable[[], Run], django_assert_num_queries: Any
) -> None:
    model.ready, model.reason = False, "The engine sleeps."
    run = mine()
    with django_assert_num_queries(3):  # who waits, whose calls are limited, the reason
        assert claimed() == []
    with django_assert_num_queries(2):
        assert claimed() == []
    run.refresh_from_db()
    assert (run.status, run.waiting_reason) == ("queued", "The engine sleeps.")
