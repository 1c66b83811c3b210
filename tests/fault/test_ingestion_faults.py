"""Workers die or are stopped while they make a file searchable: it becomes so once, and nothing of it is lost."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import openai
import pytest

from assistants.knowledge.chunking import chunks
from tests.support.client import unique
from tests.support.fixtures import Cluster
from tests.support.processes import Process, Stack, eventually

pytestmark = pytest.mark.fault

SENTENCES = 40_000  # so many take a while …
DONE = 300.0  # seconds: … and longer where others have the cores


def begin(stack: Stack, sentences: int = SENTENCES) -> tuple[str, str]:
    """The id of a large file in a fresh store, and its text."""
    key = unique()
    text = " ".join(f"Sentence {number} of {key} says something." for number in range(sentences))
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key=stack.api_key, max_retries=0) as client:
        file = client.files.create(file=(f"{key}.txt", text.encode()), purpose="assistants")
        store = client.vector_stores.create()
        client.vector_stores.files.create(store.id, file_id=file.id)
    return file.id, text


def row(stack: Stack, file: str) -> tuple[str, int, str | None, int]:
    """Its status, epoch, holder and deaths."""
    [found] = stack.database.rows(
        "SELECT status, lease_epoch, lease_owner, crash_count FROM knowledge_storefile WHERE file_id = ?", file
    )
    return found


def held(cluster: Cluster, file: str, epoch: int = 1) -> Process:
    """The worker that holds the file, once one does for the ``epoch``-th time."""

    def look() -> Process | None:
        status, found, owner, _ = row(cluster.stack, file)
        assert status == "in_progress", "it was too quick to be disturbed"
        workers = [worker for worker in cluster.workers if owner and f"-{worker.pid}-" in owner]
        return workers[0] if workers and found == epoch else None

    return eventually(look, what="a worker holds the file")


def readers_of(worker: Process) -> list[int]:
    """What reads documents for this worker: the process that starts readers, and those."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if b"assistants.knowledge.parsing.forkserver" in path.read_bytes().split(b"\0"):
                parents[int(path.parent.name)] = int(path.with_name("stat").read_text().rpartition(")")[2].split()[1])
    servers = [pid for pid, parent in parents.items() if parent == worker.pid]
    return [*servers, *(pid for pid, parent in parents.items() if parent in servers)]


def _runs(pid: int) -> bool:
    """Whether it is there and has not ended, whether or not anybody has looked."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def assert_once(stack: Stack, file: str, text: str) -> None:
    """The file is searchable, and of its chunks each is there once, in order, with its words and vectors counted."""
    eventually(lambda: row(stack, file)[0] != "in_progress", DONE, "the file is done")
    assert row(stack, file)[0] == "completed"
    expected = [chunk.text for chunk in chunks(text, maximum=800, overlap=400)]
    found = stack.database.rows(
        "SELECT position, text FROM knowledge_chunk c JOIN knowledge_storefile m ON m.id = c.member_id"
        " WHERE m.file_id = ? ORDER BY position, c.id",
        file,
    )
    assert found == list(enumerate(expected))
    statistics = stack.database.rows(
        "SELECT s.chunks FROM knowledge_storestatistics s JOIN knowledge_storefile m ON m.store_id = s.store_id"
        " WHERE m.file_id = ?",
        file,
    )
    assert statistics == [(len(expected),)]


def test_kill_9_in_the_middle_loses_and_doubles_nothing(cluster: Cluster, stack: Stack) -> None:
    file, text = begin(stack)
    victim = held(cluster, file)
    readers = eventually(lambda: readers_of(victim), what="the file is read")
    victim.kill()
    assert row(stack, file)[0] == "in_progress"
    assert_once(stack, file, text)
    assert row(stack, file)[1:] == (2, None, 0), "another one did it, and nothing is held against the file"
    eventually(lambda: not any(map(_runs, readers)), what="its readers ended with it")


def test_three_deaths_fail_the_file(cluster: Cluster, stack: Stack) -> None:
    file, _ = begin(stack)
    for death in range(1, 4):
        held(cluster, file, death).kill()
        stack.database.age_ingestion(file)  # at once: later it may be another worker's lease already
        if not any(worker.alive for worker in cluster.workers):
            cluster.heal()
    eventually(lambda: row(stack, file)[0] != "in_progress", what="the file is given up")
    [(status, code, message)] = stack.database.rows(
        "SELECT status, error_code, error_message FROM knowledge_storefile WHERE file_id = ?", file
    )
    assert (status, code) == ("failed", "server_error")
    assert "3 workers died" in message


def test_sigterm_gives_the_file_back_at_once(cluster: Cluster, stack: Stack) -> None:
    file, text = begin(stack)
    stopped = held(cluster, file)
    assert stopped.terminate() == 0
    _, _, owner, deaths = row(stack, file)
    assert f"-{stopped.pid}-" not in (owner or ""), "it was given back, and does not wait for the lease to run out"
    assert deaths == 0
    assert_once(stack, file, text)


def test_without_workers_files_wait_for_the_next_one(cluster: Cluster, stack: Stack) -> None:
    for worker in cluster.workers:
        worker.kill()
    file, text = begin(stack, sentences=100)
    assert row(stack, file)[:3] == ("in_progress", 0, None)
    cluster.heal()
    assert_once(stack, file, text)
