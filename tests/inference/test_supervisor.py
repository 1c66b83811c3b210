"""The supervisor with real processes: an engine that is started, adopted, killed, hung and ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from inference import gateway
from inference.chat import InferenceError
from inference.engines.installation import EngineCannotRun
from inference.engines.process import Slot
from inference.engines.start import Wanted, supervise
from inference.engines.status import engine_status
from inference.engines.supervisor import Supervisor
from inference.models import Engine, RegisteredModel
from runs.management.commands.vllm_worker import Command
from tests.inference.conftest import collect, in_database, request_for, until
from tests.inference.helpers import configured
from tests.inference.supervising import TIMING, command_line, dead, engine_with, launch, members, server_pid, supervised
from tests.inference.supervising import control as control  # fixtures
from tests.inference.supervising import data_dir as data_dir
from tests.inference.tiny_model import make_model

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

ROOT = Path(__file__).resolve().parents[2]


async def test_it_starts_serves_and_ends_with_an_orderly_stop(data_dir: Path, control: Callable[..., Path]) -> None:
    async with supervised(control()) as supervisor:
        engine = await engine_with(state="ready")
        assert [(entry["id"], entry["context_length"]) for entry in engine.served] == [("fake", 77)]
        found = await in_database(gateway.availability, "gpt-4o")
        assert (found.ready, found.capabilities.continuation) == (True, True)
        text, _, _ = await collect(gateway.stream(request_for(model="gpt-4o")))
        assert text == f"I am {server_pid(supervisor.slot.folder)}"
        pids = members(supervisor.slot.folder)
        assert len(pids) == 2
    assert dead(pids)
    assert not await in_database(Engine.objects.exists)
    assert await in_database(RegisteredModel.objects.filter(name="fake").exists), "the name stays known"


async def test_the_key_is_neither_on_the_command_line_nor_readable_in_the_row(
    data_dir: Path, control: Callable[..., Path]
) -> None:
    async with supervised(control()) as supervisor:
        engine = await engine_with(state="ready")
        key = engine.key()
        assert len(key) > 30
        assert key not in engine.sealed_key
        assert all(key.encode() not in command_line(pid) for pid in members(supervisor.slot.folder))
        assert all(key not in path.read_text() for path in supervisor.slot.folder.glob("*.json"))


async def test_a_killed_engine_is_told_and_started_again(data_dir: Path, control: Callable[..., Path]) -> None:
    async with supervised(control()) as supervisor:
        await engine_with(state="ready")
        first = members(supervisor.slot.folder)
        call = gateway.stream(request_for("wait", model="fake"))
        await anext(call)
        os.kill(server_pid(supervisor.slot.folder), signal.SIGKILL)
        with pytest.raises(InferenceError):
            async with asyncio.timeout(60):
                await collect(call)
        down = await engine_with(state="down")
        assert down.reason.startswith("It was killed by signal 9, as the system does where memory runs out. Next")
        await engine_with(state="ready")
        assert dead(first), "the child of the killed server too"


async def test_a_killed_guard_leaves_nothing_behind(data_dir: Path, control: Callable[..., Path]) -> None:
    async with supervised(control()) as supervisor:
        await engine_with(state="ready")
        first = members(supervisor.slot.folder)
        os.kill(json.loads((supervisor.slot.folder / "guard.json").read_text())["pid"], signal.SIGKILL)
        await until(lambda: dead(first))
        await until(lambda: len(members(supervisor.slot.folder)) == 2)
        await engine_with(state="ready")


@pytest.mark.parametrize("how", ["stopped", "mute"])
async def test_a_hung_engine_is_ended_and_started_again(data_dir: Path, control: Callable[..., Path], how: str) -> None:
    async with supervised(control()) as supervisor:
        await engine_with(state="ready")
        first = members(supervisor.slot.folder)
        if how == "stopped":
            os.kill(server_pid(supervisor.slot.folder), signal.SIGSTOP)
        else:
            control(mode="mute")
        down = await engine_with(state="down")
        assert down.reason.startswith("It stopped producing tokens.")
        control(mode="ok")
        await engine_with(state="ready")
        assert dead(first)


async def test_an_engine_that_computes_for_long_is_left_alone(data_dir: Path, control: Callable[..., Path]) -> None:
    async with supervised(control(), replace(TIMING, canary=1.0)) as supervisor:
        engine = await engine_with(state="ready")
        first = members(supervisor.slot.folder)
        control(mode="slow")
        before = engine.last_token_at
        await until(lambda: in_database(lambda: Engine.objects.get().last_token_at != before))
        assert members(supervisor.slot.folder) == first


async def test_what_the_log_says_is_told(data_dir: Path, control: Callable[..., Path]) -> None:
    async with supervised(control(mode="crash", say="torch.OutOfMemoryError: CUDA out of memory.")):
        engine = await engine_with(state="down")
        assert engine.reason.startswith("It ran out of memory. Next try in")
        assert "It ran out of memory" in (await in_database(gateway.availability, "fake")).reason


async def test_a_circuit_opens_after_failures_in_short_order(data_dir: Path, control: Callable[..., Path]) -> None:
    async with supervised(control(mode="crash")) as supervisor:
        engine = await engine_with(reason__contains="failed 3 times")
        assert engine.state == "down"
        assert engine.reason == "It ended with status 3. It failed 3 times in short order. Next try in 60 s."
        assert not supervisor.process.alive()


async def test_an_address_of_another_machine_is_told_at_once(data_dir: Path, tmp_path: Path) -> None:
    wanted = Wanted(model=str(make_model(tmp_path / "tiny")), advertise="192.0.2.77")
    with (
        configured(data_dir=data_dir, engine_python=sys.executable),
        pytest.raises(EngineCannotRun, match=r"This machine cannot listen on 192\.0\.2\.77"),
    ):
        await supervise(wanted, stop=asyncio.Event())
    assert (await engine_with(state="down")).reason.startswith("This machine cannot listen on")


async def test_a_row_that_was_deleted_comes_back(data_dir: Path, control: Callable[..., Path]) -> None:
    async with supervised(control()):
        engine = await engine_with(state="ready")
        await in_database(engine.delete)
        await engine_with(state="ready")
        assert (await collect(gateway.stream(request_for(model="fake"))))[0].startswith("I am")


async def test_two_supervisors_of_a_model_have_a_slot_each(data_dir: Path) -> None:
    first, second = Slot.take("fake"), Slot.take("fake")
    assert first.folder != second.folder
    assert first.supervisor_id != second.supervisor_id
    first.release()
    again = Slot.take("fake")
    assert again.folder == first.folder
    second.release()
    again.release()


# the supervisor as a process of its own


def database_url() -> str:
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{values['NAME']}"
    return (
        f"postgres://{values['USER']}:{values['PASSWORD']}@{values['HOST']}:{values['PORT'] or 5432}/{values['NAME']}"
    )


def start_supervisor(data_dir: Path, control: Path, url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.inference.supervise_fake", str(control)],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": url,
            "SOVEREIGN_DATA_DIR": str(data_dir),
            "SOVEREIGN_SECRET_KEY": settings.SECRET_KEY,
        },
    )


def end(process: subprocess.Popen[bytes], number: int) -> None:
    process.send_signal(number)
    process.wait(60)


async def test_a_killed_supervisor_is_replaced_and_adopts_the_loaded_engine(
    data_dir: Path, control: Callable[..., Path]
) -> None:
    first = start_supervisor(data_dir, control(), database_url())
    try:
        engine = await engine_with(state="ready")
        slot = next((data_dir / "engines").iterdir())
        pids = members(slot)
    finally:
        end(first, signal.SIGKILL)
    assert (await collect(gateway.stream(request_for(model="fake"))))[0].startswith("I am"), (
        "it serves without a supervisor"
    )
    beat = (await in_database(Engine.objects.get)).heartbeat_at  # the last one of the first supervisor
    second = start_supervisor(data_dir, control(), database_url())
    try:
        adopted = await engine_with(heartbeat_at__gt=beat)
        assert (adopted.id, adopted.state) == (engine.id, "ready")
        assert members(slot) == pids
    finally:
        end(second, signal.SIGTERM)
        await gateway.close()
    assert dead(pids), "the adopted engine ends with an orderly stop"


async def test_an_engine_that_nobody_adopts_is_ended(data_dir: Path, control: Callable[..., Path]) -> None:
    short = replace(TIMING, adoption=4, heartbeat=0.1)
    async with supervised(control(), short) as supervisor:
        await engine_with(state="ready")
        pids = members(supervisor.slot.folder)
        supervisor.process.beat = lambda: None  # type: ignore[method-assign]  # as if it were dead
        await until(lambda: dead(pids))
        assert "guard: no supervisor for 4 s" in supervisor.process.log_file.read_text()


async def test_an_engine_with_other_options_is_not_adopted(data_dir: Path, control: Callable[..., Path]) -> None:
    first = start_supervisor(data_dir, control(), database_url())
    try:
        engine = await engine_with(state="ready")
        slot = next((data_dir / "engines").iterdir())
        pids = members(slot)
    finally:
        end(first, signal.SIGKILL)
    (control().parent / "config.json").write_text("{}")  # the model's files changed
    async with supervised(control()):
        await engine_with(state="ready", id__gt=engine.id)
        assert dead(pids)


# the command's side


def test_what_the_command_passes_on() -> None:
    parser = Command().create_parser("manage.py", "vllm_worker")
    flags = ["-tp", "2", "--max_model_len=4k", "-O3", "--lora-modules", "a=/x", "b=/y", "--no-enable-prefix-caching"]
    options = parser.parse_args(["--model", "m", "--sleep-after", "60", "--memory-share", "0.5", "--", *flags])
    assert options.vllm == flags
    assert (options.model, options.sleep_after, options.memory_share, options.advertise) == ("m", 60.0, 0.5, "")
    assert parser.parse_args([]).vllm == []


async def test_a_missing_engine_is_told_at_once(data_dir: Path, tmp_path: Path) -> None:
    with (
        configured(data_dir=data_dir, engine_python=""),
        pytest.raises(EngineCannotRun, match="The engine is not installed"),
    ):
        await supervise(Wanted(model=str(make_model(tmp_path / "tiny"))), stop=asyncio.Event())
    status = await in_database(engine_status)
    assert [(engine["name"], engine["state"], engine["reason"]) for engine in status] == [
        ("tiny", "down", "The engine is not installed: run `manage.py install_engine`.")
    ]


async def test_a_missing_folder_and_a_missing_python_are_told(data_dir: Path, tmp_path: Path) -> None:
    with (
        configured(data_dir=data_dir, engine_python=sys.executable),
        pytest.raises(EngineCannotRun, match="no model folder"),
    ):
        await supervise(Wanted(model=str(tmp_path / "none")), stop=asyncio.Event())
    with (
        configured(data_dir=data_dir, engine_python="/nowhere/python"),
        pytest.raises(EngineCannotRun, match="does not exist"),
    ):
        await supervise(Wanted(model=str(make_model(tmp_path / "tiny"))), stop=asyncio.Event())


async def test_a_stop_before_anything_began_starts_nothing(data_dir: Path, control: Callable[..., Path]) -> None:
    stop = asyncio.Event()
    stop.set()
    slot = Slot.take("fake")
    with contextlib.closing(slot._lock):
        await Supervisor(launch(control()), slot, TIMING).run(stop)
    assert not (slot.folder / "engine.json").exists()
    assert not await in_database(Engine.objects.exists)
