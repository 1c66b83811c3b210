"""A supervised engine fails in every way while runs use it and wait for it, at the product's own pace."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from assistants import services as assistants
from inference import gateway
from inference.engines.circuit import Timing
from inference.engines.process import Slot
from inference.engines.supervisor import Supervisor
from inference.models import Engine
from runs.models import Run
from runs.services import creation
from sovereign.accounts.principals import Principal
from tests.inference.conftest import in_database, until
from tests.inference.supervising import control as control  # fixtures
from tests.inference.supervising import data_dir as data_dir
from tests.inference.supervising import engine_with, launch, server_pid
from tests.runs.conftest import principal as principal
from tests.runs.support import age_run, types_of, working
from tests.support.processes import PATIENCE
from threads import services as threads

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

FAST = Timing(heartbeat=0.1, poll=0.05, loading_probe=0.05, first_retry=0.05, last_retry=0.1)


@asynccontextmanager
async def house(control: Path, timing: Timing) -> AsyncIterator[Supervisor]:
    """A supervised engine, and a worker."""
    stop, slot = asyncio.Event(), Slot.take("fake")
    supervisor = Supervisor(launch(control), slot, timing)
    task = asyncio.create_task(supervisor.run(stop))
    try:
        async with working():
            yield supervisor
    finally:
        stop.set()
        await task
        slot.release()
        await gateway.close()


def begin(principal: Principal, text: str) -> Run:
    assistant = assistants.create_assistant(principal=principal, model="fake")
    thread = threads.create_thread(principal=principal, messages=[{"role": "user", "content": text}])
    return creation.create_run(principal=principal, thread_id=thread.id, assistant_id=assistant.id).run


async def run_with(run: Run, *states: str) -> Run:
    found: Run = await until(
        lambda: in_database(lambda: Run.objects.filter(pk=run.pk, status__in=states).first()), seconds=PATIENCE
    )
    return found


async def answering(principal: Principal) -> Run:
    """A run of which a piece has been said, and which is held there."""
    run = await in_database(begin, principal, "wait")
    await until(lambda: in_database(lambda: "thread.message.delta" in types_of(run.pk)), seconds=PATIENCE)
    return run


async def failure_of(run: Run) -> str:
    ended = await run_with(run, "completed", "failed", "incomplete", "expired")
    assert ended.status == "failed"
    assert ended.last_error["code"] == "server_error"
    return str(ended.last_error["message"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cut", "The engine closed the connection in the middle of the answer."),
        ("garbage", "The engine sent an answer that is not in OpenAI's format."),
        ("error", "The engine answered with status 500: EngineCore encountered an issue"),
    ],
)
async def test_an_answer_that_breaks_ends_its_run_and_no_other(
    data_dir: Path, control: Callable[..., Path], principal: Principal, text: str, message: str
) -> None:
    async with house(control(), Timing()):
        await engine_with(state="ready")
        run = await in_database(begin, principal, text)
        assert await failure_of(run) == message
        after = await in_database(begin, principal, "Hello")
        assert (await run_with(after, "completed", "failed")).status == "completed"


@pytest.mark.parametrize("fault", ["killed", "hung"])
async def test_runs_on_an_engine_that_fails_are_told_and_others_wait_for_the_next_one(
    data_dir: Path, control: Callable[..., Path], principal: Principal, fault: str
) -> None:
    """With the seconds that the product has."""
    async with house(control(), Timing()) as supervisor:
        engine = await engine_with(state="ready")
        run = await answering(principal)
        control(mode="loading", say="Starting to load model")  # what the next one does
        number = signal.SIGKILL if fault == "killed" else signal.SIGSTOP
        os.kill(server_pid(supervisor.slot.folder), number)
        message = await failure_of(run)
        assert message in (
            "The engine closed the connection in the middle of the answer.",
            "The engine failed: It was killed by signal 9, as the system does where memory runs out.",
            "The engine failed: It stopped producing tokens.",
        )
        await engine_with(pk=engine.pk, state="loading", reason="Loading the weights.")
        waiting = await in_database(begin, principal, "Hello")
        beat = (await in_database(Engine.objects.get)).heartbeat_at
        await engine_with(heartbeat_at__gt=beat)
        assert (await in_database(Run.objects.get, pk=waiting.pk)).status in ("queued", "in_progress")
        control(mode="ok")
        assert (await run_with(waiting, "completed", "failed")).status == "completed"


async def test_back_off_and_then_the_circuit(
    data_dir: Path, control: Callable[..., Path], principal: Principal
) -> None:
    """Who waits is told why, where waiting has an end."""
    timing = replace(FAST, first_retry=0.5, last_retry=30, window=600)
    async with house(control(mode="crash", say="torch.OutOfMemoryError: CUDA out of memory."), timing):
        for seconds in (2, 4):  # after the third and the fourth failure; the waits before are too short to be seen
            await engine_with(state="down", reason=f"It ran out of memory. Next try in {seconds} s.")
        opened = await engine_with(reason__contains="failed 5 times")
        assert opened.reason == "It ran out of memory. It failed 5 times in short order. Next try in 600 s."
        run = await in_database(begin, principal, "Hello")
        await until(
            lambda: in_database(Run.objects.filter(pk=run.pk).exclude(waiting_reason="").exists), seconds=PATIENCE
        )
        await in_database(age_run, run.pk)
        ended = await run_with(run, "expired", "failed")
        assert "It ran out of memory" in ended.last_error["message"]
