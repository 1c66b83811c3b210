"""Which session a thread gets, and when one ends."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from runs.sandbox import bubblewrap, probing
from runs.sandbox.cgroups import Cgroup
from runs.sandbox.environment import Interpreter
from runs.sandbox.environment import interpreter as installed
from runs.sandbox.outputs import SandboxUnavailable
from runs.sandbox.probing import Availability
from runs.sandbox.process import Inmates
from runs.sandbox.sessions import FULL, Sandbox, Session
from runs.sandbox.watching import tree
from tests.sandbox.conftest import SMALL, ran
from tests.support.processes import ROOT, eventually, interpreter

pytestmark = pytest.mark.sandbox


@pytest_asyncio.fixture
async def small(needs_sandbox: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    """Room for two."""
    monkeypatch.setattr("runs.sandbox.sessions.QUIET", 0.0)
    monkeypatch.setattr("runs.sandbox.sessions.LOOK", 0.02)
    made = Sandbox(limits=SMALL, maximum=2, idle=600, spare=False)
    yield made
    await made.close()


async def test_who_was_not_used_for_longest_makes_room(small: Sandbox) -> None:
    a, b = await small.session(key="a"), await small.session(key="b")
    await ran(a, "1")
    c = await small.session(key="c")
    assert (a.is_alive, b.is_alive, c.is_alive) == (True, False, True)
    assert await small.session(key="a") is a
    assert (await small.session(key="b")).fresh


async def test_who_runs_code_makes_no_room(small: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = [await small.session(key=key) for key in ("a", "b")]
    monkeypatch.setattr("runs.sandbox.sessions.PATIENCE", 0.3)
    running = [asyncio.create_task(ran(session, "while True: pass", seconds=60)) for session in sessions]
    await asyncio.sleep(0)
    with pytest.raises(SandboxUnavailable, match=FULL):
        await small.session(key="c")
    assert all(session.is_alive for session in sessions)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    monkeypatch.setattr("runs.sandbox.sessions.PATIENCE", 60.0)
    assert not any(session.is_alive for session in sessions)  # nothing is left of what was cancelled
    assert (await small.session(key="c")).fresh


async def test_who_comes_waits_until_there_is_room(small: Sandbox) -> None:
    first, _ = await small.session(key="a"), await small.session(key="b")
    running = asyncio.create_task(ran(first, "import time; time.sleep(0.2)"))
    second = asyncio.create_task(ran(await small.session(key="b"), "import time; time.sleep(0.2)"))
    await asyncio.sleep(0)
    assert (await small.session(key="c")).fresh
    assert (await running).ended.how == (await second).ended.how == "ok"


async def test_who_has_fewer_places_comes_first(small: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs.sandbox.sessions.QUIET", 600.0)
    busy = [await small.session(key=key, owner="many") for key in ("a", "b")]
    ending = asyncio.Event()
    running = [asyncio.create_task(_held(session, ending)) for session in busy]
    await asyncio.sleep(0)
    came = []

    async def come(key: str, owner: str) -> None:
        await small.session(key=key, owner=owner)
        came.append(key)

    waiting = [asyncio.create_task(come(key, "many")) for key in ("c", "d")]
    await asyncio.sleep(0.05)
    other = asyncio.create_task(come("e", "few"))
    await asyncio.sleep(0.05)
    assert came == []
    ending.set()
    await other
    assert came == ["e"]
    assert sorted(session.is_alive for session in busy) == [False, True]  # no more than a share is taken
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, *running, return_exceptions=True)


async def _held(session: Session, ending: asyncio.Event) -> None:
    """Use it until it is to end."""
    async with session._turn:
        await ending.wait()


async def test_idle_ones_end(needs_sandbox: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs.sandbox.sessions.LOOK", 0.02)
    sandbox = Sandbox(limits=SMALL, maximum=2, idle=0.2, spare=False)
    session = await sandbox.session(key="a")
    async with asyncio.timeout(60):
        while session.is_alive:
            await asyncio.sleep(0.02)
    assert (await ran(session, "1")).ended.how == "killed"
    with pytest.raises(SandboxUnavailable):
        await session.files()
    assert (await sandbox.session(key="a")).fresh
    await sandbox.close()


async def test_one_that_cannot_be_looked_after_does_not_keep_the_others(
    needs_sandbox: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.sandbox.sessions.LOOK", 0.02)
    sandbox = Sandbox(limits=replace(SMALL, idle_processor=60), maximum=2, idle=0.2, spare=False)
    odd, other = await sandbox.session(key="a"), await sandbox.session(key="b")

    async def fails() -> None:
        raise RuntimeError

    monkeypatch.setattr(odd, "close", fails)
    async with asyncio.timeout(60):
        while other.is_alive:
            await asyncio.sleep(0.02)
    assert sandbox._keeping is not None
    assert not sandbox._keeping.done()
    monkeypatch.undo()
    await sandbox.close()
    await odd.close()


async def test_one_that_is_ended_while_somebody_waits_for_it_leaves_nothing(small: Sandbox) -> None:
    session = await small.session(key="a")
    await ran(session, "import inside.files, time\ninside.files.listed = lambda: time.sleep(1000)")
    waiting = asyncio.create_task(session.files())
    await asyncio.sleep(0.05)
    await session.close()
    with pytest.raises(SandboxUnavailable):
        await waiting
    running = asyncio.create_task(ran(session := await small.session(key="a"), "while True: pass"))
    await asyncio.sleep(0.05)
    await session.close()
    assert (await running).ended.how == "killed"
    cgroup = session._inmates._cgroup
    assert not any(folder.exists() for folder in (cgroup.folders if cgroup else ()))
    assert session._inmates.printed.take() == ""


async def test_who_is_cancelled_while_it_starts_keeps_nobody_waiting(
    needs_sandbox: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    removing = []

    async def cancelled(*_: object) -> None:
        raise asyncio.CancelledError

    def remove(_: Cgroup) -> None:
        removing.append(threading.current_thread())

    monkeypatch.setattr("runs.sandbox.cgroups.make", lambda limits: Cgroup((), True))
    monkeypatch.setattr(Cgroup, "remove", remove)
    monkeypatch.setattr(Inmates, "_spawned", cancelled)
    environment = installed()
    assert environment is not None
    with pytest.raises(asyncio.CancelledError):
        await Inmates.start(environment, SMALL)
    assert len(removing) == 1
    assert threading.current_thread() not in removing


async def test_two_who_come_at_once_for_one_thread_get_one_session(small: Sandbox) -> None:
    a, b = await asyncio.gather(small.session(key="a"), small.session(key="a"))
    assert a is b


async def test_one_thing_is_done_after_the_other(small: Sandbox) -> None:
    session = await small.session(key="a")
    await ran(session, "found = []")
    await asyncio.gather(*(ran(session, f"found.append({n})") for n in range(5)))
    assert (await ran(session, "found")).logs == "[0, 1, 2, 3, 4]\n"


async def test_nothing_is_started_where_the_probe_failed(small: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    async def failed() -> Availability:
        return Availability(False, "The sandbox does not hold.")

    monkeypatch.setattr(probing, "probe", failed)
    with pytest.raises(SandboxUnavailable, match=r"The sandbox does not hold\."):
        await small.session(key="a")


async def test_everything_ends_with_the_sandbox(small: Sandbox) -> None:
    sessions = [await small.session(key=key) for key in ("a", "b")]
    await small.close()
    assert not any(session.is_alive for session in sessions)
    await small.close()


async def test_one_is_started_ahead(needs_sandbox: None, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = Sandbox(limits=SMALL, maximum=3, idle=600)
    first = await sandbox.session(key="a")
    assert sandbox._spare is not None
    spare = sandbox._spare._starting
    assert spare is not None
    inmates = await spare
    second = await sandbox.session(key="b")
    assert second._inmates is inmates
    assert second.fresh
    assert sandbox._spare._starting is not None
    await sandbox._spare._starting
    assert (await ran(second, "'first' in globals()")).logs == "False\n"
    await sandbox.close()
    assert (first.is_alive, second.is_alive) == (False, False)
    assert sandbox._spare._starting is None


async def test_one_that_died_or_is_of_another_environment_is_not_used(needs_sandbox: None) -> None:
    sandbox = Sandbox(limits=SMALL, maximum=3, idle=600)
    await sandbox.session(key="a")
    assert sandbox._spare is not None
    assert sandbox._spare._starting is not None
    dead = await sandbox._spare._starting
    await dead.end()
    assert (await sandbox.session(key="b"))._inmates.is_alive
    assert sandbox._spare._starting is not None
    old, sandbox._spare._of = await sandbox._spare._starting, None
    assert (await sandbox.session(key="c"))._inmates is not old
    assert not old.is_alive
    await sandbox.close()


async def test_none_is_kept_ahead_where_nobody_runs_code(needs_sandbox: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs.sandbox.sessions.LOOK", 0.02)
    sandbox = Sandbox(limits=SMALL, maximum=3, idle=0.1)
    await sandbox.session(key="a")
    assert sandbox._spare is not None
    async with asyncio.timeout(60):
        while sandbox._spare._starting is not None:
            await asyncio.sleep(0.02)
    await sandbox.close()


WORKER = """
import asyncio, django
django.setup()
from runs.sandbox.sessions import Sandbox

async def main():
    session = await Sandbox().session(key="a")
    code = "import os, time\\nfor n in range(3):\\n  if not os.fork(): os.setsid(); time.sleep(1000)"
    async for _ in session.run(code, seconds=20): pass
    print(*session._inmates.processes(), flush=True)
    async for _ in session.run("while True: pass", seconds=600): pass

asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="root can be an ordinary user, and others are")
def test_an_ordinary_user_may_run_code_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the system's own Python: that of the tests may lie where only root can read."""
    system = Path("/usr/bin/python3").resolve()
    if bubblewrap.program() is None or not system.exists():
        pytest.skip("bubblewrap or the system's own Python is not installed")
    folder = Path(tempfile.mkdtemp(prefix="sovereign-"))
    folder.chmod(0o755)
    try:
        (folder / "lib" / system.name / "site-packages").mkdir(parents=True)
        shutil.copytree(bubblewrap.INSIDE, folder / "inside", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(bubblewrap.LAUNCHER, folder / "launcher.py")
        monkeypatch.setattr(bubblewrap, "INSIDE", folder / "inside")
        monkeypatch.setattr(bubblewrap, "LAUNCHER", folder / "launcher.py")
        environment = Interpreter(folder, Path("/usr"), system.name.removeprefix("python"))
        command = bubblewrap.command(environment, SMALL, [])
        started = subprocess.run(
            [str(system), *command[1:]],
            user=12345,
            group=12345,
            extra_groups=[],
            cwd="/",
            env={},
            input=b"",
            capture_output=True,
        )
    finally:
        shutil.rmtree(folder)
    assert (started.stdout[5:], started.returncode) == (b'{"ready": true}', 0), started.stderr


def test_everything_ends_with_a_worker_that_is_killed(needs_sandbox: None, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "sovereign.settings",
        "SOVEREIGN_DATA_DIR": str(tmp_path),
        "SOVEREIGN_INTERPRETER": interpreter(),
    }
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert worker.stdout is not None
        inmates = [int(number) for number in worker.stdout.readline().split()]
        assert len(inmates) >= 6
        assert set(inmates) <= set(tree(worker.pid))
        worker.send_signal(signal.SIGKILL)
        worker.wait(60)
        eventually(lambda: not any(map(_runs, inmates)))
    finally:
        worker.kill()
        worker.wait()
        worker.stdout.close()


def _runs(process: int) -> bool:
    """Whether it is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
