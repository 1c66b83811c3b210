"""Nothing gets out: each attack works without the walls, and does not with them."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runs.sandbox import seccomp
from runs.sandbox.sessions import Sandbox, Session
from tests.sandbox.attacks import ATTACKS, HEAD
from tests.sandbox.conftest import SMALL, Run, ran

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What there is on the host to be reached."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "secret").write_text("secret")
    process = subprocess.Popen(["sleep", "600"])
    abstract = f"sovereign-test-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as named,
        socket.socket(socket.AF_UNIX) as unnamed,
    ):
        path = f"/tmp/{abstract}.socket"
        for listener, address in ((named, path), (unnamed, f"\0{abstract}")):
            listener.bind(address)
            listener.listen()
        yield {
            "file": str(folder / "secret"),
            "process": process.pid,
            "port": tcp.getsockname()[1],
            "socket": path,
            "abstract": abstract,
        }
        Path(path).unlink()
    process.kill()
    process.wait()


def code_of(name: str, given: dict[str, Any]) -> str:
    return f"GIVEN = {given!r}\n{HEAD}{ATTACKS[name]}\n"


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_is_held(run: Run, given: dict[str, Any], name: str) -> None:
    done = await run(code_of(name, given))
    assert done.logs == "HELD\n", done


@pytest.mark.parametrize("name", ATTACKS)
def test_it_is_an_attack(given: dict[str, Any], name: str) -> None:
    """Without the walls it works."""
    done = subprocess.run(
        ["sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, code_of(name, given)],
        env={**os.environ, "SOVEREIGN_CANARY": "canary"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "ESCAPED\n", done


async def test_no_refused_call_is_answered(run: Run) -> None:
    """All of them with arguments that they would have something to say about."""
    column = seccomp.ARCHITECTURES[platform.machine()][1]
    code = (
        "import ctypes, errno\nlibc = ctypes.CDLL(None, use_errno=True)\nanswered = []\n"
        f"for number in {seccomp.refused(column)}:\n"
        "  ctypes.set_errno(0)\n"
        "  if libc.syscall(number, -1, -1, -1, -1, -1, -1) != -1 or ctypes.get_errno() != errno.EPERM:\n"
        "    answered.append((number, ctypes.get_errno()))\n"
        "print(answered)"
    )
    assert (await run(code)).logs == "[]\n"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="machine code of x86-64")
@pytest.mark.parametrize(
    "code", [b"\xb8\x14\x00\x00\x00\xcd\x80\xc3", b"\xb8\x27\x00\x00\x40\x0f\x05\xc3"], ids=["i386", "x32"]
)
async def test_other_conventions_for_calls_end_the_process(session: Session, code: bytes) -> None:
    lines = (
        "import ctypes, mmap\n"
        f"code = {code!r}\n"
        "page = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)\n"
        "_ = page.write(code)\n"
        "call = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))\n"
        "print('answered', call())"
    )
    done = await ran(session, lines)
    assert (done.logs, done.ended.how) == ("", "killed")


async def test_what_there_is_inside(run: Run) -> None:
    assert (await run("import os; print(sorted(os.listdir('/dev')))")).logs == (
        "['full', 'null', 'random', 'shm', 'urandom']\n"
    )
    assert (await run("print(sorted(os.listdir('/')))")).logs in (
        "['dev', 'lib', 'lib64', 'mnt', 'opt', 'tmp', 'usr']\n",
        "['dev', 'lib', 'mnt', 'opt', 'tmp', 'usr']\n",
    )
    assert (await run("print(os.getuid(), os.getgid(), os.getgroups(), os.uname().nodename)")).logs in (
        "1000 1000 [] sandbox\n",
        "1000 1000 [65534] sandbox\n",
    )


async def test_nobody_outside_is_who_the_code_is(session: Session) -> None:
    """Where the server is root, the code is nobody on the host, and each session another one."""
    fields = status_of(session._inmates.processes()[-1])
    assert fields["Uid"].split() == [fields["Uid"].split()[0]] * 4
    assert int(fields["Uid"].split()[0]) >= 1000 or os.geteuid() != 0
    assert {int(fields[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")


async def test_only_what_is_needed_is_open(run: Run) -> None:
    code = (
        "import os, stat\nfound = []\nfor number in range(64):\n"
        "  try: found.append(stat.S_IFMT(os.fstat(number).st_mode))\n  except OSError: pass\n"
        "print([stat.S_ISFIFO(kind) or stat.S_ISCHR(kind) for kind in found] == [True] * len(found), len(found))"
    )
    assert (await run(code)).logs == "True 6\n"  # nothing, the terminal thrice, and two to the server


async def test_limits_cannot_be_lifted(run: Run) -> None:
    code = (
        "import resource\n"
        "for name in ('AS', 'NPROC', 'FSIZE', 'NOFILE', 'CORE', 'CPU'):\n"
        "  limit = getattr(resource, f'RLIMIT_{name}'); hard = resource.getrlimit(limit)[1]\n"
        "  try: resource.setrlimit(limit, (hard, hard + 1)); print(name)\n"
        "  except (ValueError, OSError): pass\n"
        "print(resource.getrlimit(resource.RLIMIT_NPROC))"
    )
    assert (await run(code)).logs == f"({SMALL.processes}, {SMALL.processes})\n"


@pytest.mark.parametrize("code", ["os.kill(1, 9)", "os.kill(1, 15)", "os.killpg(1, 9)", "os.kill(os.getppid(), 9)"])
async def test_the_first_process_is_not_to_be_ended(run: Run, sandbox: Sandbox, code: str) -> None:
    await run(f"import os\ntry: {code}\nexcept OSError as error: pass")
    again = await sandbox.session(key="thread_1")
    assert (await ran(again, "2 + 3")).logs == "5\n"


async def test_another_thread_has_other_files_variables_and_processes(sandbox: Sandbox) -> None:
    hers, his = await sandbox.session(key="hers"), await sandbox.session(key="his")
    await ran(hers, "secret = 'x'; _ = open('/mnt/data/s', 'w').write('x'); _ = open('/tmp/s', 'w').write('x')")
    looks = (
        "import os, socket\nfound = [path for path in ('/mnt/data/s', '/tmp/s') if os.path.exists(path)]\n"
        "print(found, 'secret' in globals())"
    )
    assert (await ran(hers, looks)).logs == "['/mnt/data/s', '/tmp/s'] True\n"
    assert (await ran(his, looks)).logs == "[] False\n"
    server = "s = socket.socket(socket.AF_UNIX); s.bind('\\0name'); s.listen()"
    client = "print(socket.socket(socket.AF_UNIX).connect_ex('\\0name') == 0)"
    await ran(hers, server)
    assert (await ran(hers, client)).logs == "True\n"
    assert (await ran(his, client)).logs == "False\n"
    first, second = (namespaces_of(session._inmates.processes()[-1]) for session in (hers, his))
    assert {name for name, _ in first & second} <= {"time", "time_for_children"}


def status_of(process: int) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())


def namespaces_of(process: int) -> set[tuple[str, str]]:
    return {(entry.name, str(entry.readlink())) for entry in Path(f"/proc/{process}/ns").iterdir()}
