"""``python -I -S launcher.py SPECIFICATION``: becomes bubblewrap, with fewer rights than whoever started it.

A program of its own, with nothing of the product in it, because what it does (identity, mounts, limits) must be done in
a new process before the next program. ``bubblewrap.Specification`` says what is in the specification.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

FIRST_TO_DIE = "1000"  # where the machine is short of memory
FIRST_UID = 1_600_000_000  # plus the process id: nobody else's
NOBODY = 65534  # where a container has no numbers so high

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_NODEV, MS_NOSUID, MS_BIND, MS_REC, MS_PRIVATE = 0x4, 0x2, 0x1000, 0x4000, 0x40000
STAGES = ("/mnt", "/media", "/srv", "/tmp")  # noqa: S108 (folders that are in every system; they are covered)

_libc = ctypes.CDLL(None, use_errno=True)


def main(specification: dict[str, Any]) -> None:
    for tasks in specification["cgroups"]:
        Path(tasks).write_text("0")
    Path("/proc/self/oom_score_adj").write_text(FIRST_TO_DIE)
    enter_namespace()
    stage = next(folder for folder in STAGES if Path(folder).is_dir())
    binds = [*sources(stage, specification["sources"]), *spaces(stage, specification["spaces"])]
    if os.geteuid() == 0:
        give_up_root()
    end_with(specification["parent"])
    walls = ["--seccomp", str(inheritable(base64.b64decode(specification["seccomp"])))]
    program = specification["bubblewrap"]
    os.execve(program, [program, *binds, *walls, *specification["arguments"]], {})  # noqa: S606


def enter_namespace() -> None:
    """One of ours for mounts, as root, or else as whoever we are, in a namespace for users too."""
    if os.geteuid() != 0 or _libc.unshare(CLONE_NEWNS) != 0:
        if os.geteuid() == 0:
            give_up_root()
            _libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # or what is in /proc about us would still be root's
        user, group = os.geteuid(), os.getegid()
        if _libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0:
            raise PermissionError("this system does not let ordinary users make namespaces")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _mount(None, "/", None, MS_REC | MS_PRIVATE)


def sources(stage: str, wanted: list[tuple[str, str]]) -> list[str]:
    """The files that are seen inside, from where an ordinary user reaches them: root's home is closed to others.

    :param wanted: what is seen, and where.
    """
    opened = [os.open(source, os.O_PATH | os.O_CLOEXEC) for source, _ in wanted]  # the stage may cover them
    _mount("tmpfs", stage, "tmpfs", MS_NODEV | MS_NOSUID, "mode=755,size=64k")
    words = []
    for number, (descriptor, (_, place)) in enumerate(zip(opened, wanted, strict=True)):
        source = Path(stage, str(number))
        source.mkdir() if Path(f"/proc/self/fd/{descriptor}").is_dir() else source.touch()
        _mount(f"/proc/self/fd/{descriptor}", str(source), None, MS_BIND | MS_REC)
        words += ["--ro-bind", str(source), place]
    return words


def spaces(stage: str, wanted: list[tuple[str, int, int]]) -> list[str]:
    """Room for files, bounded in a way that bubblewrap does not know: by their number, too.

    :param wanted: where, bytes, and how many files.
    """
    words = []
    for number, (place, size, files) in enumerate(wanted):
        source = Path(stage, f"space-{number}")
        source.mkdir()
        _mount("tmpfs", str(source), "tmpfs", MS_NODEV | MS_NOSUID, f"mode=1777,size={size},nr_inodes={files}")
        words += ["--bind", str(source), place]
    return words


def _mount(source: str | None, place: str, kind: str | None, flags: int, options: str | None = None) -> None:
    words = [None if word is None else word.encode() for word in (source, place, kind, options)]
    if _libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), place)


def give_up_root() -> None:
    """Become a user that owns nothing, and that is nobody else's."""
    os.setgroups([])
    for number in (FIRST_UID + os.getpid(), NOBODY):
        try:
            os.setresgid(number, number, number)
            os.setresuid(number, number, number)
            break
        except OSError:
            continue
    if os.geteuid() == 0 or os.getegid() == 0:
        raise OSError("root cannot be given up")


def end_with(parent: int) -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)  # it was too quick for us


def inheritable(content: bytes) -> int:
    descriptor = os.memfd_create("seccomp", 0)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
