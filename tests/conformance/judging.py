"""All expectations against one server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from pathlib import Path

from tests.conformance.expectations import Expectation, Need
from tests.conformance.inventory import operations
from tests.conformance.suite import (
    assistants,
    behaviour,
    engine,
    runs,
    shared,
    steps,
    streams,
    threads,
    transport,
)
from tests.conformance.world import World

ROOT = Path(__file__).resolve().parents[2]


class Verdict(Enum):
    PASSED = "passed"
    DIFFERS = "differs"
    UNSUPPORTED = "not supported"
    SHOWN = "shown by a test"
    UNJUDGED = "not judged"
    FAILED = "not as expected"


@dataclass(frozen=True, slots=True)
class Result:
    expectation: Expectation
    verdict: Verdict
    why: str = ""


def expectations() -> list[Expectation]:
    """All of them, in the order they are judged."""
    return list(
        chain(
            transport.expectations(),
            shared.on_every_operation(),
            assistants.expectations(),
            threads.expectations(),
            runs.parameters(),
            behaviour.expectations(),
            engine.expectations(),
            steps.expectations(),
            streams.expectations(),
        )
    )


def judge_all(world: World) -> Iterator[Result]:
    yield from (judge(world, expectation) for expectation in expectations())


def judge(world: World, expectation: Expectation) -> Result:
    if expectation.shown_by:
        return _shown(expectation)
    if Need.ENGINE in expectation.needs and world.upstream is None:
        return Result(expectation, Verdict.UNJUDGED, "needs the scripted engine")
    if Need.CLOCK in expectation.needs and world.database is None:
        return Result(expectation, Verdict.UNJUDGED, "needs an installation of the suite's own")
    try:
        expectation.judge(world)
    except Exception as error:  # whatever the server did that nobody thought of is a failure of it, with its reason
        return Result(expectation, Verdict.FAILED, _first_line(error))
    if expectation.reason is None:
        return Result(expectation, Verdict.PASSED)
    return Result(expectation, Verdict.DIFFERS if expectation.reason.supported else Verdict.UNSUPPORTED)


def _first_line(error: Exception) -> str:
    text = next(iter(str(error).splitlines()), "")
    return text if type(error).__name__ == "Mismatch" else f"{type(error).__name__}: {text}"


def _shown(expectation: Expectation) -> Result:
    """The test that is named must be there."""
    path, _, name = expectation.shown_by.partition("::")
    source = ROOT / path
    if not source.is_file() or not re.search(rf"def {name}\b", source.read_text(encoding="utf-8")):
        return Result(expectation, Verdict.FAILED, f"there is no test {expectation.shown_by}")
    return Result(expectation, Verdict.SHOWN)


def holes(results: Iterable[Expectation]) -> list[str]:
    """Parameters of the published schema without an expectation, and operations without any."""
    covered = {(one.operation, one.subject) for one in results}
    return [
        f"{operation.id} {subject}".strip()
        for operation in operations()
        for subject in ["", *operation.subjects()]
        if (operation.id, subject) not in covered
    ]
