"""Workers are killed around a call of an MCP server's tool: nothing is done twice that must not be, the run ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.client import unique
from tests.support.fixtures import Cluster
from tests.support.mcp_processes import RealServer, give_tools, real_server
from tests.support.processes import Stack, eventually
from tests.support.viewers import await_end

pytestmark = pytest.mark.fault


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with real_server(tmp_path_factory.mktemp("mcp"), "mcp-2") as server:
        yield server


class Asking:
    """A run whose model calls one tool of the server."""

    def __init__(self, stack: Stack, real: RealServer, tool: str, argument: str, *, approval: str = "never") -> None:
        self.stack, self.client = stack, stack.client
        assistant = self.client.assistant()
        label = give_tools(stack, real, assistant, approval=approval)
        self.thread = self.client.thread(f"Do. [tool={label}__{tool} with={argument} tokens=3 key={unique()}]")
        self.run = self.client.run(self.thread, assistant)
        self.path = f"/v1/threads/{self.thread}/runs/{self.run}"

    def approve(self) -> None:
        """Once it is asked for."""
        found = eventually(lambda: self.client.get(self.path)["required_action"], what="a request for approval")
        [call] = found["submit_tool_outputs"]["tool_calls"]
        outputs = [{"tool_call_id": call["id"], "output": '{"approve": true}'}]
        self.client.post(f"{self.path}/submit_tool_outputs", {"tool_outputs": outputs})

    def output(self) -> str:
        steps: list[Any] = self.client.get(f"{self.path}/steps?order=asc")["data"]
        return str(steps[0]["step_details"]["tool_calls"][0]["function"]["output"])


def test_kill_9_in_a_call_that_must_not_be_made_twice(cluster: Cluster, stack: Stack, real: RealServer) -> None:
    before = len(real.calls("pay"))
    asking = Asking(stack, real, "pay", "to:nobody")
    eventually(lambda: len(real.calls("pay")) > before, what="the call")
    cluster.worker_of(asking.run).kill()
    assert await_end(stack, asking.run) == "completed"
    assert "not known how far it came" in asking.output()
    assert len(real.calls("pay")) == before + 1


def test_kill_9_in_a_call_that_only_reads(cluster: Cluster, stack: Stack, real: RealServer) -> None:
    ghost = f"ghost{unique()}"
    asking = Asking(stack, real, "look", f"at:{ghost}")
    eventually(lambda: {"tool": "look", "at": ghost} in real.calls("look"), what="the call")
    cluster.worker_of(asking.run).kill()
    assert await_end(stack, asking.run) == "completed"
    assert asking.output().endswith(f"{ghost} looks well.")
    assert real.calls("look").count({"tool": "look", "at": ghost}) == 2


def test_kill_9_between_the_approval_and_the_call(cluster: Cluster, stack: Stack, real: RealServer) -> None:
    """All workers stand still when the approval comes, and never go on: others make the call, once."""
    whom = unique()
    asking = Asking(stack, real, "pay", f"to:{whom}", approval="always")
    eventually(lambda: stack.client.get(asking.path)["status"] == "requires_action", what="a request for approval")
    for worker in cluster.workers:
        stack.freeze(worker)
    asking.approve()
    for worker in cluster.workers:
        worker.kill()
    assert real.calls("pay").count({"tool": "pay", "to": whom}) == 0
    cluster.heal()
    assert await_end(stack, asking.run) == "completed"
    assert asking.output().endswith(f"{whom} has been paid.")
    assert real.calls("pay").count({"tool": "pay", "to": whom}) == 1


def test_kill_9_of_the_mcp_server_in_a_call(
    cluster: Cluster, stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with real_server(tmp_path_factory.mktemp("mcp"), "mcp-2") as real:
        asking = Asking(stack, real, "pay", "to:nobody")
        eventually(lambda: real.calls("pay"), what="the call")
        real.process.signal(signal.SIGKILL)
        assert await_end(stack, asking.run) == "completed"
    assert "closed the connection" in asking.output()
