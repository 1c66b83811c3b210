"""``python -m tests [pytest's arguments]``: all tests, in three rounds.

First what starts no processes of its own, on SQLite and, where TEST_POSTGRES_URL is set, beside it once more on
Postgres (there only what depends on the database). Then, with the machine for themselves, the rings that start
processes.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import IO

import pytest

from tests.support.fixtures import POSTGRES, REDIS

PYTEST = (sys.executable, "-m", "pytest")
PROCESS_RINGS = "live or sdk or e2e or fault or engine"
IN_PROCESS = ("-m", f"not ({PROCESS_RINGS})")
ON_POSTGRES = ("--create-db", "--database-only", "-p", "no:cacheprovider", *IN_PROCESS)
WITH_PROCESSES = ("-p", "no:cacheprovider", "-m", PROCESS_RINGS)
NOTHING = pytest.ExitCode.NO_TESTS_COLLECTED


def main(arguments: list[str]) -> int:
    """Run them all; the exit status is that of the first round that failed."""
    statuses = [*side_by_side(arguments)]
    print("\nThe rings that start processes of their own:", flush=True)
    statuses.append(subprocess.run([*PYTEST, *WITH_PROCESSES, *arguments], check=False).returncode)
    return next((status for status in statuses if status not in (0, NOTHING)), min(statuses))


def side_by_side(arguments: list[str]) -> Iterator[int]:
    """The exit statuses of the rounds on SQLite and on Postgres; what the second said is printed after the first."""
    with tempfile.TemporaryFile() as said, on_postgres(arguments, said) as second:
        yield subprocess.run([*PYTEST, *IN_PROCESS, *arguments], check=False).returncode
        if second is not None:
            status = second.wait()
            print("\nThe same on Postgres:", flush=True)
            said.seek(0)
            sys.stdout.buffer.write(said.read())
            sys.stdout.flush()
            yield status


@contextlib.contextmanager
def on_postgres(arguments: list[str], said: IO[bytes]) -> Iterator[subprocess.Popen[bytes] | None]:
    """The second round, begun; ``None`` where there is no Postgres."""
    url = os.environ.get(POSTGRES)
    if not url:
        yield None
        return
    environment = {**os.environ, "DATABASE_URL": url}
    if redis := os.environ.get(REDIS):
        environment[REDIS] = beside(redis)
    process = subprocess.Popen([*PYTEST, *ON_POSTGRES, *arguments], env=environment, stdout=said, stderr=said)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def beside(redis: str) -> str:
    """The URL of the database before or after this one: the rounds empty theirs."""
    found = re.fullmatch(r"(.*://[^/]+)(?:/(\d+))?", redis)
    assert found, f"{REDIS} is not the URL of a database"
    number = int(found[2] or 0)
    return f"{found[1]}/{number - 1 if number else 1}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
