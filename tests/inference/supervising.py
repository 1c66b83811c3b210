"""What tests of the supervisor share: a fake engine as a real process, and looks at it and at its row."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from inference import gateway
from inference.engines import guard, vllm
from inference.engines.circuit import Timing
from inference.engines.process import Slot
from inference.engines.supervisor import Supervisor
from inference.models import Engine
from tests.inference.conftest import in_database, until
from tests.inference.helpers import configured

FAKE = Path(__file__).with_name("fake_engine.py")
TIMING = Timing(
    adoption=120,  # longer than the next supervisor takes to begin, on any machine
    heartbeat=0.1,
    poll=0.05,
    loading_probe=0.05,
    quiet=0.5,
    canary=3.0,
    busy=20,
    drain=2,
    first_retry=2.0,  # so long a row says why its engine is down, for who looks
    last_retry=2.0,
    failures=3,
    window=60,
)


def launch(control: Path) -> vllm.Launch:
    return vllm.Launch(
        name="fake",
        source=str(control.parent),
        command=(sys.executable, str(FAKE), "--control", str(control)),
        environment=dict(os.environ),
        context_length=64,
    )


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory of its own; whatever a failed test left running there is ended."""
    with configured(data_dir=tmp_path / "data"):
        yield tmp_path / "data"
    for record in (tmp_path / "data").glob("engines/*/engine.json"):
        pid = json.loads(record.read_text())["guard"]["pid"]
        guard.send(pid, signal.SIGKILL)
        guard.end_session(pid, grace=0.1)


@pytest.fixture
def control(tmp_path: Path) -> Callable[..., Path]:
    """``control(mode=…)`` tells the fake engine what to do."""
    path = tmp_path / "model" / "control"
    path.parent.mkdir()

    def tell(**what: Any) -> Path:
        path.write_text(json.dumps(what))
        return path

    tell(mode="ok")
    return tell


@asynccontextmanager
async def supervised(
    what: Path | vllm.Launch, timing: Timing = TIMING, draining: asyncio.Event | None = None
) -> AsyncIterator[Supervisor]:
    """``what``: the fake engine's control file, or a whole plan."""
    stop = asyncio.Event()
    slot = Slot.take("fake")
    supervisor = Supervisor(what if isinstance(what, vllm.Launch) else launch(what), slot, timing, draining)
    task = asyncio.create_task(supervisor.run(stop))
    try:
        yield supervisor
    finally:
        stop.set()
        await task
        slot.release()
        await gateway.close()


async def engine_with(**wanted: Any) -> Engine:
    def look() -> Engine | None:
        return Engine.objects.filter(**wanted).first()

    found: Engine = await until(lambda: in_database(look), seconds=90)
    return found


def members(slot: Path) -> list[int]:
    """The engine's processes: the server and its child."""
    record = slot / "engine.json"
    return guard.session_members(json.loads(record.read_text())["guard"]["pid"]) if record.exists() else []


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def server_pid(slot: Path) -> int:
    pid: int = json.loads((slot / "guard.json").read_text())["engine"]
    return pid


def dead(pids: list[int]) -> bool:
    return all(guard.start_time(pid) is None for pid in pids)
