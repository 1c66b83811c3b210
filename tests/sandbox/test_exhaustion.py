"""Code that takes too much is stopped in time, with a sentence; and then the thread's next call has a session."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from runs.sandbox.outputs import Ended
from runs.sandbox.sessions import Sandbox, Session
from runs.sandbox.watching import Background, Use, use_of
from tests.sandbox.conftest import SMALL, Run, put, ran
from tests.support.processes import eventually

pytestmark = pytest.mark.sandbox

GONE = " Its variables and files are gone."


@pytest_asyncio.fixture
async def patient(needs_sandbox: None) -> AsyncIterator[Session]:
    """A session of code that listens when its time is over, and may be late with that on a busy machine."""
    made = Sandbox(limits=replace(SMALL, grace=60.0), maximum=1, idle=600, spare=False)
    yield await made.session(key="patient")
    await made.close()


async def next_call_works(sandbox: Sandbox) -> bool:
    session = await sandbox.session(key="thread_1")
    return (await ran(session, "2 + 3")).logs == "5\n"


@pytest.mark.parametrize("code", ["while True: pass", "import time; time.sleep(1000)"])
async def test_an_endless_loop(patient: Session, code: str) -> None:
    await ran(patient, "x = 1")
    done = await ran(patient, code, seconds=0.3)
    assert done.ended == Ended("timeout", "The code was stopped: it may take 0.3 seconds.")
    assert (await ran(patient, "x")).logs == "1\n"  # the session goes on


@pytest.mark.parametrize(
    "code",
    [
        "import time\nwhile True:\n  try: time.sleep(1000)\n  except BaseException: pass",
        "import signal; signal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True: pass",
        "sum(range(10**12))",
    ],
)
async def test_an_endless_loop_that_does_not_listen(run: Run, session: Session, sandbox: Sandbox, code: str) -> None:
    done = await run(code, seconds=0.3)
    assert done.ended == Ended("timeout", "The code was stopped: it may take 0.3 seconds." + GONE)
    assert not session.is_alive
    assert await next_call_works(sandbox)


async def test_what_the_code_started_is_stopped_with_it(patient: Session) -> None:
    before = len(patient._inmates.processes())
    code = "import os\nfor n in range(3):\n  if not os.fork():\n    os.setsid()\n    break\nwhile True: pass"
    assert (await ran(patient, code, seconds=0.3)).ended.how == "timeout"
    assert patient.is_alive
    assert eventually(lambda: len(patient._inmates.processes()) == before)


async def test_a_fork_bomb(run: Run, session: Session, sandbox: Sandbox) -> None:
    code = "import os, time\nwhile True:\n  try: os.fork()\n  except OSError: time.sleep(0.01)"
    counts = []

    async def count() -> None:
        while session.is_alive:
            counts.append(len(session._inmates.processes()))
            await asyncio.sleep(0.05)

    counting = asyncio.create_task(count())
    done = await run(code, seconds=1)
    await session.close()
    await counting
    assert done.ended.how in ("timeout", "killed", "memory")
    assert SMALL.processes / 2 < max(counts) <= SMALL.processes + 8
    assert await next_call_works(sandbox)


async def test_ten_gigabytes_at_once(run: Run) -> None:
    done = await run("x = bytearray(10 * 2**30)")
    assert done.ended == Ended("memory", "The code was stopped: it may use 160 MB of memory.")
    assert (await run("2 + 3")).logs == "5\n"


@pytest.mark.parametrize(
    "code",
    [
        "parts = []\nwhile True: parts.append(bytearray(2**22))",
        "import os\nfor n in range(8):\n  if not os.fork(): break\n"
        "parts = []\nwhile True: parts.append(bytearray(2**20))",
        "import mmap\nparts = [mmap.mmap(-1, 2**24, flags=mmap.MAP_PRIVATE) for n in range(40)]\n"
        "for part in parts:\n  for at in range(0, 2**24, 4096): part[at] = 1\nwhile True: pass",
    ],
    ids=["a process", "children", "mappings"],
)
async def test_memory_that_grows(run: Run, session: Session, sandbox: Sandbox, code: str) -> None:
    done = await run(code, seconds=20)
    assert done.ended == Ended("memory", "The code was stopped: it may use 160 MB of memory." + GONE)
    assert not session.is_alive
    assert await next_call_works(sandbox)


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.memfd_create('a')",
        "import mmap; mmap.mmap(-1, 4096)",
        "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"
        "if libc.shmget(0, 2**30, 0o1600) < 0: raise OSError(ctypes.get_errno())",
    ],
)
async def test_memory_that_nobody_would_count_cannot_be_had(run: Run, code: str) -> None:
    assert "Error" in (await run(code)).ended.message


async def test_endless_output_from_python(run: Run) -> None:
    done = await run("while True: print('x' * 100)")
    assert done.ended == Ended("output", "The code was stopped: it may print 0.0625 MB.")
    assert len(done.logs) <= SMALL.output
    assert (await run("2 + 3")).logs == "5\n"


async def test_endless_output_past_python(run: Run, sandbox: Sandbox) -> None:
    done = await run("import os\nwhile True: os.write(1, b'x' * 1000)")
    assert done.ended == Ended("output", "The code was stopped: it may print 0.0625 MB." + GONE)
    assert len(done.logs) <= 4 * SMALL.output
    assert await next_call_works(sandbox)


@pytest.mark.parametrize(
    "code",
    [
        "import threading\ndef work():\n  while True: pass\nthreading.Thread(target=work, daemon=True).start()",
        "import os, time\nif not os.fork():\n  while True:\n"
        "    while time.process_time() < 0.03: pass\n    if os.fork(): os._exit(0)",
    ],
    ids=["a thread", "processes that come and go"],
)
async def test_what_goes_on_after_the_end_is_ended(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr("runs.sandbox.sessions.LOOK", 0.05)
    session = await sandbox.session(key="busy")
    assert (await ran(session, code)).ended.how == "ok"
    async with asyncio.timeout(60):
        while session.is_alive:
            await asyncio.sleep(0.02)
    assert await next_call_works(sandbox)


async def test_what_is_used_is_not_looked_at_by_the_thread_of_all_runs(
    run: Run, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = set()

    def looked(root: int, *, exact_above: int) -> Use:
        looks.add(threading.current_thread())
        return use_of(root, exact_above=exact_above)

    monkeypatch.setattr("runs.sandbox.process.use_of", looked)
    await run("import time; time.sleep(0.1)")
    await put(session, "a", b"1")
    assert not await session.uses_too_much()
    assert looks
    assert threading.current_thread() not in looks


def test_processes_that_come_and_go_count_as_if_they_had_worked_all_the_time() -> None:
    background = Background()
    for at, processor in enumerate(
        (
            {(1, 0): 7.0, (2, 0): 1.0},
            {(1, 0): 7.25, (2, 0): 1.0},
            {(1, 0): 7.25, (3, 0): 0.1},  # a new one, which may be the last of many
            {(1, 0): 7.25, (3, 1): 1.5},  # one with many threads, and an old number
        )
    ):
        background.note(Use(0, processor, float(at)))
    assert background.processor == 0.25 + 1 + 1.5


async def test_every_process_is_gone_with_the_session(run: Run, session: Session) -> None:
    code = "import os, time\nfor n in range(5):\n  if not os.fork():\n    os.setsid(); time.sleep(1000)"
    assert (await run(code)).ended.how == "ok"
    processes = session._inmates.processes()
    assert len(processes) >= 8
    await session.close()
    assert eventually(lambda: not [number for number in processes if _runs(number)])


async def test_the_kernels_group_is_gone_with_the_session(session: Session) -> None:
    cgroup = session._inmates._cgroup
    if cgroup is None:
        pytest.skip("no cgroup can be made here")
    assert all(folder.exists() for folder in cgroup.folders)
    await session.close()
    assert not any(folder.exists() for folder in cgroup.folders)


async def test_memory_is_bounded_without_cgroups_too(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs.sandbox.cgroups.make", lambda limits: None)
    session = await sandbox.session(key="alone")
    assert not session._inmates.is_bounded_by_kernel
    done = await ran(session, "parts = []\nwhile True: parts.append(bytearray(2**22))")
    assert done.ended.how == "memory"


async def test_what_is_in_sockets_is_bounded_without_cgroups_too(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.sandbox.cgroups.make", lambda limits: None)
    session = await sandbox.session(key="alone")
    code = (
        "import os, socket, time\nfor n in range(16):\n  if not os.fork(): break\n"
        "ends = [end for n in range(27) for end in socket.socketpair()]\n"
        "for end in ends:\n  end.setblocking(False)\n  try:\n    while True: end.send(bytes(2**14))\n"
        "  except BlockingIOError: pass\n"
        "time.sleep(10)"
    )
    assert (await ran(session, code)).ended.how == "memory"
    session = await sandbox.session(key="alone")
    assert (await ran(session, "import asyncio, socket\nasyncio.run(asyncio.sleep(0, 'slept'))")).logs == "'slept'\n"
    done = await ran(session, "socket.socketpair()[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**22)")
    assert done.ended.message.startswith("PermissionError")


async def test_memory_is_bounded_by_the_kernel_where_nobody_watches(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await sandbox.session(key="unwatched")
    if not session._inmates.is_bounded_by_kernel:
        pytest.skip("no cgroup can be made here")
    monkeypatch.setattr("runs.sandbox.execution.WATCH", 1000)
    done = await ran(session, "parts = []\nwhile True: parts.append(bytearray(2**20))")
    assert done.ended == Ended("memory", "The code was stopped: it may use 160 MB of memory." + GONE)


def _runs(number: int) -> bool:
    """Whether it is there and no zombie, which somebody else has to look after."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
