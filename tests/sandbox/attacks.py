"""Ways out of a sandbox. Each prints ESCAPED where it works, as it does without walls, else HELD.

What they need of the host is in ``GIVEN``, a dict that is put before them.
"""

from __future__ import annotations

HEAD = """
import ctypes, os, platform, signal, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
ARM = platform.machine() == "aarch64"
NEWUSER, NEWNS = 0x10000000, 0x20000

def said(escaped):
    print("ESCAPED" if escaped else "HELD")

def tried(call, *arguments):
    try:
        return call(*arguments)
    except (OSError, ValueError):
        return None
"""

ATTACKS = {
    "a file of the host": "said(tried(open, GIVEN['file']) is not None)",
    "a folder of the host": "said(tried(os.listdir, os.path.dirname(GIVEN['file'])) is not None)",
    "the users of the host": "said(os.path.exists('/etc/passwd'))",
    "variables of the server": "said(os.environ.get('SOVEREIGN_CANARY') == 'canary')",
    "variables of the server by its process": (
        "said(b'canary' in (tried(lambda: open(f\"/proc/{os.getppid()}/environ\", 'rb').read()) or b''))"
    ),
    "a connection to the host": "said(tried(socket.create_connection, ('127.0.0.1', GIVEN['port']), 2) is not None)",
    "a datagram to the host": (
        "s = tried(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)\n"
        "said(s is not None and tried(s.sendto, b'x', ('127.0.0.1', GIVEN['port'])) == 1)"
    ),
    "a socket of the host by its path": ("s = socket.socket(socket.AF_UNIX)\nsaid(s.connect_ex(GIVEN['socket']) == 0)"),
    "a socket of the host by its abstract name": (
        "s = socket.socket(socket.AF_UNIX)\nsaid(s.connect_ex('\\0' + GIVEN['abstract']) == 0)"
    ),
    "the kernel's network by netlink": "said(tried(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, 0) is not None)",
    "a process of the host": ("try: os.kill(GIVEN['process'], 0); said(True)\nexcept ProcessLookupError: said(False)"),
    "the list of processes": "said(os.path.exists(f\"/proc/{GIVEN['process']}\"))",
    "tracing": "said(libc.ptrace(0, 0, 0, 0) == 0)",
    "the memory of a process": (
        "class Vector(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('size', ctypes.c_size_t)]\n"
        "a, b = ctypes.create_string_buffer(b'secret'), ctypes.create_string_buffer(6)\n"
        "to, of = Vector(ctypes.addressof(b), 6), Vector(ctypes.addressof(a), 6)\n"
        "n = libc.process_vm_readv(os.getpid(), ctypes.byref(to), 1, ctypes.byref(of), 1, 0)\n"
        "said(n == 6 and b.raw == b'secret')"
    ),
    "a new user namespace": "said(libc.unshare(NEWUSER) == 0)",
    "a new user namespace by clone": (
        "sys.stdout.flush()\n"
        "child = libc.syscall(220 if ARM else 56, NEWUSER | signal.SIGCHLD, 0, 0, 0, 0)\n"
        "if child == 0: os._exit(0)\n"
        "said(child > 0)"
    ),
    "a mount": "libc.unshare(NEWUSER | NEWNS)\nsaid(libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0)",
    "another root": "libc.unshare(NEWUSER)\nsaid(libc.chroot(b'/') == 0)",
    "a handle of a file": (
        "handle = ctypes.create_string_buffer(struct.pack('Ii', 128, 0) + bytes(128)); number = ctypes.c_int()\n"
        "said(libc.name_to_handle_at(-100, b'/usr/lib', handle, ctypes.byref(number), 0) == 0)"
    ),
    "a name for the host": "said(libc.unshare(NEWUSER | 0x4000000) == 0 and libc.sethostname(b'x', 1) == 0)",
    "memory without a file": "said(hasattr(os, 'memfd_create') and tried(os.memfd_create, 'x') is not None)",
    "a queue of messages": "said(libc.msgget(0, 0o1600) >= 0)",
}
