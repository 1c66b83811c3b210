"""The official SDK's generated tests, of three major versions, against a server of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sdk.environments import python_of
from tests.sdk.generated.sources import FOLDER, folder_of, sources
from tests.support.fixtures import started
from tests.support.processes import Process, Stack, Upstream

pytestmark = pytest.mark.sdk

PLACE = "tests/api_resources/"
FILES = [
    "beta/test_assistants.py",
    "beta/test_threads.py",
    "beta/threads/test_messages.py",
    "beta/threads/test_runs.py",
    "beta/threads/runs/test_steps.py",
    "test_vector_stores.py",
    "vector_stores/test_files.py",  # not those of batches: they send neither list of files, or both
]
COLLECTED = 840  # tests in these files, the same in all versions
OF_THE_SDK_ALONE = "_method_in_sync"  # in the names of tests that ask no server, which some versions have
MODES = ["loose", "strict", "aiohttp"]  # how answers are validated; the third is strict, over another HTTP client
FLOOR = 0.9  # of a mode's tests pass
TIMEOUT = 300.0  # seconds for a version; it takes a dozen


@dataclass(frozen=True, slots=True)
class Seeded:
    """A server without a worker, and the process that makes the rows the tests ask for."""

    stack: Stack
    seeder_url: str


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Seeded]:
    stack = started(Stack(tmp_path_factory.mktemp("generated"), engine_url=upstream.url))
    try:
        stack.prepare()
        stack.serve()
        command = [sys.executable, "-m", "tests.sdk.generated.seeder"]
        seeder = Process("seeder", command, stack.environment, stack.folder / "seeder.log")
        stack.processes.append(seeder)
        yield Seeded(stack, f"http://127.0.0.1:{seeder.line('')}")
    finally:
        stack.destroy()


@pytest.mark.parametrize("environment", [source.environment for source in sources()])
def test_the_sdks_own_tests_pass(environment: str, seeded: Seeded, tmp_path: Path) -> None:
    outcomes, output = run_tests(environment, seeded, tmp_path)
    assert len(outcomes) == COLLECTED, output[-3000:]

    expected = listed_failures()
    failed = {test: why for test, why in outcomes.items() if why}
    unlisted = {test: why for test, why in failed.items() if not is_listed(expected, test, why)}
    assert not unlisted, f"fail, and not as expected.toml says: {json.dumps(unlisted, indent=1)[:6000]}"
    passed = [test for test, why in outcomes.items() if not why]
    assert not [test for test in passed if short(test) in expected], "pass: take them out of expected.toml"
    assert not expected.keys() - {short(test) for test in outcomes}, "are in expected.toml, and nowhere else"

    of_mode, passed_of_mode = (Counter(mode_of(test) for test in tests) for tests in (outcomes, passed))
    shares = {mode: passed_of_mode[mode] / of_mode[mode] for mode in MODES}
    print(environment, {mode: f"{passed_of_mode[mode]} of {of_mode[mode]}" for mode in MODES})
    assert set(of_mode) == set(MODES)
    assert min(shares.values()) >= FLOOR, shares


def run_tests(environment: str, seeded: Seeded, folder: Path) -> tuple[dict[str, str], str]:
    """Run them in the client's environment: what went wrong in each ("" for nothing), and what pytest wrote."""
    source, python = folder_of(environment), python_of(environment)
    outcomes = folder / "outcomes.json"
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PYTEST_"))},
        "PYTHONPATH": str(FOLDER / "plugin"),
        "TEST_API_BASE_URL": f"{seeded.stack.url}/v1",
        "SERVER_API_KEY": seeded.stack.api_key,
        "SEEDER_URL": seeded.seeder_url,
        "OUTCOMES_FILE": str(outcomes),
    }
    # the SDK's own settings, but for its options: they want several processes, and the rows here are there once
    settings = ["-c", "pyproject.toml", "--rootdir", ".", "--confcutdir", ".", "-o", "addopts="]
    plugins = ["-p", "sovereign_seeding", "-p", "no:cacheprovider"]
    command = [str(python), "-m", "pytest", "-q", "--tb=native", *settings, *plugins, *(PLACE + file for file in FILES)]
    done = subprocess.run(
        command, cwd=source, env=variables, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    output = done.stdout + done.stderr
    assert outcomes.exists(), output[-6000:]
    told: dict[str, str] = json.loads(outcomes.read_text())
    return {test: why for test, why in told.items() if OF_THE_SDK_ALONE not in test}, output


def listed_failures() -> dict[str, str]:
    """``expected.toml`` as ``{test[mode]: what its failure says}``."""
    listed = tomllib.loads((FOLDER / "expected.toml").read_text())["failing"]
    assert all(entry["reason"] for entry in listed)
    return {
        f"{test}[{mode}]": entry["says"]
        for entry in listed
        for test in entry["tests"]
        for mode in entry.get("modes", MODES)
    }


def is_listed(expected: dict[str, str], node: str, why: str) -> bool:
    """Whether the list holds this failure, for this reason."""
    return short(node) in expected and expected[short(node)] in why


def short(node: str) -> str:
    """``…/FILE::Test(Async)Class::test[mode]`` without its class and ``beta/``, as the list has it."""
    file, _, test = node.removeprefix(PLACE).removeprefix("beta/").split("::")
    return f"{file}::{test}"


def mode_of(node: str) -> str:
    return node.partition("[")[2].removesuffix("]")
