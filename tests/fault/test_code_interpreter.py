"""A worker is killed while code runs: the code is gone with it, is not run again, and the run ends well."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.client import unique
from tests.support.fixtures import Cluster
from tests.support.interpreting import NAME, TOOL, asking_for, await_interpreter, printed, work_of
from tests.support.processes import Process, Stack, Upstream, eventually
from tests.support.viewers import Viewer, await_end

pytestmark = pytest.mark.fault

ENDLESS = "import time\nprint('begun', flush=True)\nwhile True: time.sleep(0.1)"


class Asking:
    """A run whose model has code run."""

    def __init__(self, stack: Stack, upstream: Upstream, code: str) -> None:
        self.stack, self.client, self.key = stack, stack.client, unique()
        assistant = self.client.assistant(tools=[TOOL])
        self.thread = self.client.thread(asking_for(upstream, self.key, code))
        self.run = self.client.run(self.thread, assistant)
        self.viewer = Viewer(self.client, self.thread, self.run)

    def await_code(self) -> None:
        """Until it has printed something."""
        eventually(lambda: self.shown() == "begun\n", what="the code runs")

    def shown(self) -> str:
        """What it has printed, by the stream."""
        deltas = [event.data["delta"] for event in self.viewer.events if event.name == "thread.run.step.delta"]
        calls = [call for delta in deltas for call in delta["step_details"]["tool_calls"]]
        return "".join(printed({"outputs": [], **call[NAME]}) for call in calls)

    def work(self) -> str:
        return printed(work_of(self.stack, self.thread, self.run))


@pytest.fixture
def asking(cluster: Cluster, stack: Stack, upstream: Upstream) -> Asking:
    await_interpreter(stack)
    made = Asking(stack, upstream, ENDLESS)
    made.await_code()
    return made


def descendants(pid: int) -> set[int]:
    """The processes that a process has started, and theirs."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found, before = {pid}, set[int]()
    while found != before:
        before = set(found)
        found |= {child for child, parent in parents.items() if parent in before}
    return found - {pid}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_kill_9_while_code_runs(cluster: Cluster, stack: Stack, upstream: Upstream, asking: Asking) -> None:
    worker: Process = cluster.worker_of(asking.run)
    inside = descendants(worker.pid)
    assert inside, "the sandbox is the worker's child"
    worker.kill()
    eventually(lambda: not any(map(is_alive, inside)), what="nothing of the sandbox survives its worker")
    assert await_end(stack, asking.run) == "completed"
    assert "not known how far it came" in asking.work()
    assert asking.work().count("begun") == 0
    events = asking.viewer.finish()
    assert events[-2].name == "thread.run.completed"
    assert asking.shown() == "begun\n", "it was not run again"
    assert len(upstream.stats(asking.key)["requests"]) == 2


def test_sigterm_while_code_runs(cluster: Cluster, stack: Stack, asking: Asking) -> None:
    worker = cluster.worker_of(asking.run)
    inside = descendants(worker.pid)
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    eventually(lambda: not any(map(is_alive, inside)), what="nothing of the sandbox survives its worker")
    assert await_end(stack, asking.run) == "completed"
    assert "not known how far it came" in asking.work()
