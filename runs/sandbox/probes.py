"""What is tried in a sandbox before any is used: that it works, and that it holds."""

from __future__ import annotations

import json
from collections.abc import Sequence

#: name of a check → what is wrong where it fails
FAILURES = {
    "computes": "Python does not compute in the sandbox.",
    "imports": "numpy cannot be imported in the sandbox: `manage.py install_interpreter` installs it.",
    "writes": "Files cannot be written in the sandbox.",
    "no_network": "The sandbox does not hold: it reaches a network.",
    "no_host_files": "The sandbox does not hold: it sees files of the server.",
    "no_names": "The sandbox does not hold: it resolves names.",
    "no_host_writes": "The sandbox does not hold: it can change files of the system.",
    "no_secrets": "The sandbox does not hold: it sees the server's environment.",
    "no_host_processes": "The sandbox does not hold: it sees processes of the server.",
    "no_namespaces": "The sandbox does not hold: it can make user namespaces.",
    "no_root": "The sandbox does not hold: it can become root.",
}

_CODE = """
import ctypes, json, os, socket

def _refused(call, *arguments, **named):
    try:
        call(*arguments, **named)
    except OSError:
        return True
    return False

def _imports():
    try:
        import numpy
        return int(numpy.arange(4).sum()) == 6
    except ImportError:
        return False

def _writes():
    with open("/mnt/data/.probe", "w") as target:
        target.write("5")
    with open("/mnt/data/.probe") as source:
        text = source.read()
    os.unlink("/mnt/data/.probe")
    return text == "5"

READABLE = ("", "/usr/lib", "/opt/interpreter", "/opt/runner", "/dev")
_libc = ctypes.CDLL(None, use_errno=True)
print("PROBE" + json.dumps({
    "computes": 2 + 3 == 5,
    "imports": _imports(),
    "writes": _writes(),
    "no_network": _refused(socket.create_connection, ("127.0.0.1", PORT), timeout=1),
    "no_names": _refused(socket.getaddrinfo, "localhost", 80),
    "no_host_files": not any(map(os.path.lexists, PATHS)),
    "no_host_writes": all(_refused(open, f"{place}/probe", "w") for place in READABLE),
    "no_secrets": set(os.environ) <= set(NAMES),
    "no_host_processes": not os.path.exists("/proc/self") and (PROCESS < 10 or _refused(os.kill, PROCESS, 0)),
    "no_namespaces": all(_libc.unshare(flags) != 0 for flags in (0x10000000, 0x20000, 0x40000000)),
    "no_root": _refused(os.setuid, 0) and os.getuid() != 0,
}))
"""


def code(*, port: int, paths: Sequence[str], names: Sequence[str], process: int) -> str:
    """
    :param port: of this host's own loopback, where somebody listens.
    :param paths: files and folders of this host.
    :param names: variables that there may be.
    :param process: a process of this host.
    """
    given = {"PORT": port, "PATHS": list(paths), "NAMES": list(names), "PROCESS": process}
    return "".join(f"{name} = {value!r}\n" for name, value in given.items()) + _CODE


def judged(printed: str) -> str:
    """What is wrong, by what the probe printed: a sentence, or ``""``."""
    _, found, document = printed.partition("PROBE")
    try:
        results = json.loads(document) if found else None
    except ValueError:
        results = None
    if not isinstance(results, dict):
        last = printed.strip().splitlines()[-1:] or ["nothing was printed"]
        return f"The sandbox could not be tried: {last[0][:200]}"
    return next((sentence for name, sentence in FAILURES.items() if results.get(name) is not True), "")
