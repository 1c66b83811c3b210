"""The system calls that code in the sandbox cannot make, as a program for the kernel (classic BPF).

Namespaces and identities are bubblewrap's; this takes away what they would leave to attack: the parts of the kernel
that nobody needs for computing, and those whose memory is not counted. Python's libraries may use everything else, but
for calls that are newer than the list.
"""

from __future__ import annotations

import errno
import platform
import re
import struct

CLONE, CLONE3, SOCKET, SOCKETPAIR, SETSOCKOPT = "clone", "clone3", "socket", "socketpair", "setsockopt"
MMAP = "mmap"

_X86_64 = {CLONE: 56, CLONE3: 435, SOCKET: 41, SOCKETPAIR: 53, SETSOCKOPT: 54, MMAP: 9}
_AARCH64 = {CLONE: 220, CLONE3: 435, SOCKET: 198, SOCKETPAIR: 199, SETSOCKOPT: 208, MMAP: 222}

#: "name: number on x86-64, number on ARM64" (- where it does not exist), by what they would give
REFUSED_CALLS = """
# namespaces, mounts, roots
    unshare: 272, 97; setns: 308, 268; chroot: 161, 51; pivot_root: 155, 41; mount: 165, 40; umount2: 166, 39;
    mount_setattr: 442, 442; open_tree: 428, 428; move_mount: 429, 429; fsopen: 430, 430; fsconfig: 431, 431;
    fsmount: 432, 432; fspick: 433, 433; statmount: 457, 457; listmount: 458, 458;
# files past their names
    open_by_handle_at: 304, 265; name_to_handle_at: 303, 264; fanotify_init: 300, 262; fanotify_mark: 301, 263;
# other processes
    ptrace: 101, 117; process_vm_readv: 310, 270; process_vm_writev: 311, 271; kcmp: 312, 272;
    pidfd_getfd: 438, 438; process_madvise: 440, 440;
# keys, programs in the kernel, and its other large doors
    add_key: 248, 217; request_key: 249, 218; keyctl: 250, 219; bpf: 321, 280; perf_event_open: 298, 241;
    userfaultfd: 323, 282; io_uring_setup: 425, 425; io_uring_enter: 426, 426; io_uring_register: 427, 427;
    vmsplice: 278, 75;
# the machine
    kexec_load: 246, 104; kexec_file_load: 320, 294; init_module: 175, 105; finit_module: 313, 273;
    delete_module: 176, 106; reboot: 169, 142; syslog: 103, 116; swapon: 167, 224; swapoff: 168, 225;
    acct: 163, 89; quotactl: 179, 60; quotactl_fd: 443, 443; sethostname: 170, 161; setdomainname: 171, 162;
    settimeofday: 164, 170; clock_settime: 227, 112; clock_adjtime: 305, 266; adjtimex: 159, 171; iopl: 172, -;
    ioperm: 173, -; modify_ldt: 154, -; personality: 135, 92; vhangup: 153, 58; lookup_dcookie: 212, 18;
    nfsservctl: 180, 42; uselib: 134, -; _sysctl: 156, -;
# where memory is
    mbind: 237, 235; get_mempolicy: 239, 236; set_mempolicy: 238, 237; migrate_pages: 256, 238;
    move_pages: 279, 239; set_mempolicy_home_node: 450, 450;
# memory that belongs to no process and to no bounded file system
    memfd_create: 319, 279; memfd_secret: 447, 447; shmget: 29, 194; shmctl: 31, 195; shmat: 30, 196;
    semget: 64, 190; semctl: 66, 191; msgget: 68, 186; msgctl: 71, 187; msgsnd: 69, 189; msgrcv: 70, 188;
    mq_open: 240, 180; mq_unlink: 241, 181;
"""
NEWEST = 462  # mseal, of Linux 6.10

#: machine → the kernel's number of it, its column in the table, and the calls that are judged by their arguments
ARCHITECTURES = {"x86_64": (0xC000003E, 0, _X86_64), "aarch64": (0xC00000B7, 1, _AARCH64)}
X32 = 0x40000000  # the first number of x86-64's second convention, which has numbers of its own

AF_UNIX = 1
SO_SNDBUF = 7  # how much a socket holds, which is counted as what one holds at first
#: CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
NEW_NAMESPACES = 0x80 | 0x20000 | 0x2000000 | 0x4000000 | 0x8000000 | 0x10000000 | 0x20000000 | 0x40000000

# struct seccomp_data: the call's number, the architecture, 8 bytes of address, and the arguments
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, THIRD_ARGUMENT, FOURTH_ARGUMENT = 0, 4, 16, 32, 40
LOAD, RETURN, AND = 0x20, 0x06, 0x54
MAP_SHARED, MAP_ANONYMOUS = 0x01, 0x20
IF_EQUAL, IF_GREATER_OR_EQUAL, IF_ANY_BIT = 0x15, 0x35, 0x45
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000


def is_supported(machine: str = "") -> bool:
    return (machine or platform.machine()) in ARCHITECTURES


def program(machine: str = "") -> bytes:
    """The filter, as ``struct sock_filter[]`` in the machine's byte order.

    :param machine: as ``uname -m`` says it; ``""``: this one.
    :raises KeyError: an architecture whose calls are not known.
    """
    architecture, column, numbers = ARCHITECTURES[machine or platform.machine()]
    instructions = [
        *_load(ARCHITECTURE),
        *_unless(IF_EQUAL, architecture, KILL),
        *_load(NUMBER),
        *_if(IF_GREATER_OR_EQUAL, X32, KILL),
        *_if(IF_GREATER_OR_EQUAL, NEWEST + 1, FAIL | errno.ENOSYS),
        *_if(IF_EQUAL, numbers[CLONE3], FAIL | errno.ENOSYS),  # its flags cannot be read; libraries go on with clone
        *_if_argument(numbers[CLONE], IF_ANY_BIT, NEW_NAMESPACES, FAIL | errno.EPERM, ALLOW),
        *_if_argument(numbers[SOCKET], IF_EQUAL, AF_UNIX, ALLOW, FAIL | errno.EAFNOSUPPORT),
        *_if_shared_memory(numbers[MMAP]),
        *_if_argument(numbers[SOCKETPAIR], IF_EQUAL, AF_UNIX, ALLOW, FAIL | errno.EAFNOSUPPORT),
        *_if_argument(numbers[SETSOCKOPT], IF_EQUAL, SO_SNDBUF, FAIL | errno.EPERM, ALLOW, which=THIRD_ARGUMENT),
    ]
    for number in refused(column):
        instructions += _if(IF_EQUAL, number, FAIL | errno.EPERM)
    return b"".join([*instructions, *_return(ALLOW)])


def refused(column: int) -> list[int]:
    """The numbers of the calls on x86-64 (column 0) or ARM64 (1)."""
    calls = re.findall(r"\w+: (\S+), (\S+);", REFUSED_CALLS)
    return [int(call[column]) for call in calls if call[column] != "-"]


def _instruction(code: int, true: int, false: int, value: int) -> bytes:
    """:param true: how many instructions are skipped where the comparison holds; ``false``: where not."""
    return struct.pack("=HBBI", code, true, false, value)


def _load(offset: int) -> list[bytes]:
    return [_instruction(LOAD, 0, 0, offset)]


def _return(verdict: int) -> list[bytes]:
    return [_instruction(RETURN, 0, 0, verdict)]


def _if(comparison: int, value: int, verdict: int) -> list[bytes]:
    return [_instruction(comparison, 0, 1, value), *_return(verdict)]


def _unless(comparison: int, value: int, verdict: int) -> list[bytes]:
    return [_instruction(comparison, 1, 0, value), *_return(verdict)]


def _if_argument(
    number: int, comparison: int, value: int, then: int, otherwise: int, *, which: int = FIRST_ARGUMENT
) -> list[bytes]:
    """Judge a call by (the lower half of) one argument."""
    return [
        _instruction(IF_EQUAL, 0, 4, number),
        *_load(which),
        *_if(comparison, value, then),
        *_return(otherwise),
    ]


def _if_shared_memory(number: int) -> list[bytes]:
    """Refuse memory that is shared and no file's: it stays when nobody shows it any more, and so nobody counts it."""
    both = MAP_SHARED | MAP_ANONYMOUS
    return [
        _instruction(IF_EQUAL, 0, 5, number),
        *_load(FOURTH_ARGUMENT),
        _instruction(AND, 0, 0, both),
        *_if(IF_EQUAL, both, FAIL | errno.EPERM),
        *_return(ALLOW),
    ]
