"""In which process an engine without a GPU computes, and on how many cores."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from inference.engines import cores, vllm
from inference.engines.installation import engine_python
from inference.engines.options import Options
from inference.engines.versions import Build, read_build

CPU = Build(gpu=False, version=(0, 32))
FLAG = "--distributed-executor-backend"


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "cores", lambda: 2)
    monkeypatch.delenv(cores.BINDING, raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(vllm, "read_build", lambda python: CPU)
    model = tmp_path / "tiny"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"max_position_embeddings": 2048, "model_type": "llama"}))
    (model / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    (model / "model.safetensors").write_bytes(b"")
    return model


def plan(folder: Path, *extra: str) -> vllm.Launch:
    return vllm.plan(str(folder), python=Path("/env/bin/python"), extra=extra)


def test_on_few_cores_one_is_left_to_everything_else(folder: Path) -> None:
    launch = plan(folder)
    assert launch.command[launch.command.index(FLAG) + 1] == cores.ONE_PROCESS
    assert launch.environment["OMP_NUM_THREADS"] == "1"


def test_the_operators_own_number_of_threads_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert plan(folder).environment["OMP_NUM_THREADS"] == "2"


@pytest.mark.parametrize(("number", "threads"), [(1, "1"), (2, "1"), (4, "3"), (8, "7")])
def test_so_many_threads_compute(monkeypatch: pytest.MonkeyPatch, number: int, threads: str) -> None:
    monkeypatch.setattr(cores, "cores", lambda: number)
    assert cores.computes_in_one_process(CPU, Options([]))
    assert cores.threads_environment() == {"OMP_NUM_THREADS": threads}


def test_on_many_cores_vllm_binds_its_threads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "cores", lambda: 9)
    launch = plan(folder)
    assert FLAG not in launch.command
    assert "OMP_NUM_THREADS" not in launch.environment


@pytest.mark.parametrize(
    "given",
    [
        ["-tp", "2"],
        ["--pipeline_parallel_size=2"],
        ["--data-parallel-size", "2"],
        ["--nnodes", "2"],
        ["--config", "own.yaml"],
        [FLAG, "mp"],
    ],
)
def test_an_operator_who_spreads_the_work_is_not_overruled(given: list[str]) -> None:
    assert not cores.computes_in_one_process(CPU, Options(given))


def test_an_operator_who_binds_threads_is_not_overruled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cores.BINDING, "0-1")
    assert not cores.computes_in_one_process(CPU, Options([]))


@pytest.mark.parametrize("build", [Build(gpu=True), Build(gpu=False, has_one_process=False)])
def test_a_build_that_needs_or_knows_no_such_thing(build: Build) -> None:
    assert not cores.computes_in_one_process(build, Options([]))


def test_hyper_threads_of_one_core_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3, 4}, raising=False)
    monkeypatch.setattr(cores, "TOPOLOGY", tmp_path)
    for number, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):  # of the fifth nothing is known
        place = tmp_path / f"cpu{number}" / "topology"
        place.mkdir(parents=True)
        (place / "thread_siblings_list").write_text(siblings)
    assert cores.cores() == 3


@pytest.mark.skipif(engine_python() is None, reason="the engine is not installed: manage.py install_engine")
def test_the_installed_vllm_has_what_is_named() -> None:
    python = engine_python()
    assert python is not None
    assert read_build(python).has_one_process
    module, _, name = cores.ONE_PROCESS.rpartition(".")
    (file,) = python.parent.parent.glob(f"lib/python*/site-packages/{module.replace('.', '/')}.py")
    assert f"\nclass {name}(" in file.read_text()
