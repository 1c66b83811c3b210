"""The installation of the engine's own environment, with a stand-in for uv."""

from __future__ import annotations

import asyncio
import fcntl
import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from inference.engines import installer
from inference.engines.installation import EngineCannotRun, engine_python, installation, read_stamp, report, status_file
from sovereign.core import environments
from sovereign.core.environments import UvFailed
from tests.inference.conftest import Upstream, plain
from tests.inference.helpers import configured


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "data"
    folder.mkdir()
    with configured(data_dir=folder, engine_python="", ollama_host="http://127.0.0.1:9"):
        yield folder


@pytest.fixture
def uv(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> list[list[str]]:
    """The commands that uv was given; it makes the files that matter."""
    commands: list[list[str]] = []

    def run(command: list[str], variant: str, tell: Callable[[str], None]) -> None:
        commands.append(command)
        if "venv" in command:
            (Path(command[-1]) / "bin").mkdir(parents=True)
            (Path(command[-1]) / "bin" / "python").touch()
        else:
            python = Path(command[command.index("--python") + 1])
            server = python.parent.parent / "lib" / "python3.11" / "site-packages" / installer.API_SERVER
            server.parent.mkdir(parents=True)
            server.touch()
            tell("Installed 147 packages")

    monkeypatch.setattr(installer, "uv", run)
    monkeypatch.setattr(installer, "detected_variant", lambda: "cpu")
    return commands


def test_the_second_call_is_instant(uv: list[list[str]], data_dir: Path) -> None:
    assert installer.install()
    assert len(uv) == 2
    assert not installer.install()
    assert len(uv) == 2
    assert engine_python() == data_dir / "engine" / "bin" / "python"


def test_bytecode_is_compiled_and_the_pins_of_the_variant_are_used(uv: list[list[str]], data_dir: Path) -> None:
    installer.install(variant="gpu")
    assert "--compile-bytecode" in uv[1]
    assert Path(uv[1][-1]).name == "engine-gpu.txt"
    assert not installer.is_current("cpu")
    assert installer.is_current("gpu")


def test_other_pins_make_a_new_environment(
    uv: list[list[str]], data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installer.install()
    monkeypatch.setattr(installer, "pins_hash", lambda variant: "other")
    assert not installer.is_current("cpu")
    assert installer.install()


def test_a_folder_made_by_hand_is_no_engine_and_is_replaced(uv: list[list[str]], data_dir: Path) -> None:
    (data_dir / "engine" / "bin").mkdir(parents=True)
    (data_dir / "engine" / "bin" / "python").touch()
    assert engine_python() is None
    assert installer.install()
    assert read_stamp(data_dir / "engine") is not None
    assert not list(data_dir.glob("engine.new-*"))


def test_a_folder_that_a_process_runs_from_is_left_alone(uv: list[list[str]], data_dir: Path) -> None:
    program = data_dir / "engine" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(program), "60"])
    deadline = time.monotonic() + 60
    while environments.process_in(data_dir / "engine") is None and time.monotonic() < deadline:
        pass  # the kernel shows the command line a moment after the program was loaded
    try:
        with pytest.raises(EngineCannotRun, match=f"process {process.pid} still runs from it"):
            installer.install()
    finally:
        process.kill()
        process.wait()
    assert program.exists()


def test_an_interrupted_installation_is_repeated(
    uv: list[list[str]], data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = installer.uv

    def interrupted(command: list[str], variant: Any, tell: Any) -> None:
        working(command, variant, tell)
        if "sync" in command:
            raise KeyboardInterrupt

    monkeypatch.setattr(installer, "uv", interrupted)
    with pytest.raises(KeyboardInterrupt):
        installer.install()
    assert engine_python() is None
    monkeypatch.setattr(installer, "uv", working)
    assert installer.install()
    assert not list(data_dir.glob("engine.new-*"))


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("error: No space left on device (os error 28)", "the disk is full"),
        ("error: Failed to fetch: `https://registry/simple/vllm/`", "the package registry could not be reached"),
        ("error: No solution found when resolving dependencies", "a pinned package was not found"),
        ("error: No interpreter found for Python 3.11", "there is no Python 3.11"),
        ("something odd", "uv said: something odd"),
    ],
)
def test_what_went_wrong_is_one_sentence(
    uv: list[list[str]], data_dir: Path, monkeypatch: pytest.MonkeyPatch, said: str, means: str
) -> None:
    def fail(*_: Any) -> None:
        raise UvFailed(said)

    monkeypatch.setattr(installer, "uv", fail)
    with pytest.raises(EngineCannotRun) as caught:
        installer.install()
    assert str(caught.value).startswith(f"No engine was installed: {means} (details: ")
    assert "SOVEREIGN_ENGINE_URL" in str(caught.value)
    status = installation()
    assert status is not None
    assert (status["state"], status["reason"]) == ("failed", str(caught.value))


def test_pytorchs_own_place_is_tried_where_its_cpu_wheel_is_missing(
    uv: list[list[str]], data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = installer.uv

    def without_wheel(command: list[str], variant: Any, tell: Any) -> None:
        if "sync" in command and "--torch-backend" not in command:
            raise UvFailed("there is no version of torch==2.13.0+cpu")
        working(command, variant, tell)

    monkeypatch.setattr(installer, "uv", without_wheel)
    assert installer.install()
    assert uv[-1][-3:-1] == ["--torch-backend", "cpu"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("platform.machine", "aarch64", "Linux on x86-64"),
        ("sys.platform", "darwin", "Linux on x86-64"),
        ("_cpu_flags", frozenset({"sse"}), "AVX2"),
        ("shutil.disk_usage", (1, 1, 1024**3), "4 GiB on disk"),
    ],
)
def test_a_machine_that_cannot_run_it(
    uv: list[list[str]], data_dir: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: Any, words: str
) -> None:
    if name == "shutil.disk_usage":
        value = type("usage", (), {"free": value[2]})()
    replacement = (lambda *_: value) if not isinstance(value, str) or "machine" in name else value
    monkeypatch.setattr(f"inference.engines.installer.{name}", replacement)
    with pytest.raises(EngineCannotRun, match=words):
        installer.install()
    assert uv == []


async def test_a_found_ollama_is_offered(data_dir: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    upstream.answers(plain(200, b'{"version": "0.9"}'))
    address = f"http://127.0.0.1:{upstream.port}"
    with configured(ollama_host=address.removeprefix("http://")):
        error = await asyncio.to_thread(installer.cannot_run, "why")
    assert str(error).endswith(f"the Ollama at {address} is used.")
    monkeypatch.setattr(installer, "OLLAMA_DEFAULT", address)
    with configured(ollama_host=""):
        error = await asyncio.to_thread(installer.cannot_run, "why")
    assert f"an Ollama answers here, so OLLAMA_HOST={address} would use it" in str(error)


@pytest.mark.parametrize("host", ["http://127.0.0.1:9", "file:///etc/passwd", "nonsense://x", "gpu:port"])
def test_no_ollama(host: str) -> None:
    with configured(ollama_host=host):
        assert installer.find_ollama() is None


def test_a_second_installation_waits_for_the_first(uv: list[list[str]], data_dir: Path) -> None:
    with (data_dir / "engine-install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = threading.Thread(target=installer.install)
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        assert uv == []
    waiting.join(60)
    assert not waiting.is_alive()
    assert installer.is_current("cpu")


def test_progress_is_visible_to_other_processes(data_dir: Path) -> None:
    report("installing", "Resolved 147 packages in 1s")
    status = installation()
    assert status is not None
    assert (status["state"], status["reason"]) == ("installing", "Resolved 147 packages in 1s")
    since = status["since"]
    report("installing", "Installed 147 packages")
    assert json.loads(status_file().read_text())["since"] == since
    report("installed", "")
    assert installation() is None


def test_an_installation_whose_process_died_was_interrupted(data_dir: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    status_file().write_text(
        json.dumps({"state": "installing", "pid": process.pid, "since": time.time(), "reason": "x"})
    )
    status = installation()
    assert status is not None
    assert (status["state"], status["reason"]) == ("failed", "The installation of the engine was interrupted.")


def test_pips_settings_are_handed_on_to_uv() -> None:
    environment = {"PIP_FIND_LINKS": "/a /b", "PIP_INDEX_URL": "i", "PIP_EXTRA_INDEX_URL": "x y", "VIRTUAL_ENV": "/v"}
    result = environments.uv_environment(environment)
    assert result["UV_FIND_LINKS"] == "/a,/b"
    assert result["UV_DEFAULT_INDEX"] == "i"
    assert result["UV_EXTRA_INDEX_URL"] == "x y"
    assert "VIRTUAL_ENV" not in result


def test_uvs_own_settings_win_and_a_gpu_gets_no_wheels_of_the_cpu() -> None:
    assert environments.uv_environment({"PIP_FIND_LINKS": "/a", "UV_FIND_LINKS": "/u"})["UV_FIND_LINKS"] == "/u"
    assert "UV_FIND_LINKS" not in environments.uv_environment({"PIP_FIND_LINKS": "/a"}, wheels=False)


def test_a_gpu_is_found_by_asking_its_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert installer.detected_variant() == "cpu"
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H200'\n")
    program.chmod(0o755)
    assert installer.detected_variant() == "gpu"
    program.write_text("#!/bin/sh\necho 'no devices were found'\nexit 6\n")
    assert installer.detected_variant() == "cpu"


def test_uvs_output_is_told_line_by_line(data_dir: Path) -> None:
    lines: list[str] = []

    def call(code: str) -> None:
        environments.call([sys.executable, "-c", code], folder=data_dir, environment={}, tell=lines.append)

    call("print('Resolved 3'); print(' + numpy==1')")
    assert lines == ["Resolved 3"]
    with pytest.raises(UvFailed, match="boom"):
        call("raise SystemExit('boom')")


def test_the_command(uv: list[list[str]], data_dir: Path) -> None:
    out = io.StringIO()
    call_command("install_engine", stdout=out)
    call_command("install_engine", "--variant", "cpu", stdout=out)
    assert out.getvalue().endswith("The engine is installed.\nThe engine is already installed.\n")
    with configured(engine_python="/somewhere/python"):
        call_command("install_engine", stdout=out)
    assert "nothing to install" in out.getvalue()


def test_the_command_says_in_one_sentence_why_not(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.engines.installer.platform.machine", lambda: "aarch64")
    with pytest.raises(CommandError, match="No engine was installed: vLLM's builds are for Linux"):
        call_command("install_engine", "--variant", "cpu")
