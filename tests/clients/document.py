"""``python -m tests.clients.document``: write the recipes, and the versions they are tested with, into docs/clients.md.

A recipe stands behind a line ``<!-- recipe: FILE -->``, the versions behind ``<!-- versions -->``; a test keeps both
as they are in ``recipes/`` and in the pins.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.clients.players import RECIPES
from tests.sdk import environments

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "clients.md"
NODE = ROOT / "tests" / "sdk" / "node" / "package.json"

BLOCK = re.compile(r"(<!-- recipe: (\S+) -->\n)```\w+\n.*?\n```\n", re.DOTALL)
TABLE = re.compile(r"(<!-- versions -->\n)(?:\|.*\n)*")
LANGUAGES = {".py": "python", ".mjs": "javascript", ".sh": "bash"}

#: package → environments that pin it
PYTHON = {
    "openai": ["openai-1", "openai-2", "openai-3"],
    "langchain": ["langchain-0"],
    "langchain-classic": ["langchain-1"],
    "langchain-community": ["langchain-1"],
    "litellm": ["litellm"],
    "semantic-kernel": ["semantic-kernel"],
}


def filled(text: str) -> str:
    """The document with the recipes and versions of now."""
    return TABLE.sub(lambda found: found[1] + _table(), BLOCK.sub(_recipe, text))


def shown(text: str) -> list[str]:
    """The recipes that it shows."""
    return [name for _, name in BLOCK.findall(text)]


def _recipe(found: re.Match[str]) -> str:
    path = RECIPES / found[2]
    return f"{found[1]}```{LANGUAGES[path.suffix]}\n{path.read_text().rstrip()}\n```\n"


def _table() -> str:
    rows = [
        f"| {package} | PyPI | {', '.join(_pinned(package, name) for name in names)} |"
        for package, names in PYTHON.items()
    ]
    node = json.loads(NODE.read_text())["dependencies"].values()
    rows.append(f"| openai | npm | {', '.join(sorted(version.rpartition('@')[2] for version in node))} |")
    return "\n".join(["| package | from | tested |", "|---|---|---|", *rows, ""])


def _pinned(package: str, environment: str) -> str:
    pins = (environments.FOLDER / f"{environment}.txt").read_text()
    found = re.search(rf"^{package}==(\S+)", pins, re.MULTILINE)
    assert found, f"{environment} does not pin {package}"
    return found[1]


if __name__ == "__main__":
    DOCUMENT.write_text(filled(DOCUMENT.read_text()))
