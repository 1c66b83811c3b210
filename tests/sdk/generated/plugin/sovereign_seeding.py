"""A pytest plugin for the SDK's own test run: seeds before each test, and tells at the end how each went.

It runs in the client's environment, where nothing of the product can be imported: all it knows is the seeder's
address (``SEEDER_URL``), a key (``SERVER_API_KEY``) and where the outcomes go (``OUTCOMES_FILE``).
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest

TIMEOUT = 30.0  # seconds for one seeding

#: node id of a test -> what went wrong ("" where nothing did)
outcomes: dict[str, str] = {}


def state_for(test: str) -> str:
    """The state of the run that a test needs to find, by the test's name."""
    if "submit_tool_outputs" in test:
        return "requires_action"
    return "in_progress" if "cancel" in test else "completed"


def pytest_collection_finish() -> None:
    """The SDK's conftest writes a key into its code; the server asks for one of its own."""
    sys.modules["tests.conftest"].api_key = os.environ["SERVER_API_KEY"]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    request = urllib.request.Request(f"{os.environ['SEEDER_URL']}/{state_for(item.name)}", method="POST")
    with urllib.request.urlopen(request, timeout=TIMEOUT):
        pass


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    outcomes.update({item.nodeid: "deselected" for item in items})


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A test has passed where its set-up, itself and its end have."""
    outcomes.setdefault(report.nodeid, "")
    if not report.passed and not outcomes[report.nodeid]:
        outcomes[report.nodeid] = f"{report.outcome} in {report.when}: {_message(report)}"


def _message(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr)[:2000]


def pytest_sessionfinish() -> None:
    Path(os.environ["OUTCOMES_FILE"]).write_text(json.dumps(outcomes))
