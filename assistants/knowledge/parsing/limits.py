"""What the process that reads strangers' documents may still do. It gives up the rest itself, before it reads a byte.

Memory, time, files and processes are bounded everywhere. On Linux a network of its own without any address (where
ordinary processes may have one) and Landlock (where the kernel has it) come on top: files of Python and of the system
may be read, nothing may be written, and no other process can be looked into. The server's own folder is not among
them, for the key, the database and everybody's files may lie below it: what is needed of it is loaded by then.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
import sys
from pathlib import Path

from assistants.knowledge.parsing.reasons import MAXIMUM_OUTPUT

MEMORY = 1024**3  # bytes of address space
SECONDS = 120  # of the processor
GRACE = 5  # seconds more until the kernel kills: what it kills at once could as well have met a lack of memory
OPEN_FILES = 64

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446  # the same on every architecture
LANDLOCK_RULE_PATH_BENEATH = 1
READ_FILE, READ_DIRECTORY = 1 << 2, 1 << 3
EVERY_FILE_RIGHT = (1 << 13) - 1  # of Landlock's first version, which newer ones know too
#: of the system, and only what is a library's: installations, and the data of some, lie elsewhere below /usr
READABLE = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo"),
    *("/etc/ld.so.cache", "/etc/localtime", "/dev/urandom"),
)

_libc = ctypes.CDLL(None, use_errno=True)


def give_up_rights(parent: int) -> None:
    """:param parent: the process that started this one: they end together."""
    if sys.platform == "linux":
        _end_with(parent)
        _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for of, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_FSIZE, MAXIMUM_OUTPUT),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _lower(of, most, most)
    _lower(resource.RLIMIT_CPU, SECONDS, SECONDS + GRACE)
    if sys.platform == "linux":
        _leave_network()
        _leave_files()


def _end_with(parent: int) -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)  # it was too quick for us


def _lower(of: int, *limits: int) -> None:
    """:param limits: the soft and the hard one."""
    bound = resource.getrlimit(of)[1]
    soft, hard = (most if bound == resource.RLIM_INFINITY else min(most, bound) for most in limits)
    with contextlib.suppress(ValueError, OSError):  # not every system bounds everything
        resource.setrlimit(of, (soft, hard))


def _leave_network() -> None:
    """Into a network without interfaces, where the system lets ordinary processes (or this one) make one."""
    for flags in (CLONE_NEWUSER | CLONE_NEWNET, CLONE_NEWNET):
        if _libc.unshare(flags) == 0:
            return


def _leave_files() -> None:
    """What is open stays open: the document, and the file for its text. Older systems have no Landlock."""
    rules = struct.pack("Q", EVERY_FILE_RIGHT)
    ruleset = _libc.syscall(LANDLOCK_CREATE_RULESET, rules, ctypes.c_size_t(len(rules)), 0)
    if ruleset < 0:
        return
    libraries = {Path(prefix, name) for prefix in (sys.prefix, sys.base_prefix) for name in ("lib", sys.platlibdir)}
    for path in {*map(Path, READABLE), *libraries}:
        with contextlib.suppress(OSError):
            _allow_reading(ruleset, path)
    _libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _allow_reading(ruleset: int, path: Path) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = READ_FILE | READ_DIRECTORY if path.is_dir() else READ_FILE
        rule = struct.pack("=Qi", rights, place)
        _libc.syscall(LANDLOCK_ADD_RULE, ruleset, LANDLOCK_RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(place)
