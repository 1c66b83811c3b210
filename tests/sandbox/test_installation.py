"""The installation of the Python for code, with a stand-in for uv."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from runs.sandbox import installation, probing
from runs.sandbox.environment import interpreter
from runs.sandbox.installation import InterpreterNotInstalled, install
from sovereign.core import environments
from sovereign.core.environments import UvFailed
from sovereign.management import local_interpreter
from tests.inference.helpers import configured
from tests.support.processes import ROOT, eventually


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("runs.sandbox.bubblewrap.shutil.which", lambda name: f"/usr/bin/{name}")
    with configured(data_dir=tmp_path, interpreter="", base_dir=ROOT):
        yield tmp_path


@pytest.fixture
def uv(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> list[list[str]]:
    """The commands that uv was given; it makes the files that matter."""
    commands: list[list[str]] = []

    def run(command: list[str], tell: Callable[[str], None]) -> None:
        commands.append(command)
        if "venv" in command:
            folder = Path(command[-1])
            (folder / "bin").mkdir(parents=True)
            (folder / "bin" / "python").write_text('#!/bin/sh\ntouch "$MPLCONFIGDIR.made"\n')
            (folder / "bin" / "python").chmod(0o755)
            (folder / "share").mkdir()
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            (folder / "pyvenv.cfg").write_text(f"home = {sys.base_prefix}/bin\nversion_info = {version}.1\n")
        else:
            tell("Installed 14 packages")

    monkeypatch.setattr(installation, "uv", run)
    return commands


def test_it_is_made_once(uv: list[list[str]], data_dir: Path) -> None:
    assert interpreter() is None
    assert installation.is_wanted()
    lines: list[str] = []
    assert install(say=lines.append)
    assert not install()
    assert len(uv) == 2
    assert Path(uv[1][-1]).name == "interpreter.txt"
    assert lines == ["Making the Python for code.", "Installed 14 packages"]
    found = interpreter()
    assert found is not None
    assert found.folder == data_dir / "interpreter"
    assert (found.folder / "share" / "matplotlib.made").exists()  # the list of fonts was made
    assert not installation.is_wanted()
    assert installation.installation() is None


def test_other_pins_make_a_new_one(uv: list[list[str]], data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install()
    monkeypatch.setattr(installation, "digest", lambda path: "other")
    assert installation.is_wanted()
    assert install()


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("error: No space left on device (os error 28)", "the disk is full"),
        ("error: Failed to fetch: `https://registry/simple/numpy/`", "the package registry could not be reached"),
    ],
)
def test_what_went_wrong_is_one_sentence_which_the_probe_says_too(
    uv: list[list[str]], data_dir: Path, monkeypatch: pytest.MonkeyPatch, said: str, means: str
) -> None:
    def fail(*_: Any) -> None:
        raise UvFailed(said)

    monkeypatch.setattr(installation, "uv", fail)
    with pytest.raises(InterpreterNotInstalled) as caught:
        install()
    assert str(caught.value).startswith(f"The Python for code was not installed: {means} (details: ")
    assert probing.availability() == probing.Availability(False, str(caught.value))
    assert not list(data_dir.glob("interpreter.new-*"))


def test_a_full_disk_is_said_before(data_dir: Path, uv: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("usage", (), {"free": 5 * 10**8})()
    monkeypatch.setattr("runs.sandbox.installation.shutil.disk_usage", lambda path: usage)
    with pytest.raises(InterpreterNotInstalled, match=r"needs 1 GiB on disk, and .* has 0\.5 free"):
        install()
    assert uv == []


def test_the_command(uv: list[list[str]], data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    call_command("install_interpreter", stdout=out)
    call_command("install_interpreter", stdout=out)
    assert out.getvalue().endswith("The Python for code is installed.\nThe Python for code is already installed.\n")
    with configured(interpreter="/somewhere"):
        call_command("install_interpreter", stdout=out)
    assert "nothing to install" in out.getvalue()
    monkeypatch.setattr("runs.sandbox.bubblewrap.shutil.which", lambda name: None)
    call_command("install_interpreter", stdout=out)
    assert out.getvalue().endswith(f"{probing.NO_BUBBLEWRAP}\n")


def test_the_command_says_in_one_sentence_why_not(
    uv: list[list[str]], data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(folder: Path, run: Any) -> None:
        raise UvFailed("uv, which installs it, is missing: `pip install uv`")

    monkeypatch.setattr(environments, "make_environment", missing)
    with pytest.raises(CommandError, match="The Python for code was not installed: "):
        call_command("install_interpreter")


@pytest.mark.parametrize("wanted", ["none", "/somewhere"])
def test_nothing_is_installed_where_the_operator_decided(data_dir: Path, wanted: str) -> None:
    with configured(interpreter=wanted):
        assert not installation.is_wanted()


async def test_a_server_goes_on_without_it_and_installs_it_beside(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = data_dir / "manage.py"
    with configured(base_dir=data_dir):
        monkeypatch.setattr(local_interpreter.installation, "is_wanted", lambda: True)
        program.write_text("import pathlib, sys\npathlib.Path(__file__).with_name('asked').write_text(sys.argv[1])\n")
        await local_interpreter.install_where_missing()
        assert (data_dir / "asked").read_text() == "install_interpreter"
        program.write_text("raise SystemExit(1)")
        (data_dir / "interpreter-install.json").write_text(
            json.dumps({"state": "failed", "reason": "Why.", "since": 1})
        )
        await local_interpreter.install_where_missing()


async def test_the_installer_ends_with_the_server(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with configured(base_dir=data_dir):
        monkeypatch.setattr(local_interpreter.installation, "is_wanted", lambda: True)
        (data_dir / "manage.py").write_text(
            "import pathlib, os, time\npathlib.Path(__file__).with_name('pid').write_text(str(os.getpid()))\n"
            "time.sleep(600)\n"
        )
        installing = asyncio.create_task(local_interpreter.install_where_missing())
        await asyncio.to_thread(eventually, lambda: _text(data_dir / "pid"))
        installing.cancel()
        await asyncio.gather(installing, return_exceptions=True)
        assert not _lives(_text(data_dir / "pid"))


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _lives(process: str) -> bool:
    return Path("/proc", process).exists()
