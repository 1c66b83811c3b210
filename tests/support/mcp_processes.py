"""Real MCP servers as processes: ``tests.support.mcp_server`` in an environment with the official SDK."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.sdk.environments import python_of
from tests.support.processes import ROOT, START_TIMEOUT, Process, Stack, eventually, free_port

SERVER = Path(__file__).parent / "mcp_server.py"


class RealServer:
    """One started server; ``calls`` is what its tools really did."""

    def __init__(self, folder: Path, environment: str, *options: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self._calls = folder / f"{environment}-{self.port}.calls"
        arguments = [str(python_of(environment)), str(SERVER), "--port", str(self.port), "--calls", str(self._calls)]
        log = folder / f"{environment}-{self.port}.log"
        self.process = Process(environment, [*arguments, *options], dict(os.environ), log)
        eventually(self._answers, START_TIMEOUT, f"{environment} listens: {log}")

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def calls(self, tool: str) -> list[dict[str, Any]]:
        lines = self._calls.read_text().splitlines() if self._calls.exists() else []
        return [call for call in map(json.loads, lines) if call["tool"] == tool]


@contextmanager
def real_server(folder: Path, environment: str, *options: str) -> Iterator[RealServer]:
    server = RealServer(folder, environment, *options)
    try:
        yield server
    finally:
        server.process.destroy()


def give_tools(stack: Stack, server: RealServer, assistant: str, *, approval: str = "never") -> str:
    """Register the server in an installation, and give its tools to an assistant; the server's label."""
    command = [sys.executable, "-m", "tests.support.register_mcp", server.url, approval, assistant]
    done = subprocess.run(
        command, cwd=ROOT, env=stack.environment, capture_output=True, text=True, timeout=START_TIMEOUT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]
