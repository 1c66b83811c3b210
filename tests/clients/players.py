"""The programs of ``recipes/``, each as its users run it: its interpreter, its client's version, the environment."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.sdk.environments import python_of
from tests.support.fixtures import skip_ring
from tests.support.processes import Stack

RECIPES = Path(__file__).parent / "recipes"
NODE_MODULES = Path(__file__).parents[1] / "sdk" / "node" / "node_modules"
TIMEOUT = 300.0  # seconds; some of the clients take most of a minute to be imported on a busy machine
#: the clients look for addresses, keys and proxies of their own there, so that nothing else of the shell's reaches them
INHERITED = ("PATH", "LANG", "LC_ALL", "SSL_CERT_FILE")


@dataclass(frozen=True)
class Player:
    """Who runs a recipe.

    :param environment: of ``tests/sdk/environments``, for Python.
    :param package: in ``tests/sdk/node``, for Node; a program finds it under the name ``openai``.
    :param edits: what a user of that version writes instead.
    """

    recipe: str
    environment: str = ""
    package: str = ""
    edits: dict[str, str] = field(default_factory=dict)

    def play(self, server: Stack, folder: Path) -> str:
        """What the recipe prints, run in ``folder``; a test that cannot run is left out."""
        program = folder / self.recipe
        program.write_text(self._edited())
        command = [*self._interpreter(folder), str(program)]
        return played(command, folder, environment(server))

    def _edited(self) -> str:
        source = (RECIPES / self.recipe).read_text()
        for old, new in self.edits.items():
            assert old in source, f"{self.recipe} does not hold {old}"
            source = source.replace(old, new)
        return source

    def _interpreter(self, folder: Path) -> list[str]:
        if self.environment:
            return [str(python_of(self.environment)), "-W", "ignore::DeprecationWarning"]
        if self.package:
            return ["node"] if link_package(folder, self.package) else []
        for tool in ("bash", "curl", "jq"):
            if not shutil.which(tool):
                skip_ring(f"{tool} is not installed: run tests/setup.sh")
        return ["bash"]


def played(command: list[str], folder: Path, variables: dict[str, str]) -> str:
    """What a program prints; whatever it started is gone with it, also where it does not end."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, errors = process.communicate(timeout=TIMEOUT)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, out + errors
    return out


def link_package(folder: Path, package: str) -> bool:
    """Let programs in ``folder`` import ``package`` as ``openai``."""
    if not shutil.which("node") or not (NODE_MODULES / package).is_dir():
        skip_ring(f"{package} is not installed: run tests/setup.sh")
    modules = folder / "node_modules"
    modules.mkdir()
    (modules / "openai").symlink_to(NODE_MODULES / package)
    return True


def environment(server: Stack) -> dict[str, str]:
    """What the documentation tells users to set, and no more than a shell needs."""
    return {
        **{name: os.environ[name] for name in INHERITED if name in os.environ},
        "HOME": str(server.folder),
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "OPENAI_API_KEY": server.api_key,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks the internet for prices before it starts
    }
