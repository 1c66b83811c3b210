"""Workers are killed while an evaluation answers its cases and checks them: it ends with the right results."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sovereign.accounts.scopes import ROLE_SCOPES, Role
from tests.support.client import Client, Refused, unique
from tests.support.fixtures import Cluster
from tests.support.processes import START_TIMEOUT, Stack, Upstream, eventually

pytestmark = pytest.mark.fault

AT_ONCE = 4  # cases that are answered at the same time
WHOLE = " ".join(f"t{number}" for number in range(40))
VERDICT = {"reason": "So it is.", "points": 9}


@pytest.fixture
def analyst(cluster: Cluster, stack: Stack) -> Client:
    """A client that may make assistants and evaluate them."""
    scopes = (part for scope in sorted(ROLE_SCOPES[Role.ANALYST.value]) for part in ("--scope", scope))
    process = stack.start("create_api_key", "--name", unique(), *scopes)
    return Client(stack.url, process.line("API key: ", START_TIMEOUT))


def begun(analyst: Client, model: str, cases: list[dict[str, Any]]) -> dict[str, Any]:
    """The run of a set of these cases against a new assistant; asked for until an engine is known to be there."""
    assistant = analyst.assistant(model, instructions="Be brief.")
    evaluation = analyst.post("/api/v1/evaluations", {"name": "Facts", "assistant_id": assistant})["id"]
    for case in cases:
        analyst.post(f"/api/v1/evaluations/{evaluation}/cases", case)

    def started() -> Any:
        try:
            return analyst.post(f"/api/v1/evaluations/{evaluation}/runs", {})
        except Refused as refused:
            if refused.status != 503:
                raise
            return None

    return dict(eventually(started, what="an engine of the model"))


def ended(analyst: Client, run: dict[str, Any]) -> dict[str, Any]:
    def look() -> Any:
        found = analyst.get(f"/api/v1/evaluations/runs/{run['id']}")
        return found if found["status"] == "completed" else None

    return dict(eventually(look, what="the evaluation's end"))


def results(analyst: Client, run: dict[str, Any]) -> list[dict[str, Any]]:
    found = analyst.get(f"/api/v1/evaluations/runs/{run['id']}/results?order=asc&limit=100")["data"]
    return sorted(found, key=lambda result: str(result["case"]["name"]))


def await_words(stack: Stack, assistant: str, answers: int) -> None:
    """So many answers of an assistant have begun."""
    said = """
        SELECT count(DISTINCT run_id) FROM runs_runevent JOIN runs_run ON runs_run.id = run_id
        WHERE assistant_id = ? AND runs_runevent.type = 'thread.message.delta'
    """
    eventually(lambda: stack.database.rows(said, assistant) == [(answers,)], what="the first words")


def answering(stack: Stack, assistant: str) -> list[str]:
    """All runs that there ever were of an assistant."""
    return [run for (run,) in stack.database.rows("SELECT id FROM runs_run WHERE assistant_id = ?", assistant)]


def questions(upstream: Upstream, key: str, number: int) -> list[dict[str, Any]]:
    """Cases whose answers stop amid, all but the last of which are right."""
    asked = [f"Question {place} of {key}?" for place in range(number)]
    upstream.teach({text: f"[tokens=40 hold=20 key={key}-{place}]" for place, text in enumerate(asked)})
    wanted = [WHOLE] * (number - 1) + ["something else"]
    return [
        {"name": text, "input": text, "checks": [{"type": "exact", "value": value}]}
        for text, value in zip(asked, wanted, strict=True)
    ]


def test_another_worker_goes_on_and_no_case_is_answered_twice(
    cluster: Cluster, stack: Stack, analyst: Client, continuing_upstream: Upstream
) -> None:
    key, number = unique(), AT_ONCE + 2
    run = begun(analyst, "continuing", questions(continuing_upstream, key, number))
    await_words(stack, run["assistant_id"], AT_ONCE)
    first = answering(stack, run["assistant_id"])
    dead = cluster.worker_of(first[0])
    lost = [held for held in first if cluster.worker_of(held) is dead]
    dead.kill()
    for place in range(number):
        continuing_upstream.release(f"{key}-{place}")

    done = ended(analyst, run)
    assert done["counts"] == {"total": number, "passed": number - 1, "failed": 1, "errored": 0}
    found = results(analyst, run)
    assert [result["answer"].strip() for result in found] == [WHOLE] * number
    assert [result["status"] for result in found] == ["passed"] * (number - 1) + ["failed"]
    assert sorted(result["run_id"] for result in found) == sorted(answering(stack, run["assistant_id"]))
    for place, result in enumerate(found):
        asked = continuing_upstream.stats(f"{key}-{place}")["requests"]
        assert len(asked) == (2 if result["run_id"] in lost else 1), "only what was lost is asked for again"


def test_where_every_worker_dies_amid_the_answers_the_next_ones_end_it(
    cluster: Cluster, stack: Stack, analyst: Client, continuing_upstream: Upstream
) -> None:
    key, number = unique(), AT_ONCE
    run = begun(analyst, "continuing", questions(continuing_upstream, key, number))
    await_words(stack, run["assistant_id"], number)
    for worker in cluster.workers:
        worker.kill()
    for place in range(number):
        continuing_upstream.release(f"{key}-{place}")
    cluster.heal()

    done = ended(analyst, run)
    assert done["counts"] == {"total": number, "passed": number - 1, "failed": 1, "errored": 0}
    found = results(analyst, run)
    assert sorted(result["run_id"] for result in found) == sorted(answering(stack, run["assistant_id"]))


def test_answers_whose_checker_died_are_checked_again_and_not_asked_for_again(
    cluster: Cluster, stack: Stack, analyst: Client, upstream: Upstream
) -> None:
    key, number = unique(), 3
    upstream.teach({f"verdict-{key}": json.dumps(VERDICT)})
    upstream.teach({f"Question {place} of {key}?": f"[text=Paris key={key}]" for place in range(number)})
    criterion = f"It is a capital. [text=verdict-{key} hold=0 key=judge-{key}]"
    judge = {"type": "judge", "criterion": criterion, "model": "fake", "at_least": 0.8}
    cases = [{"input": f"Question {place} of {key}?", "checks": [judge]} for place in range(number)]
    run = begun(analyst, "fake", cases)
    eventually(lambda: upstream.stats(f"judge-{key}")["open"] == number, what="the judge's work")
    for worker in cluster.workers:
        worker.kill()
    eventually(lambda: upstream.stats(f"judge-{key}")["open"] == 0, what="the judge hears that nobody listens")
    upstream.release(f"judge-{key}")
    stack.database.age_checks(run["id"])
    cluster.heal()

    done = ended(analyst, run)
    assert done["counts"] == {"total": number, "passed": number, "failed": 0, "errored": 0}
    for result in results(analyst, run):
        assert (result["answer"], result["verdicts"][0]["score"]) == ("Paris", 0.9)
    attempts = "SELECT attempts FROM evaluations_evaluationresult WHERE evaluation_run_id = ?"
    assert stack.database.rows(attempts, run["id"]) == [(2,)] * number
    assert len(upstream.stats(key)["requests"]) == number, "no answer was asked for again"
    assert len(upstream.stats(f"judge-{key}")["requests"]) == 2 * number
    assert len(answering(stack, run["assistant_id"])) == number
