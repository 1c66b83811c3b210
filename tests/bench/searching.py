"""P6: a question to a store of 100,000 chunks, beside a flat search over the same vectors.

The yardstick is FAISS's flat index where ``faiss`` can be imported, else what it does: one product of the matrix and
the question, and the choice of the best. Both are asked in turn, so that what else the machine does strikes both
alike. Ours is the whole way of a question behind its embedding: vectors, words, fusion, and the texts of the results.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.support.processes import ROOT, Stack

if TYPE_CHECKING:
    from assistants.knowledge.models import VectorStore

SIZE = "BENCH_CHUNKS"
DEFAULT_SIZE = "100000"
WIDTH = 384
OF_A_FILE = 500  # chunks
WORDS_OF_CHUNK = 120
WORDS_OF_QUESTION = 6
VOCABULARY = 30_000
QUESTIONS = 40
RESULTS = 20
GOAL = 1.5  # times the flat search
SPACE = f"bench/{WIDTH}"

Search = Callable[[np.ndarray], list[int]]  # of a question's vector: rows of the matrix, nearest first


def measure(folder: Path, **services: str) -> Iterator[str]:
    """The lines of the report, from a process of its own with a database of its own.

    :param services: Postgres, as a ``Stack`` takes it; else SQLite.
    """
    stack = Stack(folder, engine_url="http://127.0.0.1:9/v1", **services)
    try:
        stack.prepare()
        command = [sys.executable, "-m", "tests.bench.searching"]
        done = subprocess.run(command, cwd=ROOT, env=stack.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        yield from done.stdout.splitlines()
    finally:
        stack.destroy()


def report() -> Iterator[str]:
    """In the process with the database."""
    from assistants.knowledge.models import StoreStatistics
    from assistants.knowledge.retrieval import nearest as chosen
    from assistants.knowledge.retrieval.search import Question as Asked
    from assistants.knowledge.retrieval.search import Ranking, find

    count = int(os.environ.get(SIZE, DEFAULT_SIZE))
    matrix = unit(np.random.default_rng(1).normal(size=(count, WIDTH)))
    words = random.Random(1)
    begun = time.perf_counter()
    store = fill(matrix, words)
    yield f"{count:,} chunks in {count // OF_A_FILE} files: indexed in {time.perf_counter() - begun:.1f} s"
    name, flat = flat_search(matrix)
    vectors = unit(np.random.default_rng(2).normal(size=(QUESTIONS, WIDTH)))
    times: dict[str, list[float]] = {name: [], "vectors": [], "hybrid": []}
    same = 0
    for number, vector in enumerate(vectors):
        asked = Asked(sentence(words, WORDS_OF_QUESTION), {SPACE: vector})
        nearest = timed(times[name], lambda vector=vector: flat(vector))
        for kind, ranking in (("vectors", Ranking("none")), ("hybrid", Ranking())):
            hits = timed(
                times[kind],
                lambda asked=asked, ranking=ranking: find(
                    store.project_id, [store.pk], [asked], RESULTS, None, ranking
                ),
            )
            if kind == "vectors":
                same += {row(hit) for hit in hits} == set(nearest)
        if number == 0:  # which has read the vectors
            times = {kind: [] for kind in times}
    way = type(chosen.index_for(list(StoreStatistics.objects.filter(store=store)), {SPACE: vectors[0]})).__name__
    yield f"{way}: the {RESULTS} nearest of {same} of {QUESTIONS} questions are those of the flat search"
    base = median(times[name])
    for kind, taken in times.items():
        ratio = median(taken) / base
        goal = "" if kind == name else f", {ratio / GOAL:.2f} of what P6 allows ({GOAL})"
        yield f"{kind:<14} {median(taken) * 1000:7.1f} ms  {ratio:5.2f} ×{goal}"


def unit(vectors: np.ndarray) -> np.ndarray:
    found: np.ndarray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return found


def timed(times: list[float], work: Callable[[], Any]) -> Any:
    begun = time.perf_counter()
    found = work()
    times.append(time.perf_counter() - begun)
    return found


def row(hit: Any) -> int:
    return int(hit.filename) * OF_A_FILE + int(hit.position)


def flat_search(matrix: np.ndarray) -> tuple[str, Search]:
    """The yardstick and its name."""
    try:
        import faiss
    except ImportError:

        def by_numpy(vector: np.ndarray) -> list[int]:
            near = matrix @ vector
            chosen = np.argpartition(near, -RESULTS)[-RESULTS:]
            return [int(place) for place in chosen[np.argsort(-near[chosen])]]

        return "numpy, flat", by_numpy
    index = faiss.IndexFlatIP(WIDTH)
    index.add(matrix)
    return "FAISS, flat", lambda vector: [int(place) for place in index.search(vector[None], RESULTS)[1][0]]


def sentence(words: random.Random, length: int) -> str:
    """Invented words, a few of them often and most of them seldom, as words are."""
    return " ".join(f"w{int(VOCABULARY ** words.random())}" for _ in range(length))


def fill(matrix: np.ndarray, words: random.Random) -> VectorStore:
    """A store with these vectors, ``OF_A_FILE`` to a file."""
    from sovereign.accounts.models import Project
    from tests.knowledge.searching import add_file, make_store

    store = make_store(Project.objects.get())
    for begin in range(0, len(matrix), OF_A_FILE):
        own = matrix[begin : begin + OF_A_FILE]
        add_file(store, str(begin // OF_A_FILE), [sentence(words, WORDS_OF_CHUNK) for _ in own], own, SPACE)
    return store


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sovereign.settings")
    django.setup()
    for line in report():
        print(line, flush=True)
