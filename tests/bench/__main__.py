"""``python -m tests.bench [streaming] [starting] [crud] [listing] [completions] [knowledge] [sandbox] [assistants]
[analytics] [conversations] [lists] [chats] [opening] [engine]``, with the machine's load.

They are P1b, P8, P3, P5, P2 with P4 and P9, P6, a call of the code interpreter, 10,000 assistants,
the roll-ups of 5 million model calls, 1,000 open conversations, the admin's lists, 500 open chats, a thread of
2,000 messages in a browser, and P1.

``listing`` fills tables of the sizes in ``BENCH_MESSAGES`` (three, up to a million; ten million take 7 GB and minutes).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench import (
    analytics,
    assistants,
    chats,
    completions,
    conversations,
    crud,
    engine,
    ingestion,
    listing,
    lists,
    opening,
    sandbox,
    searching,
    starting,
    streaming,
)
from tests.support.fixtures import POSTGRES, REDIS


def streaming_report(folder: Path) -> None:
    print("P1b  tokens a second through a run: unpaced engine, one worker, all persisted, every token checked")
    for number, (title, embedded, services) in enumerate(arrangements()):
        print(f"  {title}")
        here = folder / str(number)
        here.mkdir()
        for line in streaming.measure(here, embedded=embedded, **services):
            print(f"    {line}", flush=True)


def arrangements() -> Iterator[tuple[str, bool, dict[str, str]]]:
    """Title, whether API and worker are one process, and the services beside."""
    yield "SQLite, API and worker in one process (manage.py up)", True, {}
    yield "SQLite, API and worker in two processes", False, {}
    if os.environ.get(POSTGRES) and os.environ.get(REDIS):
        services = {"postgres_url": os.environ[POSTGRES], "redis_url": os.environ[REDIS]}
        yield "Postgres and Redis, API and worker in two processes", False, services
    else:
        print(f"  Postgres and Redis: not measured, {POSTGRES} and {REDIS} are not set")


def starting_report(folder: Path) -> None:
    print("P8   start to healthy to first token: manage.py up, SQLite, fake engine")
    for line in starting.measure(folder):
        print(f"    {line}", flush=True)


def crud_report(folder: Path) -> None:
    print("P3   requests a second on one API process: keys and audit on, client on the same cores")
    for number, (title, services) in enumerate(databases()):
        print(f"  {title}")
        here = folder / str(number)
        here.mkdir()
        for line in crud.measure(here, **services):
            print(f"    {line}", flush=True)


def listing_report(folder: Path) -> None:
    print("P5   a page of a thread's messages by the rows of the table: median, and times that of the first column")
    for number, (title, services) in enumerate(databases()):
        print(f"  {title}", flush=True)
        here = folder / str(number)
        here.mkdir()
        for line in listing.measure(here, **services):
            print(f"    {line}", flush=True)


def completions_report(folder: Path) -> None:
    print("P2   chat completions with keys, limits and usage rows, P4 and P9; client and engine on the same cores")
    for number, (title, services) in enumerate(databases()):
        print(f"  {title}", flush=True)
        here = folder / str(number)
        here.mkdir()
        for line in completions.measure(here, **services):
            print(f"    {line}", flush=True)


def knowledge_report(folder: Path) -> None:
    print("P6   how quickly texts become searchable: one worker, from being put into a store to being found;")
    print("     and a question to a store of 100,000 chunks beside a flat search")
    for number, (title, services) in enumerate(databases()):
        print(f"  {title}", flush=True)
        here = folder / str(number)
        here.mkdir()
        for line in ingestion.measure(here, **services):
            print(f"    {line}", flush=True)
        for line in searching.measure(here / "searching", **services):
            print(f"    {line}", flush=True)


def sandbox_report(folder: Path) -> None:
    print("     a call of the code interpreter: from asking for the thread's sandbox to the end of the code")
    for line in sandbox.measure(folder):
        print(f"    {line}", flush=True)


def assistants_report(folder: Path) -> None:
    print("     among 10,000 assistants, on one API process; the client on the same cores")
    for number, (title, services) in enumerate(databases()):
        print(f"  {title}", flush=True)
        here = folder / str(number)
        here.mkdir()
        for line in assistants.measure(here, **services):
            print(f"    {line}", flush=True)


def analytics_report(folder: Path) -> None:
    print("     counting what happened and reading it: 100,000 threads, 5 million model calls, Postgres")
    if not os.environ.get(POSTGRES):
        print(f"  not measured, {POSTGRES} is not set")
        return
    for line in analytics.measure(folder, postgres_url=os.environ[POSTGRES]):
        print(f"    {line}", flush=True)


def conversations_report(folder: Path) -> None:
    print("     where 1,000 conversations are open, on one API process; the client on the same cores")
    for number, (title, services) in enumerate(databases()):
        print(f"  {title}", flush=True)
        here = folder / str(number)
        here.mkdir()
        for line in conversations.measure(here, **services):
            print(f"    {line}", flush=True)


def lists_report(folder: Path) -> None:
    print("     the admin's lists among 10,000 assistants and a million messages, made by one process")
    for number, (title, services) in enumerate(databases()):
        print(f"  {title}", flush=True)
        here = folder / str(number)
        here.mkdir()
        for line in lists.measure(here, **services):
            print(f"    {line}", flush=True)


def chats_report(folder: Path) -> None:
    print("     500 open chats, 20 answers: on the process that people reach; client and engine on the same cores")
    for number, (title, embedded, services) in enumerate(arrangements()):
        print(f"  {title}", flush=True)
        here = folder / str(number)
        here.mkdir()
        for line in chats.measure(here, embedded=embedded, **services):
            print(f"    {line}", flush=True)


def opening_report(folder: Path) -> None:
    print("     a thread of 2,000 messages in headless Chromium; server and browser on the same cores")
    for line in opening.measure(folder):
        print(f"    {line}", flush=True)


def engine_report(folder: Path) -> None:
    print("P1   a streamed run against the raw engine: vLLM with the starter model, SQLite, one process")
    for line in engine.measure(folder):
        print(f"    {line}", flush=True)


def databases() -> Iterator[tuple[str, dict[str, str]]]:
    """Title, and the services beside."""
    yield "SQLite", {}
    if os.environ.get(POSTGRES):
        yield "Postgres", {"postgres_url": os.environ[POSTGRES]}
    else:
        print(f"  Postgres: not measured, {POSTGRES} is not set")


REPORTS = {
    "streaming": streaming_report,
    "starting": starting_report,
    "crud": crud_report,
    "listing": listing_report,
    "completions": completions_report,
    "knowledge": knowledge_report,
    "sandbox": sandbox_report,
    "assistants": assistants_report,
    "analytics": analytics_report,
    "conversations": conversations_report,
    "lists": lists_report,
    "chats": chats_report,
    "opening": opening_report,
    "engine": engine_report,
}


def main(names: list[str]) -> None:
    for name in names or REPORTS:
        with tempfile.TemporaryDirectory() as folder:
            REPORTS[name](Path(folder))
        load = " ".join(f"{average:.1f}" for average in os.getloadavg())
        print(f"     machine: {os.cpu_count()} cores, load {load}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
