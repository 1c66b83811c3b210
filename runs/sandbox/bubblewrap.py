"""The walls: what a session sees of the machine, as arguments for bubblewrap."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from runs.sandbox import seccomp
from runs.sandbox.environment import Interpreter
from runs.sandbox.limits import Limits
from runs.sandbox.outputs import SandboxUnavailable

PROGRAM = "bwrap"
LAUNCHER = Path(__file__).with_name("launcher.py")
INSIDE = Path(__file__).with_name("inside")

PYTHON, PACKAGES, RUNNER, DATA = "/opt/python", "/opt/interpreter", "/opt/runner", "/mnt/data"
START = f"import sys; sys.path.insert(0, {RUNNER!r}); from inside.main import main; main()"
LIBRARIES = ("/usr/lib", "/usr/lib64")  # the system's, which Python's own are linked with
LINKS = ("/lib", "/lib64")
DEVICES = ("null", "full", "random", "urandom")  # no zero: mapped and shared, it is memory that nobody counts
ORDINARY = "1000"  # who the code is, to itself
ENVIRONMENT = {
    "PATH": f"{PYTHON}/bin",
    "LD_LIBRARY_PATH": f"{PYTHON}/lib",
    "HOME": "/tmp",  # noqa: S108 (inside)
    "USER": "user",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "MPLBACKEND": "module://inside.figures",
    "MPLCONFIGDIR": "/tmp/.matplotlib",  # noqa: S108
    "OPENBLAS_NUM_THREADS": "1",  # each takes memory, and a session has not more than its share of the processors
}


def program() -> str | None:
    """Bubblewrap, where it is installed."""
    return shutil.which(PROGRAM)


def command(interpreter: Interpreter, limits: Limits, cgroups: Sequence[Path]) -> list[str]:
    """What starts a session, as a child of this process that ends with it.

    :param cgroups: the files that a process enters its groups by.
    :raises SandboxUnavailable: it cannot be walled in here.
    """
    found = program()
    if found is None:
        raise SandboxUnavailable("bubblewrap (bwrap) is not installed on the server.")
    if not seccomp.is_supported():
        raise SandboxUnavailable("The sandbox knows the system calls of x86-64 and ARM64 only, and this is neither.")
    binds = _binds(interpreter)
    _check(binds)
    specification = {
        "parent": os.getpid(),
        "bubblewrap": found,
        "cgroups": [str(path) for path in cgroups],
        "sources": binds,
        "spaces": [
            (DATA, limits.disk, limits.files),
            ("/tmp", limits.scratch, limits.files),  # noqa: S108 (inside)
        ],
        "seccomp": base64.b64encode(seccomp.program()).decode(),
        "arguments": [*_walls(), "--", *_runner(interpreter, limits)],
    }
    return [sys.executable, "-I", "-S", "-B", str(LAUNCHER), json.dumps(specification)]


def _binds(interpreter: Interpreter) -> list[tuple[str, str]]:
    """What is seen of the machine's files, all of it for reading only."""
    python = f"python{interpreter.version}"
    folders = [folder for folder in map(Path, (*LIBRARIES, *LINKS)) if folder.is_dir() and not folder.is_symlink()]
    return [
        *((str(folder), str(folder)) for folder in folders),
        (str(interpreter.program.resolve()), f"{PYTHON}/bin/{python}"),
        (str(interpreter.base / "lib" / python), f"{PYTHON}/lib/{python}"),
        *((str(path.resolve()), f"{PYTHON}/lib/{path.name}") for path in interpreter.base.glob("lib/libpython3*.so*")),
        (str(interpreter.folder.resolve()), PACKAGES),
        (str(INSIDE), f"{RUNNER}/inside"),
    ]


def _check(binds: Sequence[tuple[str, str]]) -> None:
    """:raises SandboxUnavailable: something of ours would be seen."""
    for secret in (settings.SOVEREIGN.base_dir, settings.SOVEREIGN.data_dir):
        for source, _ in binds:
            if secret.resolve().is_relative_to(source):
                raise SandboxUnavailable(f"{secret} lies in {source}, which code in the sandbox may read: move it.")


def _walls() -> list[str]:
    links = [link for link in map(Path, LINKS) if link.is_symlink()]
    return [
        *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session", "--clearenv"),
        *("--uid", ORDINARY, "--gid", ORDINARY, "--hostname", "sandbox", "--cap-drop", "ALL"),
        *(word for link in links for word in ("--symlink", str(link.readlink()), str(link))),
        *("--size", "65536", "--tmpfs", "/dev"),
        *(word for name in DEVICES for word in ("--dev-bind", f"/dev/{name}", f"/dev/{name}")),
        *("--symlink", "/tmp", "/dev/shm", "--remount-ro", "/dev"),  # noqa: S108
        *("--remount-ro", "/", "--chdir", DATA),
        *(word for name, value in ENVIRONMENT.items() for word in ("--setenv", name, value)),
    ]


def _runner(interpreter: Interpreter, limits: Limits) -> list[str]:
    python = f"python{interpreter.version}"
    given = {
        "packages": f"{PACKAGES}/lib/{python}/site-packages",
        "output": limits.output,
        "image": limits.image,
        "limits": {
            "AS": limits.address_space,
            "CPU": limits.processor,
            "FSIZE": limits.disk,
            "NOFILE": limits.open_files,
            "NPROC": limits.processes,
            "CORE": 0,
        },
    }
    return [f"{PYTHON}/bin/{python}", "-I", "-S", "-B", "-X", "utf8", "-c", START, json.dumps(given)]
