"""R20 over HTTP, with real processes: one submit of many wins, and the rest are told so.

In part, twice, late and after a cancel: ``tests/runs/test_submits.py``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.client import unique
from tests.support.fixtures import Cluster
from tests.support.processes import Stack, Upstream
from tests.support.viewers import await_end

pytestmark = pytest.mark.fault

PARALLEL = 32


class Waiting:
    """A run that waits for the outputs of two calls."""

    def __init__(self, stack: Stack) -> None:
        self.client, self.key = stack.client, unique()
        function = {"type": "function", "function": {"name": "look_up"}}
        assistant = self.client.assistant(tools=[function])
        self.thread = self.client.thread(f"[tool=look_up calls=2 tokens=3 key={self.key}]")
        stream = self.client.stream(
            "POST", f"/v1/threads/{self.thread}/runs", {"assistant_id": assistant, "stream": True}
        )
        last = [event for event in stream if event.name != "done"][-1]
        assert last.name == "thread.run.requires_action"
        self.run: str = last.data["id"]
        self.path = f"/v1/threads/{self.thread}/runs/{self.run}"
        self.asked = [call["id"] for call in last.data["required_action"]["submit_tool_outputs"]["tool_calls"]]

    def submit(self, output: str) -> tuple[int, Any]:
        outputs = [{"tool_call_id": call, "output": output} for call in self.asked]
        return self.client.request("POST", f"{self.path}/submit_tool_outputs", {"tool_outputs": outputs})


def test_of_many_submits_at_once_exactly_one_wins(cluster: Cluster, stack: Stack, upstream: Upstream) -> None:
    waiting = Waiting(stack)
    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(lambda number: waiting.submit(f"racer {number}"), range(PARALLEL)))
    statuses = [status for status, _ in answers]
    assert (statuses.count(200), statuses.count(400)) == (1, PARALLEL - 1)
    for status, body in answers:
        if status == 400:
            assert body["error"]["message"].endswith("do not accept tool outputs.")
    assert await_end(stack, waiting.run) == "completed"
    steps = stack.client.get(f"{waiting.path}/steps?order=asc")["data"]
    outputs = {call["function"]["output"] for call in steps[0]["step_details"]["tool_calls"]}
    assert outputs == {f"racer {statuses.index(200)}"}
    assert len(upstream.stats(waiting.key)["requests"]) == 2, "the model was asked twice, not once for every submit"
