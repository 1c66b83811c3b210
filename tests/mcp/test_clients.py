"""The official Python SDK's clients, both lines and both kinds of beginnings, against a server as it is started."""

from __future__ import annotations

import http.client
import json
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.sdk.environments import python_of
from tests.support.client import PATIENCE, tokens, unique
from tests.support.processes import START_TIMEOUT, Stack, Upstream, eventually

pytestmark = pytest.mark.sdk

PROGRAMS = Path(__file__).parent / "clients"
TIMEOUT = 300.0  # seconds; the clients take long to be imported on a busy machine
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


def played(environment: str, program: str, *arguments: str) -> dict[str, Any]:
    """What the client says it saw."""
    command = [str(python_of(environment)), str(PROGRAMS / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def offered(server: Stack, name: str) -> None:
    """An assistant that is offered as an administrator does it."""
    server.database.offer_over_mcp(server.client.assistant(name=name))


@pytest.mark.parametrize(
    ("environment", "program", "mode", "version"),
    [
        ("mcp-1", "first.py", [], "2025-11-25"),
        ("mcp-2", "second.py", ["legacy"], "2025-11-25"),
        ("mcp-2", "second.py", ["auto"], "2026-07-28"),
    ],
)
def test_a_client_asks_and_goes_on(
    server: Stack, environment: str, program: str, mode: list[str], version: str
) -> None:
    name = f"asked-by-{environment}-{'-'.join(mode)}".strip("-")
    offered(server, name)
    seen = played(environment, program, f"{server.url}/mcp", server.api_key, name, *mode)
    assert (seen["version"], seen["server"]) == (version, "sovereign")
    assert name in seen["tools"]
    assert seen["first"] == [tokens(12)]
    assert seen["structured"]["answer"] == tokens(12)
    assert seen["second"]["answer"] == tokens(3)
    assert seen["second"]["thread_id"] == seen["structured"]["thread_id"]
    assert seen["second"]["run_id"] != seen["structured"]["run_id"]
    assert seen["wrong"][0] is True
    assert "string too short" in seen["wrong"][1]
    assert seen["unknown"] == "Unknown tool: nobody"
    stages = [message for _, message in seen["progress"]]
    assert stages[0] == "Waiting"
    assert "Writing" in stages
    numbers = [number for number, _ in seen["progress"]]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("environment", ["mcp-1", "mcp-2"])
def test_a_session_outlives_the_limits_of_its_key(server: Stack, environment: str) -> None:
    name = f"asked-too-often-by-{environment}"
    offered(server, name)
    key = server.another_key(name)
    limiting = server.start("set_limits", "--key", name, "--requests-per-minute", "6")
    assert limiting.wait(START_TIMEOUT) == 0, limiting.output()
    seen = played(environment, "spent.py", f"{server.url}/mcp", key, name)
    assert seen["first"] == [False, tokens(1)]
    assert seen["last"][0] is True
    assert "requests per min" in seen["last"][1]
    assert "requests per min" in seen["listed"]
    assert seen["again"] is True


@pytest.mark.parametrize("accept", ["application/json", "application/json, text/event-stream"])
@pytest.mark.parametrize(("version", "status"), [("2025-11-25", "completed"), ("2026-07-28", "cancelled")])
def test_what_becomes_of_the_run_of_a_client_that_leaves(
    server: Stack, upstream: Upstream, version: str, status: str, accept: str
) -> None:
    name, key = f"left-{version}-{len(accept)}", unique()
    assistant = server.client.assistant(name=name)
    server.database.offer_over_mcp(assistant)
    params = {"name": name, "arguments": {"message": f"[tokens=40 hold=20 key={key}]"}, "_meta": META}
    if status == "completed":
        del params["_meta"]
    headers = {
        "Authorization": f"Bearer {server.api_key}",
        "Accept": accept,
        "Content-Type": "application/json",
        "MCP-Protocol-Version": version,
        "Mcp-Method": "tools/call",
        "Mcp-Name": name,
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}

    def state() -> str:
        rows = server.database.rows("SELECT status FROM runs_run WHERE assistant_id = ?", assistant)
        return str(rows[0][0]) if rows else ""

    with closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=PATIENCE)) as connection:
        connection.request("POST", "/mcp", json.dumps(message), headers)
        eventually(lambda: state() == "in_progress", what="a worker that has taken the run")
    server.client.get("/v1/models")  # who answers this has seen the other connection go
    if status == "completed":
        upstream.release(key)
    eventually(lambda: state() == status, what=f"the run to be {status}")
