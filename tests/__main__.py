"""``python -m tests [pytest's arguments]``: all tests, in two stages of two rounds side by side.

First what starts no processes of its own, on SQLite and, where TEST_POSTGRES_URL is set, once more on Postgres (there
only what depends on the database). Then the rings that start processes, which wait more than they work: browsers and
clients in one round, what is killed and what is supervised in the other. What failed is told once more at the very end,
in a line each: of a long report that may be all that somebody gets to see.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

import pytest

from tests.support.fixtures import POSTGRES, REDIS

PYTEST = (sys.executable, "-m", "pytest")
UNCACHED = ("-p", "no:cacheprovider")
FRONT = "sdk or e2e"
PROCESS_RINGS = f"live or fault or engine or {FRONT}"
NOTHING = pytest.ExitCode.NO_TESTS_COLLECTED
LONGEST = 400  # characters of an error, in the summary


@dataclass(frozen=True, slots=True)
class Round:
    """One process of pytest.

    :ivar environment: beside the one that it is started in.
    """

    title: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def begin(self, more: list[str], reports: Path, said: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        """:param said: where its output goes, if it is not shown at once."""
        environment = {**os.environ, **self.environment}
        command = [*PYTEST, "--junitxml", str(reports / f"{self.title}.xml"), *self.arguments, *more]
        return subprocess.Popen(command, env=environment, stdout=said, stderr=said)


def main(arguments: list[str]) -> int:
    """Run them all; the exit status is that of the first round that failed."""
    with tempfile.TemporaryDirectory() as folder:
        reports = Path(folder)
        statuses = [status for first, second in stages() for status in side_by_side(first, second, arguments, reports)]
        if failed := list(failures(reports)):
            print(f"\nWhat failed ({len(failed)}):", *failed, sep="\n", flush=True)
    return next((status for status in statuses if status not in (0, NOTHING)), min(statuses))


def stages() -> Iterator[tuple[Round, Round | None]]:
    """The rounds that share the machine."""
    in_process = ("-m", f"not ({PROCESS_RINGS})")
    on_postgres = ("--create-db", "--database-only", *UNCACHED, *in_process)
    url = os.environ.get(POSTGRES)
    apart = {"DATABASE_URL": url, **own_redis()} if url else {}
    yield Round("In one process", in_process), Round("The same on Postgres", on_postgres, apart) if url else None
    yield (
        Round("Browsers and clients", (*UNCACHED, "-m", FRONT)),
        Round(
            "Processes, faults, engines", (*UNCACHED, "-m", f"(live or fault or engine) and not ({FRONT})"), own_redis()
        ),
    )


def failures(reports: Path) -> Iterator[str]:
    """A line for each test that failed or could not begin, in whichever round: its name, and what was wrong."""
    for path in sorted(reports.glob("*.xml")):
        for case in ElementTree.parse(path).iter("testcase"):
            for wrong in (*case.iter("failure"), *case.iter("error")):
                what = " ".join(wrong.get("message", "").split())[:LONGEST]
                yield f"{case.get('classname')}::{case.get('name')} ({path.stem}): {what}"


def side_by_side(first: Round, second: Round | None, arguments: list[str], reports: Path) -> Iterator[int]:
    """The exit statuses of both; what the second said is printed after the first."""
    print(f"\n{first.title}:", flush=True)
    with tempfile.TemporaryFile() as said, begun(second, arguments, reports, said) as other:
        yield first.begin(arguments, reports).wait()
        if second is not None and other is not None:
            status = other.wait()
            print(f"\n{second.title}:", flush=True)
            said.seek(0)
            sys.stdout.buffer.write(said.read())
            sys.stdout.flush()
            yield status


@contextlib.contextmanager
def begun(
    second: Round | None, arguments: list[str], reports: Path, said: IO[bytes]
) -> Iterator[subprocess.Popen[bytes] | None]:
    """A round that goes on meanwhile, and not longer than who wants to know of it."""
    if second is None:
        yield None
        return
    process = second.begin(arguments, reports, said)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def own_redis() -> dict[str, str]:
    """A database of its own for a round beside another: both empty theirs."""
    redis = os.environ.get(REDIS)
    return {REDIS: beside(redis)} if redis else {}


def beside(redis: str) -> str:
    """The URL of the database before or after this one."""
    found = re.fullmatch(r"(.*://[^/]+)(?:/(\d+))?", redis)
    assert found, f"{REDIS} is not the URL of a database"
    number = int(found[2] or 0)
    return f"{found[1]}/{number - 1 if number else 1}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
