"""What an engine's metrics say, and the door inside its server that asks everybody for the key."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from inference.adapters.base import Endpoint
from inference.engines import pulse, vllm
from inference.engines.circuit import Timing
from inference.engines.load import Load, parse_metrics, read_load
from tests.inference.conftest import Upstream

METRICS = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="tiny"} 2.0
vllm:num_requests_running{engine="1",model_name="tiny"} 1.0
vllm:num_requests_waiting{engine="0",model_name="tiny"} 5.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 4.0
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="tiny"} 0.5
vllm:request_success_total{engine="0",finished_reason="stop"} 7.0
vllm:request_success_total{engine="0",finished_reason="length"} 3.0
vllm:generation_tokens_total{engine="0"} 1.5e+03
vllm:prompt_tokens_total{engine="0"} 100.0
vllm:generation_tokens_created{engine="0"} 1.79e+09
process_cpu_seconds_total 12.5
"""


def test_the_engines_of_one_server_are_summed() -> None:
    load = parse_metrics(METRICS)
    assert load == Load(running=3, waiting=5, cache_usage=0.5, finished=10, tokens=1_600)
    assert not load.idle
    assert load.report() == {"running": 3, "waiting": 5, "cache_usage": 0.5}


def test_names_of_older_versions() -> None:
    load = parse_metrics("vllm:num_requests_running 0\nvllm:gpu_cache_usage_perc 0.1\n")
    assert load == Load(running=0, waiting=0, cache_usage=0.1, finished=0, tokens=0)
    assert load.idle


@pytest.mark.parametrize("text", ["", "<html>", "other_metric 3\n", "vllm:num_requests_running\n"])
def test_what_is_not_vllms(text: str) -> None:
    assert parse_metrics(text) is None


def test_absurd_values_count_as_nothing() -> None:
    load = parse_metrics(
        "vllm:num_requests_running -4\nvllm:num_requests_waiting NaN\nvllm:kv_cache_usage_perc 7.5\n"
        "vllm:generation_tokens_total 1e999\n"
    )
    assert load == Load(running=0, waiting=0, cache_usage=1.0, finished=0, tokens=0)


def test_absurdly_large_values_are_bounded() -> None:
    load = parse_metrics("vllm:num_requests_running 1e300\n" + "vllm:generation_tokens_total 1e308\n" * 2)
    assert load is not None
    assert (load.running, load.tokens) == (2**53, 2**53)


@pytest.mark.parametrize("number", ["-", "1e", "1.2.3", "e+-"])
async def test_what_is_no_number_says_nothing(upstream: Upstream, number: str) -> None:
    upstream.metrics = f"vllm:num_requests_running {number}\n".encode()
    assert await read_load(upstream.endpoint()) is None
    upstream.metrics = b"vllm:num_requests_running 2\n"
    assert await read_load(upstream.endpoint()) == Load(2, 0, 0.0, 0, 0)


# whether somebody wants it


def a_load(running: int, finished: int, tokens: int = 0) -> Load:
    return Load(running=running, waiting=0, cache_usage=0.0, finished=finished, tokens=tokens)


@pytest.mark.parametrize(
    ("loads", "asked"),
    [
        ([a_load(0, 1)], False),
        ([a_load(1, 1)], True),
        ([a_load(0, 2)], True),
        ([a_load(0, 1), a_load(0, 1)], False),
    ],
)
async def test_our_own_canaries_are_nobodys_wish(
    monkeypatch: pytest.MonkeyPatch, loads: list[Load], asked: bool
) -> None:
    told = iter([a_load(0, 1), *loads])

    async def read(endpoint: Endpoint) -> Load:
        return next(told)

    async def token(endpoint: Endpoint) -> None:
        pass

    monkeypatch.setattr(pulse, "read_load", read)
    monkeypatch.setattr(pulse, "_token", token)
    endpoint = Endpoint(engine_id="", kind="vllm", base_url="http://127.0.0.1:1/v1", model="tiny")
    watched = pulse.Pulse(endpoint, lambda: "", lambda: 0.0, Timing())
    await watched.first_token()
    await watched.look()  # one request is done, and it was ours
    before = watched._asked_at
    for _ in loads:
        await watched.look()
    assert (watched._asked_at > before) is asked


async def test_a_canary_under_way_is_no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def read(endpoint: Endpoint) -> Load:
        return a_load(1 if begun.is_set() and not go_on.is_set() else 0, 0)

    async def token(endpoint: Endpoint) -> None:
        begun.set()
        await go_on.wait()

    monkeypatch.setattr(pulse, "read_load", read)
    monkeypatch.setattr(pulse, "_token", token)
    endpoint = Endpoint(engine_id="", kind="vllm", base_url="http://127.0.0.1:1/v1", model="tiny")
    watched = pulse.Pulse(endpoint, lambda: "", lambda: 0.0, Timing())
    await watched.look()
    before = watched._asked_at
    probe = asyncio.create_task(watched._canary(5.0))
    await begun.wait()
    await watched.look()
    assert watched._asked_at == before
    go_on.set()
    await probe


# the door


def make_door(monkeypatch: pytest.MonkeyPatch, key: str) -> Any:
    monkeypatch.setenv("VLLM_API_KEY", key)
    spec = importlib.util.spec_from_file_location("door", vllm.INSIDE / "sovereign_door.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "entered"})

    return module.Door(app)


async def enter(door: Any, path: str = "/metrics", kind: str = "http", *keys: str) -> dict[str, Any]:
    """The first thing that comes back."""
    said: list[dict[str, Any]] = []
    headers = [(b"authorization", f"Bearer {key}".encode()) for key in keys]

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    await door({"type": kind, "path": path, "headers": headers}, None, send)
    return said[0]


@pytest.mark.parametrize("path", ["/metrics", "/sleep", "/v1/models", "/invocations", "/collective_rpc", "/"])
async def test_no_path_opens_without_the_key(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    door = make_door(monkeypatch, "secret")
    assert (await enter(door, path))["status"] == 401
    assert (await enter(door, path, "http", "wrong"))["status"] == 401
    assert (await enter(door, path, "http", "secret", "secret"))["status"] == 401
    assert (await enter(door, path, "http", "secret"))["type"] == "entered"


async def test_health_says_no_more_than_that_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await enter(make_door(monkeypatch, "secret"), "/health"))["type"] == "entered"


async def test_sockets_and_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    door = make_door(monkeypatch, "secret")
    assert (await enter(door, "/v1/realtime", "websocket"))["type"] == "websocket.close"
    assert (await enter(door, "", "lifespan"))["type"] == "entered"


async def test_without_a_key_nobody_enters(monkeypatch: pytest.MonkeyPatch) -> None:
    door = make_door(monkeypatch, "")
    assert (await enter(door, "/metrics", "http", ""))["status"] == 401


def test_what_runs_inside_the_engine_stands_alone() -> None:
    folder = vllm.INSIDE
    assert [path.name for path in folder.glob("*.py")] == ["sovereign_door.py"], "it would hide packages of that name"
    assert "inference" not in Path(folder / "sovereign_door.py").read_text().split("import", 1)[1]
