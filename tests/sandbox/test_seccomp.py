"""The filter of system calls, judged call by call as the kernel would."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from runs.sandbox import seccomp

ALLOWED, KILLED = 0x7FFF0000, 0x80000000
EPERM, ENOSYS, NO_FAMILY = (0x50000 | number for number in (errno.EPERM, errno.ENOSYS, errno.EAFNOSUPPORT))
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


def verdict(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the program says of a call: classic BPF, as far as the program uses it."""
    known = seccomp.ARCHITECTURES[machine][0]
    given = [*arguments, 0, 0, 0, 0][:4]
    data = struct.pack("=IIQ4Q", number, known if architecture is None else architecture, 0, *given)
    code = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))
    place = accumulator = 0
    while True:
        operation, true, false, value = code[place]
        place += 1
        match operation:
            case 0x20:
                accumulator = struct.unpack_from("=I", data, value)[0]
            case 0x54:
                accumulator &= value
            case 0x06:
                return value
            case 0x15:
                place += true if accumulator == value else false
            case 0x35:
                place += true if accumulator >= value else false
            case 0x45:
                place += true if accumulator & value else false
            case _:
                raise AssertionError(f"no instruction of ours: {operation:#x}")


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_calls_are_judged(machine: str) -> None:
    _, column, numbers = seccomp.ARCHITECTURES[machine]
    assert {verdict(machine, number) for number in seccomp.refused(column)} == {EPERM}
    assert verdict(machine, numbers["clone3"]) == ENOSYS
    assert verdict(machine, numbers["clone"], 0x11) == ALLOWED  # SIGCHLD: a fork
    assert verdict(machine, numbers["clone"], 0x3D0F00) == ALLOWED  # a thread
    for bit in (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert verdict(machine, numbers["clone"], 0x11 | bit) == EPERM
    assert {verdict(machine, numbers["mmap"], 0, 1, 3, flags) for flags in (0x02, 0x22, 0x01, 0x03, 0x4022)} == {
        ALLOWED
    }
    assert {verdict(machine, numbers["mmap"], 0, 1, 3, flags) for flags in (0x21, 0x23, 0x4021)} == {EPERM}
    for name in ("socket", "socketpair"):
        assert verdict(machine, numbers[name], 1) == ALLOWED
        assert {verdict(machine, numbers[name], family) for family in (0, 2, 10, 16, 17, 38, 40)} == {NO_FAMILY}
    assert verdict(machine, numbers["setsockopt"], 3, 1, 2) == ALLOWED  # SO_REUSEADDR
    assert verdict(machine, numbers["setsockopt"], 3, 1, 7) == EPERM  # SO_SNDBUF


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_calls_that_are_newer_and_other_conventions_do_not_pass(machine: str) -> None:
    assert verdict(machine, seccomp.NEWEST) == ALLOWED
    assert verdict(machine, seccomp.NEWEST + 1) == ENOSYS
    assert verdict(machine, 0x3FFFFFFF) == ENOSYS
    assert verdict(machine, 0x40000000 + 39) == KILLED
    assert verdict(machine, 2**32 - 1) == KILLED
    assert {verdict(machine, 1, architecture=other) for other in (0, 0x40000003, 0x40000028)} == {KILLED}


def test_what_python_needs_is_allowed() -> None:
    needed = {"read": 0, "write": 1, "mmap": 9, "mprotect": 10, "fork": 57, "execve": 59, "exit_group": 231}
    assert {verdict("x86_64", number) for number in needed.values()} == {ALLOWED}


@pytest.mark.parametrize("machine", HEADERS)
def test_the_numbers_are_the_kernels(machine: str) -> None:
    header = HEADERS[machine]
    if not header.exists():
        pytest.skip("the kernel's headers are not installed")
    known = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text()))
    column = seccomp.ARCHITECTURES[machine][1]
    table = re.findall(r"(\w+): (\S+), (\S+);", seccomp.REFUSED_CALLS)
    ours = {name: numbers[column] for name, *numbers in table if numbers[column] != "-"}
    ours |= {name: str(number) for name, number in seccomp.ARCHITECTURES[machine][2].items()}
    assert len(ours) > 70
    assert {name: number for name, number in ours.items() if known.get(name, number) != number} == {}
    assert {name for name in ours if name not in known} <= {"statmount", "listmount"}  # newer than many headers


def test_other_machines_are_refused() -> None:
    assert not seccomp.is_supported("riscv64")
    with pytest.raises(KeyError):
        seccomp.program("riscv64")
