"""The programs that an assistant's tab "Code" shows run as they stand there, and print its answer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from assistants.admin.snippets import LANGUAGES, VARIABLE, snippets
from tests.support.fixtures import skip_ring
from tests.support.processes import Stack

pytestmark = pytest.mark.sdk

NODE_MODULES = Path(__file__).parent / "node" / "node_modules"
TIMEOUT = 180.0  # seconds


def command(language: str, folder: Path, text: str) -> list[str]:
    """How a person would run it."""
    file = folder / {"python": "ask.py", "node": "ask.mjs", "curl": "ask.sh"}[language]
    file.write_text(text)
    if language == "python":
        return [sys.executable, str(file)]
    program = {"node": "node", "curl": "bash"}[language]
    if not shutil.which(program) or not shutil.which("curl"):
        skip_ring(f"{program} is not installed")
    if language == "node":
        if not (NODE_MODULES / "openai").is_dir():
            skip_ring("openai is not installed for Node: run tests/setup.sh")
        (folder / "node_modules").symlink_to(NODE_MODULES)
    return [program, str(file)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_programs_run_as_they_stand(language: str, live_server_process: Stack, tmp_path: Path) -> None:
    server = live_server_process
    _, made = server.client.request("POST", "/v1/assistants", {"model": "fake", "instructions": "Be brief."})
    environment = {**os.environ, VARIABLE: server.api_key}
    for place, one in enumerate(snippets(language, f"{server.url}/v1", made["id"])):
        folder = tmp_path / str(place)
        folder.mkdir()
        run = subprocess.run(
            command(language, folder, one["text"]),
            env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        assert "t0 t1 t2" in run.stdout  # what the engine of these tests says
        if language == "curl":
            assert ("thread.message.delta" in run.stdout) == (one["id"] == "stream")
