"""Groups of processes, of both versions, in a folder that stands for the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from runs.sandbox import cgroups
from runs.sandbox.limits import MIB, Limits

LIMITS = Limits(memory=100 * MIB, disk=20 * MIB, scratch=10 * MIB, processes=30)
BOUND = (100 + 20 + 10 + 64) * MIB

FILES = {
    "memory": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
    "pids": ("pids.max",),
    "cpu": ("cpu.shares",),
    "unified": ("memory.max", "memory.swap.max", "pids.max", "cpu.weight"),
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kernel fills a new group with its files: here that is done by what makes the folder."""
    made = Path.mkdir

    def filled(folder: Path, *arguments: object, **named: object) -> None:
        made(folder, *arguments, **named)  # type: ignore[arg-type]
        if folder.name.startswith("sovereign-"):
            kind = folder.relative_to(tmp_path).parts[0]
            for name in FILES.get(kind, FILES["unified"]):
                (folder / name).write_text("max")

    monkeypatch.setattr(Path, "mkdir", filled)
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    return tmp_path


def of_process(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    read = Path.read_text

    def said(path: Path, *arguments: object) -> str:
        return "".join(f"{line}\n" for line in lines) if str(path) == "/proc/self/cgroup" else read(path)

    monkeypatch.setattr(Path, "read_text", said)


def test_version_one_has_a_group_for_each_controller(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_process(monkeypatch, "5:devices:/x", "4:memory:/a", "3:pids:/", "2:cpu,cpuacct:/", "1:name=systemd:/", "0::/")
    for name in ("memory/a", "pids", "cpu,cpuacct", "devices/x"):
        (root / name).mkdir(parents=True)
    cgroup = cgroups.make(LIMITS)
    assert cgroup is not None
    assert cgroup.bounds_memory
    memory, pids = cgroup.folders[:2]
    assert (memory.parent, pids.parent) == (root / "memory" / "a", root / "pids")
    assert {(memory / name).read_text() for name in FILES["memory"]} == {str(BOUND)}
    assert (pids / "pids.max").read_text() == "38"
    assert [door.name for door in cgroup.doors] == ["cgroup.procs"] * len(cgroup.folders)


def test_version_two_is_used_where_memory_is_handed_down(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_process(monkeypatch, "0::/service/worker")
    (root / "service" / "worker").mkdir(parents=True)
    (root / "service" / "worker" / "cgroup.subtree_control").write_text("")
    (root / "service" / "cgroup.subtree_control").write_text("cpu memory pids")
    cgroup = cgroups.make(LIMITS)
    assert cgroup is not None
    (folder,) = cgroup.folders
    assert folder.parent == root / "service"
    assert (folder / "memory.max").read_text() == str(BOUND)
    assert (folder / "memory.swap.max").read_text() == "0"
    assert (folder / "pids.max").read_text() == "38"


def test_what_was_delegated_to_an_ordinary_user_is_handed_down(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel turns what is written there into what is read there."""
    of_process(monkeypatch, "0::/service/worker")
    monkeypatch.setattr("runs.sandbox.cgroups.os.geteuid", lambda: 1000)
    monkeypatch.setattr("runs.sandbox.cgroups.os.access", lambda place, _: place.name == "service")
    (root / "service" / "worker").mkdir(parents=True)
    write = Path.write_text

    def kernel(path: Path, text: str) -> int:
        return write(path, text.replace("+", "") if path.name == "cgroup.subtree_control" else text)

    monkeypatch.setattr(Path, "write_text", kernel)
    cgroup = cgroups.make(LIMITS)
    assert cgroup is not None
    assert cgroup.bounds_memory
    assert [folder.parent for folder in cgroup.folders] == [root / "service"]


@pytest.mark.parametrize("handed_down", ["", "cpu pids"])
def test_where_memory_is_not_handed_down_there_is_none(
    root: Path, monkeypatch: pytest.MonkeyPatch, handed_down: str
) -> None:
    of_process(monkeypatch, "0::/")
    (root / "cgroup.subtree_control").write_text(handed_down)
    assert cgroups.make(LIMITS) is None


def test_where_none_can_be_made_there_is_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_process(monkeypatch, "4:memory:/missing", "0::/missing")
    assert cgroups.make(LIMITS) is None


@pytest.mark.parametrize(
    ("name", "text", "killed"),
    [
        ("memory.events", "oom 3\noom_kill 1\n", True),
        ("memory.events", "oom 3\noom_kill 0\n", False),
        ("memory.oom_control", "under_oom 0\noom_kill 12\n", True),
        ("other", "oom_kill 1\n", False),
    ],
)
def test_who_was_killed_for_memory_is_known(tmp_path: Path, name: str, text: str, killed: bool) -> None:
    (tmp_path / name).write_text(text)
    assert cgroups.Cgroup((tmp_path,), True).has_killed() == killed


def test_who_is_not_seen_from_here_is_nobody(tmp_path: Path) -> None:
    """The kernel writes 0 for those, and to the kernel 0 is the group of who asks."""
    (tmp_path / "cgroup.procs").write_text("0\n1\n77\n0\n")
    assert cgroups.Cgroup((tmp_path,), True).processes() == {77}


def test_what_a_dead_worker_left_is_swept_away(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_process(monkeypatch, "4:memory:/")
    left, other = root / "memory" / "sovereign-999999999-1", root / "memory" / "sovereign-1-1"
    (root / "memory").mkdir()
    for folder in (left, other):
        folder.mkdir()
        for name in FILES["memory"]:
            (folder / name).unlink()
    cgroups.make(LIMITS)
    assert (left.exists(), other.exists()) == (False, True)
