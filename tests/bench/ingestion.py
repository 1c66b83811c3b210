"""How quickly files become searchable: megabytes of text a second, from being put into a store to being found."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import openai

from tests.support.processes import Stack, eventually

GOAL = 5.0  # MB/s without an embedder
LARGE = 8_000_000  # bytes of one text
SMALL, SIZE = 32, 100_000  # texts, and the bytes of each
PATIENCE = 600.0  # seconds
SUBJECTS = ("pump", "bearing", "invoice", "warranty", "turbine", "supplier", "drawing", "contract", "sensor", "valve")
VERBS = ("replaces", "describes", "precedes", "contradicts", "belongs to", "is checked against", "is kept beside")


def measure(folder: Path, **services: str) -> Iterator[str]:
    """The lines of the report.

    :param services: Postgres and Redis, as a ``Stack`` takes them; else SQLite.
    """
    for title, settings in (("keywords alone", {"SOVEREIGN_EMBEDDER": "none"}), ("with vectors", {})):
        stack = Stack(folder / title.replace(" ", "-"), engine_url="http://127.0.0.1:9/v1", **services, **settings)
        try:
            stack.prepare()
            stack.serve()
            worker = stack.worker()
            for name, texts in _loads().items():
                before = _cpu(worker.pid)
                size, seconds = _ingest(stack, texts)
                yield _line(f"{title}, {name}", size, seconds, _cpu(worker.pid) - before)
        finally:
            stack.destroy()


def _loads() -> dict[str, list[bytes]]:
    return {
        f"one text of {LARGE / 1e6:.0f} MB": [_text(0, LARGE)],
        f"{SMALL} texts of {SIZE / 1e3:.0f} kB": [_text(number, SIZE) for number in range(1, SMALL + 1)],
    }


def _text(seed: int, size: int) -> bytes:
    """Sentences and paragraphs, of words that come as seldom as words do."""
    parts, length, number = [], 0, seed * 1_000_003
    while length < size:
        number += 1
        first, second = (SUBJECTS[number * step % len(SUBJECTS)] for step in (7, 3))
        verb = VERBS[number % len(VERBS)]
        part = f"The {first} of order {number % 9_973} {verb} the {second} that Mr. Miller filed under {number * 31}."
        part += "\n\n" if number % 8 == 0 else " "
        parts.append(part)
        length += len(part)
    return "".join(parts).encode()[:size]


def _ingest(stack: Stack, texts: list[bytes]) -> tuple[int, float]:
    """How many bytes became searchable, and the seconds that took."""
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key=stack.api_key) as client:
        files = [
            client.files.create(file=(f"{number}.txt", text), purpose="assistants").id
            for number, text in enumerate(texts)
        ]
        store = client.vector_stores.create()
        begun = time.perf_counter()
        client.vector_stores.file_batches.create(store.id, file_ids=files)
        eventually(lambda: _done(stack, store.id) == len(files), PATIENCE, "all files are searchable")
        return sum(map(len, texts)), time.perf_counter() - begun


def _done(stack: Stack, store: str) -> int:
    query = "SELECT count(*) FROM knowledge_storefile WHERE store_id = ? AND status = 'completed'"
    [(number,)] = stack.database.rows(query, store)
    return int(number)


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has used, with those that it started, and those of them that have ended."""
    own = sum(map(int, _stat(pid)[11:15])) / os.sysconf("SC_CLK_TCK")
    started = Path(f"/proc/{pid}/task").glob("*/children")
    return own + sum(_cpu(int(child)) for children in started for child in children.read_text().split())


def _stat(pid: int) -> list[str]:
    """What the system says of a process, behind its name."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _line(name: str, size: int, seconds: float, cpu: float) -> str:
    rate, alone = size / 1e6 / seconds, size / 1e6 / cpu
    goal = f"{rate / GOAL:.2f} × the goal of {GOAL:.0f}"
    return f"{name}: {seconds:.1f} s, {rate:.1f} MB/s ({goal}); {alone:.1f} MB for a second of the worker's CPU"
