"""``python -m tests [pytest's arguments]``: all tests, in two rounds side by side.

The first is on SQLite and has every ring. Where TEST_POSTGRES_URL is set, the second repeats on Postgres what depends
on the database and starts no processes of its own; what it said is printed after the first.
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

from tests.support.fixtures import POSTGRES, REDIS

PYTEST = (sys.executable, "-m", "pytest")
PROCESS_RINGS = "live or sdk or e2e or fault or engine"
ON_POSTGRES = ("--create-db", "--database-only", "-p", "no:cacheprovider", "-m", f"not ({PROCESS_RINGS})")


def main(arguments: list[str]) -> int:
    """Run both; the exit status is that of the first round that failed."""
    with tempfile.TemporaryFile() as said, on_postgres(arguments, said) as second:
        status = subprocess.run([*PYTEST, *arguments], check=False).returncode
        if second is None:
            return status
        other = second.wait()
        said.seek(0)
        print("\nOn Postgres, without the rings that start processes of their own:", flush=True)
        sys.stdout.buffer.write(said.read())
        return status or other


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
