"""LibreChat's assistants, as far as a test can go without the application: see the head of ``librechat.mjs``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.players import environment, link_package, played
from tests.clients.test_recipes import LINES, runs_of
from tests.support.client import tokens
from tests.support.processes import Stack, Upstream

pytestmark = pytest.mark.sdk

PROGRAM = Path(__file__).parent / "librechat.mjs"


def test_librechats_requests_are_answered_as_it_needs(
    live_server_process: Stack, upstream: Upstream, tmp_path: Path
) -> None:
    server = live_server_process
    upstream.teach({**LINES, "Count to a thousand.": "[tokens=1000 hold=0]"})
    link_package(tmp_path, "openai-5")
    (tmp_path / PROGRAM.name).write_text(PROGRAM.read_text())
    settings = {"ASSISTANTS_BASE_URL": f"{server.url}/v1", "ASSISTANTS_API_KEY": server.api_key}
    before = {run for run, _ in runs_of(server)}
    out = played(["node", PROGRAM.name], tmp_path, environment(server) | settings)
    told = [tuple(json.loads(line)) for line in out.splitlines()]
    calls = [tuple(value) for name, value in told if name == "call"]
    assert set(calls) == {(0, "function", "object"), (1, "function", "object")}
    assert dict(told)["stopped"] in ("cancelling", "cancelled")  # it may not have begun yet
    assert [(name, value) for name, value in told if name in ("listed", "answer", "cancelled")] == [
        ("listed", True),
        ("answer", ["completed", tokens(10), "number"]),
        ("answer", ["completed", tokens(6), "number"]),
        ("cancelled", "cancelled"),
    ]
    assert [status for run, status in runs_of(server) if run not in before] == ["completed", "completed", "cancelled"]
