"""Fixtures of the rings that start real processes, loaded as a plugin by ``tests/conftest.py``."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Process, Stack, Upstream

POSTGRES = "TEST_POSTGRES_URL"
REDIS = "TEST_REDIS_URL"
REQUIRED = "SOVEREIGN_REQUIRE_ALL_RINGS"  # "1" in .ci/run: a ring that cannot run is a failure there

RINGS = [
    pytest.param("sqlite", id="sqlite"),
    pytest.param("postgres", id="postgres", marks=[pytest.mark.postgres, pytest.mark.redis]),
]

_stacks: list[Stack] = []


def skip_ring(reason: str) -> None:
    """Leave a ring out, or fail where all of them are required."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{reason}, and {REQUIRED}=1 allows no ring to be left out")
    pytest.skip(reason)


def clients(every: Collection[str], newest: Collection[str]) -> list[Any]:
    """Clients to parametrize a test with: all of them on SQLite, the newest on Postgres with Redis too.

    What an old client sends and reads is the same, whatever database is behind it; the newest ones prove that.
    """
    return [pytest.param(name, marks=[] if name in newest else [pytest.mark.sqlite_only]) for name in every]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database-only", action="store_true", help="leave out what would be the same on any database")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep ``sqlite_only`` from the other ring; both are parameters, so pytest has made each with each."""
    kept, left = [], []
    for item in items:
        elsewhere = item.get_closest_marker("sqlite_only") and item.get_closest_marker("postgres")
        elsewhere = elsewhere or (config.getoption("--database-only") and not _uses_database(item))
        (left if elsewhere else kept).append(item)
    items[:] = kept
    if left:
        config.hook.pytest_deselected(items=left)


def _uses_database(item: pytest.Item) -> bool:
    fixtures = {"db", "transactional_db", "django_db_setup"}
    return item.get_closest_marker("django_db") is not None or not fixtures.isdisjoint(
        getattr(item, "fixturenames", ())
    )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
    """Show what the processes wrote with a test that failed."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for stack in _stacks:
            if any(stack in (value, getattr(value, "stack", None)) for value in getattr(item, "funcargs", {}).values()):
                report.sections.extend(stack.reports())


def started(stack: Stack) -> Stack:
    """Have its logs shown with failures."""
    _stacks.append(stack)
    return stack


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """An engine that cannot continue a cut answer; its model is ``fake``."""
    engine = Upstream(tmp_path_factory.mktemp("upstream"))
    yield engine
    engine.process.destroy()


@pytest.fixture(scope="session")
def continuing_upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """An engine that continues a cut answer as vLLM does; its model is ``continuing``."""
    engine = Upstream(tmp_path_factory.mktemp("upstream"), model="continuing", owner="vllm")
    yield engine
    engine.process.destroy()


def services_of(ring: str) -> dict[str, str]:
    """The addresses a ring needs; skips (or fails) where they are not given."""
    if ring == "sqlite":
        return {}
    missing = [name for name in (POSTGRES, REDIS) if not os.environ.get(name)]
    if missing:
        skip_ring(f"{' and '.join(missing)} not set")
    return {"postgres_url": os.environ[POSTGRES], "redis_url": os.environ[REDIS]}


@pytest.fixture(scope="session", params=RINGS)
def stack(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    upstream: Upstream,
    continuing_upstream: Upstream,
) -> Iterator[Stack]:
    """A prepared installation, on SQLite and on Postgres with Redis; ``cluster`` starts its processes."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    made = started(Stack(folder, engine_url=upstream.url, **services_of(request.param)))
    try:
        made.prepare(engines={continuing_upstream.model: continuing_upstream.url})
        yield made
    finally:
        made.destroy()
        _stacks.remove(made)


class Cluster:
    """An API process and two workers, as they run when grown up. What a test killed is there again for the next."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.api: Process | None = None
        self.workers: list[Process] = []

    def heal(self) -> None:
        self.workers = [worker for worker in self.workers if worker.alive]
        fresh = [self.stack.start("run_worker", "--drain", "1") for _ in range(2 - len(self.workers))]
        if self.api is None or not self.api.alive:
            self.api = self.stack.serve()
        for worker in fresh:
            self.stack.await_log(worker, "worker_started")
        self.workers += fresh

    def worker_of(self, run: str) -> Process:
        """The worker that holds a run's lease."""
        [(owner,)] = self.stack.database.rows("SELECT lease_owner FROM runs_run WHERE id = ?", run)
        assert owner, f"nobody holds {run}"
        return next(worker for worker in self.workers if f"-{worker.pid}-" in owner)


@pytest.fixture(scope="session")
def session_cluster(stack: Stack) -> Cluster:
    return Cluster(stack)


@pytest.fixture
def cluster(session_cluster: Cluster) -> Cluster:
    """The API and two workers, all alive."""
    session_cluster.heal()
    return session_cluster


def serving(folder: Path, upstream: Upstream, ring: str) -> Iterator[Stack]:
    """``manage.py up`` on a fresh database behind the scripted upstream: .url .user .password .api_key."""
    made = started(Stack(folder, engine_url=upstream.url, **services_of(ring)))
    try:
        made.await_log(made.up(), "engine_ready")  # until then its models are unknown
        yield made
    finally:
        made.destroy()
        _stacks.remove(made)


@pytest.fixture(scope="session")
def live_server_process(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Stack]:
    """The default: one process and SQLite."""
    yield from serving(tmp_path_factory.mktemp("up"), upstream, "sqlite")


@pytest.fixture(scope="session", params=RINGS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, upstream: Upstream
) -> Iterator[Stack]:
    """``manage.py up`` on SQLite (the same as ``live_server_process``), and on Postgres with Redis."""
    if request.param == "sqlite":
        yield request.getfixturevalue("live_server_process")
    else:
        yield from serving(tmp_path_factory.mktemp("up"), upstream, request.param)
