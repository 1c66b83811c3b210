"""Whose answers are checked, and which runs go on: nobody's evaluations hold up another's."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from assistants import services as assistants
from runs.evaluations import services
from runs.evaluations.checks.base import Subject
from runs.evaluations.checks.structure import JsonSchema
from runs.evaluations.models import EvaluationSet
from runs.evaluations.services import checking, progress
from runs.models import Run
from runs.states import Status
from sovereign.accounts.principals import Principal
from sovereign.core.json_schema import SchemaProblem


@pytest.mark.parametrize(
    ("waiting", "limit", "in_hand", "chosen"),
    [
        ("aaaaab", 4, {}, [0, 5, 1, 2]),
        ("aaaaaa", 4, {}, [0, 1, 2]),
        ("aaab", 2, {"a": 2}, [3, 0]),
        ("aaa", 2, {"a": 3}, []),
        ("", 4, {}, []),
    ],
)
def test_of_many_answers_those_are_taken_of_whom_the_fewest_are_in_hand(
    waiting: str, limit: int, in_hand: dict[str, int], chosen: list[int]
) -> None:
    rows = [(str(number), project) for number, project in enumerate(waiting)]
    assert checking._chosen(rows, limit, Counter(in_hand)) == [str(number) for number in chosen]


async def test_a_schema_is_checked_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def slow(value: Any, schema: Any) -> None:
        seen.append(threading.get_ident())
        begun.set()
        assert go_on.wait(60)
        raise SchemaProblem("'a' is missing")

    monkeypatch.setattr("runs.evaluations.checks.structure.check_value", slow)
    subject = Subject(answer="{}", reference="", messages=[], attribution=None)  # type: ignore[arg-type]
    verdict = asyncio.create_task(JsonSchema().verdict({"schema": {}}, subject))
    while not begun.is_set():
        await asyncio.sleep(0)  # the loop goes on
    go_on.set()
    assert not (await verdict).passed
    assert seen != [threading.get_ident()]


@pytest.mark.django_db
def test_only_runs_of_which_a_step_changes_something_are_due(
    principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any]
) -> None:
    for number in range(progress.AT_ONCE + 1):
        add_case(f"Question {number}")
    run = services.start_run(principal=principal, set_id=evaluation.id)
    assert progress.due_runs() == [run.id]
    progress.advance(run.id)
    assert progress.due_runs() == [], "as many as may are being answered"
    first = run.results.get(position=1)
    Run.objects.filter(pk=first.run_id).update(status=Status.COMPLETED)
    assert progress.due_runs() == [run.id]
    progress.advance(run.id)
    assert progress.due_runs() == [], "its answer is to be checked first"
    run.results.filter(pk=first.pk).update(status="passed")
    assert progress.due_runs() == [run.id]


@pytest.mark.django_db
def test_of_a_project_the_oldest_runs_go_on(
    principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "RUNS_OF_PROJECT", 1)
    add_case("A question")
    first = services.start_run(principal=principal, set_id=evaluation.id)
    assistants.update_assistant(principal=principal, assistant_id=evaluation.assistant_id, instructions="Be long.")
    second = services.start_run(principal=principal, set_id=evaluation.id)
    assert progress.due_runs() == [first.id]
    services.cancel_run(principal=principal, run_id=first.id)
    assert progress.due_runs() == [second.id]
