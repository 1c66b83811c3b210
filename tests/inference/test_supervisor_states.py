"""What a supervised engine tells while it loads, works, sleeps and leaves; with a fake engine in a real process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from django.db import DatabaseError

from inference import gateway, services
from inference.chat import Delta, InferenceError
from inference.engines import vllm
from inference.engines.memory import Memory
from inference.engines.supervisor import IN_TURN
from inference.models import Engine
from tests.inference.conftest import collect, in_database, request_for, until
from tests.inference.supervising import TIMING, engine_with, launch, members, server_pid, supervised
from tests.inference.supervising import control as control  # fixtures
from tests.inference.supervising import data_dir as data_dir

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]


async def test_how_far_loading_is_stands_in_the_row(data_dir: Path, control: Callable[..., Path]) -> None:
    said = "Loading safetensors checkpoint shards:  75% Completed | 3/4 [00:09<00:03]"
    async with supervised(control(mode="loading", say=said)):
        await engine_with(state="loading", reason="Loading the weights (75 %).")
        control(mode="ok")
        await engine_with(state="ready", reason="")


async def test_an_engine_that_stops_while_it_loads_is_started_again(
    data_dir: Path, control: Callable[..., Path]
) -> None:
    async with supervised(control(mode="loading"), replace(TIMING, stuck=6.0)) as supervisor:
        await until(lambda: server_started(supervisor.slot.folder))
        os.kill(server_pid(supervisor.slot.folder), signal.SIGSTOP)
        down = await engine_with(state="down")
        assert down.reason.startswith("It stopped while it was loading. Next try in")
        control(mode="ok")
        await engine_with(state="ready")


async def test_load_and_latency_stand_in_the_row(data_dir: Path, control: Callable[..., Path]) -> None:
    async with supervised(control()):
        await engine_with(state="ready", running=0, waiting=0, cache_usage=0.25, latency_ms__isnull=False)
        call = gateway.stream(request_for("wait", model="fake"))
        await anext(call)
        await engine_with(state="ready", running=1)
        control(mode="ok", hold=False)
        await collect(call)
        await engine_with(state="ready", running=0)


async def test_a_model_that_cannot_chat_is_told_and_never_ready(data_dir: Path, control: Callable[..., Path]) -> None:
    async with supervised(control(mode="untemplated")):
        down = await engine_with(state="down")
        assert down.reason.startswith("The model has no chat template: give one with --chat-template. Next try in")


async def test_an_engine_of_vectors_is_asked_for_one(data_dir: Path, control: Callable[..., Path]) -> None:
    vectors = replace(launch(control(mode="vectors")), makes_vectors=True, abilities=vllm.MAKES_VECTORS)
    async with supervised(vectors):
        engine = await engine_with(state="ready")
        assert engine.abilities("fake").embeddings
        assert not engine.abilities("fake").chat


async def test_models_load_onto_a_gpu_one_after_the_other(data_dir: Path, control: Callable[..., Path]) -> None:
    on_gpu = replace(launch(control(mode="loading")), memory=Memory(gpu=True, given=True))
    async with supervised(on_gpu) as first:
        await until(lambda: server_started(first.slot.folder))
        async with supervised(on_gpu) as second:
            waits = await engine_with(state="loading", reason=IN_TURN)
            assert not second.process.alive()
            control(mode="ok")
            await engine_with(pk=waits.pk, state="ready")
            assert await in_database(Engine.objects.filter(state="ready").count) == 2


def server_started(slot: Path) -> bool:
    return (slot / "guard.json").exists()


# addresses


async def test_it_listens_where_others_can_reach_it(data_dir: Path, control: Callable[..., Path]) -> None:
    async with supervised(replace(launch(control()), host="localhost")):
        engine = await engine_with(state="ready")
        assert engine.base_url.startswith("http://localhost:")
        assert (await collect(gateway.stream(request_for(model="fake"))))[0].startswith("I am")


# sleep


async def test_it_sleeps_when_nobody_asks_and_wakes_when_somebody_does(
    data_dir: Path, control: Callable[..., Path]
) -> None:
    async with supervised(replace(launch(control()), sleep_after=0.5)) as supervisor:
        asleep = await engine_with(state="asleep")
        assert asleep.reason == "It sleeps until it is wanted."
        first = members(supervisor.slot.folder)
        with pytest.raises(InferenceError):
            await collect(gateway.stream(request_for(model="fake")))
        await engine_with(state="ready")
        assert (await until(answered)).startswith("I am")
        assert members(supervisor.slot.folder) == first, "the same processes"
        await engine_with(state="asleep")


async def answered() -> str | None:
    """What it says, if it is awake: it may have fallen asleep again before anybody asks, which wakes it once more."""
    with contextlib.suppress(InferenceError):
        return (await collect(gateway.stream(request_for(model="fake"))))[0]
    return None


async def begun() -> AsyncIterator[Delta] | None:
    """An answer that is held behind its beginning, if it is awake."""
    call = gateway.stream(request_for("wait", model="fake"))
    with contextlib.suppress(InferenceError):
        await anext(call)
        return call
    return None


async def test_requests_keep_it_awake(data_dir: Path, control: Callable[..., Path]) -> None:
    async with supervised(replace(launch(control()), sleep_after=0.3)):
        await engine_with(state="ready")
        call = await until(begun)
        beat = (await engine_with(running=1)).heartbeat_at
        for _ in range(10):
            engine = await engine_with(heartbeat_at__gt=beat)
            beat = engine.heartbeat_at
            assert engine.state == "ready"
        control(mode="ok", hold=False)
        await collect(call)
        await engine_with(state="asleep")


async def test_an_engine_that_cannot_sleep_is_told(data_dir: Path, control: Callable[..., Path]) -> None:
    async with supervised(replace(launch(control(mode="ok", sleeping=500)), sleep_after=0.3)):
        down = await engine_with(state="down")
        assert down.reason.startswith("It could not be put to sleep. Next try in")


# an orderly stop


async def test_answers_of_others_end_before_the_engine_does(data_dir: Path, control: Callable[..., Path]) -> None:
    async def let_go() -> Engine:
        told = await engine_with(state="down", reason="It is being stopped.")
        control(mode="ok", hold=False)
        return told

    async with supervised(control(), replace(TIMING, drain=60)):
        await engine_with(state="ready")
        call = gateway.stream(request_for("wait", model="fake"))
        await anext(call)
        answer, leaving = asyncio.create_task(collect(call)), asyncio.create_task(let_go())
    assert (await answer)[1] is not None, "finished, and not cut"
    assert (await leaving).running == 0, "nobody is sent to it"


async def test_whoever_leaves_sends_others_elsewhere_if_there_is_an_elsewhere(
    data_dir: Path, control: Callable[..., Path]
) -> None:
    draining = asyncio.Event()
    async with supervised(control(), draining=draining):
        first = await engine_with(state="ready")
        draining.set()
        beat = (await in_database(Engine.objects.get)).heartbeat_at
        assert (await engine_with(heartbeat_at__gt=beat)).state == "ready", "there is no other one"
        async with supervised(control()):
            await engine_with(pk=first.pk, state="down", reason="It is being stopped.")
            assert (await collect(gateway.stream(request_for(model="fake"))))[0].startswith("I am")


# heartbeats


async def test_a_heartbeat_that_fails_is_followed_by_others(
    data_dir: Path, control: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever went wrong: without one the guard would end an engine that works."""
    failures = iter([DatabaseError("away"), OSError("full"), RuntimeError("odd")])
    real = services.report_engine

    def fail_at_first(**report: object) -> bool:
        if (failure := next(failures, None)) is not None:
            raise failure
        return bool(real(**report))  # type: ignore[arg-type]

    monkeypatch.setattr(services, "report_engine", fail_at_first)
    async with supervised(control()):
        await engine_with(state="ready")
        assert next(failures, None) is None
