"""Code is run only where a sandbox was seen to work and to hold."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from runs.sandbox import bubblewrap, probes, probing
from runs.sandbox.environment import Interpreter, described, interpreter
from runs.sandbox.outputs import SandboxUnavailable
from runs.sandbox.sessions import Sandbox
from tests.inference.helpers import configured


@pytest.fixture(autouse=True)
def unprobed() -> Iterator[None]:
    probing.forget()
    yield
    probing.forget()


@pytest.mark.sandbox
async def test_a_sound_sandbox_is_usable_and_tried_once(needs_sandbox: None, monkeypatch: pytest.MonkeyPatch) -> None:
    tried, calls = probing._tried, []

    async def counted(environment: Interpreter) -> probing.Availability:
        calls.append(environment)
        return await tried(environment)

    monkeypatch.setattr(probing, "_tried", counted)
    assert probing.availability() == probing.Availability(True)
    found = await asyncio.gather(probing.probe(), probing.probe())
    assert found == [probing.Availability(True)] * 2
    assert len(calls) == 1


def without(*words: str) -> Callable[[], list[str]]:
    """The walls without some words of theirs."""
    walls = bubblewrap._walls

    def weakened() -> list[str]:
        return [word for word in walls() if word not in words]

    return weakened


def with_more(*words: str) -> Callable[[], list[str]]:
    walls = bubblewrap._walls

    def weakened() -> list[str]:
        made = walls()
        place = made.index("--remount-ro")
        return [*made[:place], *words, *made[place:]]

    return weakened


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("walls", "filtered", "failure"),
    [
        (with_more("--share-net"), False, "no_network"),
        (with_more("--ro-bind", "/etc", "/etc"), True, "no_host_files"),
        (with_more("--setenv", "SOVEREIGN_SECRET_KEY", "x"), True, "no_secrets"),
        (with_more("--proc", "/proc"), True, "no_host_processes"),
        (without("--disable-userns"), False, "no_namespaces"),
        (with_more("--tmpfs", "/usr/lib/python3"), True, ""),
    ],
    ids=["network", "files", "environment", "processes", "namespaces", "nothing"],
)
async def test_a_wall_that_is_missing_is_found(
    needs_sandbox: None, monkeypatch: pytest.MonkeyPatch, walls: Any, filtered: bool, failure: str
) -> None:
    """The filter of system calls holds some of it alone, so it is left out there."""
    monkeypatch.setattr(bubblewrap, "_walls", walls)
    if not filtered:
        monkeypatch.setattr("runs.sandbox.seccomp.program", lambda: b"\x06\0\0\0\0\0\xff\x7f")  # all is allowed
    found = await probing.probe()
    assert found.reason == (probes.FAILURES[failure] if failure else "")
    assert found.usable == (not failure)


@pytest.mark.sandbox
async def test_where_it_did_not_hold_it_is_tried_again_later(
    needs_sandbox: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bubblewrap, "_walls", with_more("--ro-bind", "/etc", "/etc"))
        assert not (await probing.probe()).usable
    assert not (await probing.probe()).usable
    assert not probing.availability().usable
    with pytest.raises(SandboxUnavailable, match="it sees files of the server"):
        await Sandbox().session(key="a")
    monkeypatch.setattr(probing, "AGAIN", -1.0)
    assert (await probing.probe()).usable
    assert probing.availability().usable


@pytest.mark.sandbox
async def test_where_bubblewrap_may_not_it_says_so(needs_sandbox: None, monkeypatch: pytest.MonkeyPatch) -> None:
    walls = bubblewrap._walls
    monkeypatch.setattr(bubblewrap, "_walls", lambda: [*walls(), "--ro-bind", "/missing", "/missing"])
    found = await probing.probe()
    assert not found.usable
    assert found.reason.startswith("The sandbox does not start: bwrap: ")


@pytest.mark.parametrize(
    ("where", "value", "reason"),
    [
        ("runs.sandbox.probing.sys.platform", "darwin", probing.NOT_LINUX),
        ("runs.sandbox.seccomp.platform.machine", lambda: "riscv64", probing.NO_CALLS),
        ("runs.sandbox.bubblewrap.shutil.which", lambda name: None, probing.NO_BUBBLEWRAP),
    ],
)
async def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, where: str, value: Any, reason: str) -> None:
    monkeypatch.setattr(where, value)
    expected = probing.Availability(False, reason)
    assert (probing.availability(), await probing.probe()) == (expected, expected)


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
async def test_a_missing_environment_is_said(tmp_path: Path) -> None:
    with configured(data_dir=tmp_path, interpreter=""):
        assert probing.availability().reason == probing.NOT_INSTALLED
    with configured(interpreter="none"):
        assert (await probing.probe()).reason == probing.OFF
        with pytest.raises(SandboxUnavailable, match="SOVEREIGN_INTERPRETER is none"):
            await Sandbox().session(key="a")


@pytest.mark.sandbox
def test_nothing_of_ours_may_lie_in_what_is_seen(needs_sandbox: None) -> None:
    found = interpreter()
    assert found is not None
    with configured(data_dir=found.folder / "lib"), pytest.raises(SandboxUnavailable, match="move it"):
        bubblewrap.command(found, probing.limits.configured(), [])


def test_a_probe_that_says_nothing_is_no_sound_one() -> None:
    assert probes.judged("") == "The sandbox could not be tried: nothing was printed"
    assert probes.judged("a\nbwrap: b\n") == "The sandbox could not be tried: bwrap: b"
    assert probes.judged("PROBE{") == "The sandbox could not be tried: PROBE{"
    assert probes.judged("PROBE{}") == probes.FAILURES["computes"]
    held = dict.fromkeys(probes.FAILURES, True)
    assert probes.judged("PROBE" + json.dumps(held)) == ""
    assert probes.judged("PROBE" + json.dumps(held | {"no_root": 1})) == probes.FAILURES["no_root"]


def test_the_probe_itself_notices_a_host_without_walls(tmp_path: Path) -> None:
    """Run as it is on the host, it finds what it looks for."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        code = probes.code(port=listener.getsockname()[1], paths=["/etc/passwd"], names=[], process=1)
        code = code.replace("/mnt/data", str(tmp_path))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.removeprefix("PROBE"))
    assert not any(
        found[name] for name in ("no_network", "no_names", "no_host_files", "no_secrets", "no_host_processes")
    )
    assert all(found[name] for name in ("computes", "imports", "writes"))


def test_the_systems_check_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> None:
    with configured(interpreter=""):
        monkeypatch.setattr("runs.sandbox.bubblewrap.shutil.which", lambda name: None)
        call_command("check")
        assert "sovereign.I001" in capsys.readouterr().err
    with configured(interpreter="none"):
        call_command("check")
        assert "sovereign" not in capsys.readouterr().err
    with configured(interpreter=str(tmp_path)), pytest.raises(SystemCheckError, match=r"sovereign\.E012"):
        call_command("check")


def test_an_environment_is_described_by_what_uv_wrote(tmp_path: Path) -> None:
    assert described(tmp_path) is None
    base = tmp_path / "base"
    (base / "bin").mkdir(parents=True)
    (tmp_path / "pyvenv.cfg").write_text(f"home = {base}/bin\nversion_info = 3.11.7\n")
    assert described(tmp_path) is None
    (base / "bin" / "python3.11").touch()
    assert described(tmp_path) == Interpreter(tmp_path, base, "3.11")
