"""A worker is killed in the middle of a search: another one makes it again, and the run completes."""

from __future__ import annotations

import json

import openai
import pytest

from tests.support.client import unique
from tests.support.fixtures import RINGS, Cluster
from tests.support.processes import Stack, eventually
from tests.support.viewers import await_end

pytestmark = pytest.mark.fault


# SQLite holds no table without holding up all who write
@pytest.mark.parametrize("stack", [ring for ring in RINGS if ring.id == "postgres"], indirect=True)
def test_kill_9_while_files_are_searched(cluster: Cluster, stack: Stack) -> None:
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key=stack.api_key, max_retries=0) as client:
        store = client.vector_stores.create()
        file = ("tea.txt", b"Filip drinks tea.")
        client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=file, poll_interval_ms=100)
    resources = {"file_search": {"vector_store_ids": [store.id]}}
    assistant = stack.client.assistant(tools=[{"type": "file_search"}], tool_resources=resources)
    thread = stack.client.thread(f"Look. [tool=file_search with=query:tea tokens=3 key={unique()}]")
    with stack.database.taken("knowledge_storestatistics") as is_wanted:
        run = stack.client.run(thread, assistant)

        def searches() -> bool:
            """Others may want the table, too."""
            steps = stack.database.rows("SELECT asked::text FROM runs_runstep WHERE run_id = ?", run)
            states = [entry["state"] for (asked,) in steps for entry in json.loads(asked).values()]
            return is_wanted() and states == ["started"]

        eventually(searches, what="the search")
        cluster.worker_of(run).kill()
    assert await_end(stack, run) == "completed"
    steps = stack.client.get(f"/v1/threads/{thread}/runs/{run}/steps?order=asc")["data"]
    assert [step["type"] for step in steps] == ["tool_calls", "message_creation"]
    [call] = steps[0]["step_details"]["tool_calls"]
    assert [result["file_name"] for result in call["file_search"]["results"]] == ["tea.txt"]
    uses = stack.database.rows("SELECT kind, outcome FROM runs_tooluse WHERE run_id = ?", run)
    assert uses == [("file_search", "ok")]
