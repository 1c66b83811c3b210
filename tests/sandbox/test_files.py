"""Files go in and out through the runner's pipe, and only regular ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runs.sandbox.limits import MIB
from runs.sandbox.outputs import FileRefused, SandboxUnavailable
from runs.sandbox.session import safe_name
from runs.sandbox.sessions import Session
from runs.sandbox.wire import PIECE
from tests.sandbox.conftest import SMALL, Run, put, read


@pytest.mark.sandbox
async def test_a_file_goes_in_and_what_the_code_makes_of_it_comes_out(session: Session, run: Run) -> None:
    path = await put(session, "data.csv", b"a,b\n1,2\n")
    assert path == "/mnt/data/data.csv"
    await run("text = open('data.csv').read(); _ = open('/mnt/data/out.csv', 'w').write(text * 2)")
    assert await read(session, "/mnt/data/out.csv") == b"a,b\n1,2\n" * 2


@pytest.mark.sandbox
async def test_a_long_one_goes_in_and_comes_out_in_pieces(session: Session, run: Run) -> None:
    content = bytes(range(256)) * 5_000
    pieces = [content[:1], content[1:600_000], content[600_000:]]
    path = await session.put("x.bin", pieces, size=len(content))
    assert await read(session, path) == content
    sizes: list[int] = []

    async def take(piece: bytes) -> None:
        sizes.append(len(piece))

    await session.read(path, take)
    assert (sum(sizes), max(sizes)) == (len(content), PIECE)
    assert (await run("import hashlib; print(hashlib.sha256(open('x.bin', 'rb').read()).hexdigest()[:8])")).logs != ""


@pytest.mark.sandbox
async def test_names_are_made_safe_and_unique(session: Session) -> None:
    assert await put(session, "../../etc/passwd", b"1") == "/mnt/data/passwd"
    assert await put(session, "passwd", b"2") == "/mnt/data/passwd-2"
    assert await put(session, "a.tar.gz", b"3") == "/mnt/data/a.tar.gz"
    assert await put(session, "a.tar.gz", b"4") == "/mnt/data/a.tar-2.gz"
    assert await read(session, "/mnt/data/passwd") == b"1"
    assert set(await session.files()) == {
        f"/mnt/data/{name}" for name in ("passwd", "passwd-2", "a.tar.gz", "a.tar-2.gz")
    }


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("data.csv", "data.csv"),
        ("C:\\Users\\a\\b.txt", "b.txt"),
        ("..", "file"),
        ("", "file"),
        (".bashrc", "bashrc"),
        ("a\0b\nc;rm -rf.py", "a_b_c_rm -rf.py"),
        ("Übersicht 2026.xlsx", "Übersicht 2026.xlsx"),
        ("x" * 300 + ".csv", "x" * 100 + ".csv"),
        ("a\ud800.txt", "a_.txt"),
        ("-rf", "-rf"),
    ],
)
def test_safe_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.sandbox
async def test_changes_show_in_the_list(session: Session, run: Run) -> None:
    await put(session, "a", b"1")
    before = await session.files()
    await run("import os\nos.makedirs('d/e'); open('d/e/f', 'w').write('ab')\nopen('a', 'w').write('2')")
    after = await session.files()
    assert set(after) == {"/mnt/data/a", "/mnt/data/d/e/f"}
    assert after["/mnt/data/d/e/f"].size == 2
    assert after["/mnt/data/a"] != before["/mnt/data/a"]


@pytest.mark.sandbox
async def test_what_is_no_regular_file_is_neither_listed_nor_read(session: Session, run: Run) -> None:
    code = (
        "import os, socket\n"
        "os.symlink('/opt/python/bin/python3.11', 'link'); os.symlink('.', 'loop')\n"
        "os.mkfifo('fifo'); os.mkdir('folder')\n"
        "s = socket.socket(socket.AF_UNIX); s.bind('socket')\n"
        "_ = open('plain', 'w').write('x')"
    )
    assert (await run(code)).ended.how == "ok"
    assert list(await session.files()) == ["/mnt/data/plain"]
    for name in ("link", "fifo", "folder", "socket", "missing", "loop/fifo", "../data/link"):
        with pytest.raises(FileRefused):
            await read(session, f"/mnt/data/{name}")
    for path in ("/opt/runner/inside/main.py", "/mnt/data/../../dev/zero", "/dev/zero", "plain\0", ""):
        with pytest.raises(FileRefused):
            await read(session, path)
    assert await read(session, "/mnt/data/loop/plain") == b"x"
    assert session.is_alive


@pytest.mark.sandbox
async def test_devices_cannot_be_made(run: Run) -> None:
    done = await run("import os, stat\nos.mknod('disk', 0o600 | stat.S_IFBLK, os.makedev(254, 0))")
    assert done.ended.message.startswith("PermissionError")


@pytest.mark.sandbox
async def test_sparse_and_large_files_are_refused_before_they_are_read(session: Session, run: Run) -> None:
    done = await run("import os\nopen('sparse', 'w').close(); os.truncate('sparse', 10**12)")
    assert done.ended.how == "error"
    await run(f"os.truncate('sparse', {SMALL.disk})")
    with pytest.raises(FileRefused, match="bytes, and 1,000 may be read"):
        await read(session, "/mnt/data/sparse", maximum=1_000)
    assert len(await read(session, "/mnt/data/sparse")) == SMALL.disk


@pytest.mark.sandbox
async def test_what_does_not_fit_is_refused_and_the_session_goes_on(session: Session, run: Run) -> None:
    with pytest.raises(FileRefused, match="fit into the sandbox"):
        await put(session, "large", b"x" * (SMALL.disk + 1))
    await put(session, "half", b"x" * (5 * MIB))
    with pytest.raises(FileRefused, match="no room"):
        await put(session, "other", b"x" * (5 * MIB))
    assert list(await session.files()) == ["/mnt/data/half"]
    assert (await run("2 + 3")).logs == "5\n"


@pytest.mark.sandbox
async def test_what_is_too_large_is_not_even_looked_at(session: Session) -> None:
    def pieces() -> Iterator[bytes]:
        raise AssertionError
        yield b""

    with pytest.raises(FileRefused, match="fit into the sandbox"):
        await session.put("large", pieces(), size=SMALL.disk + 1)


@pytest.mark.sandbox
async def test_who_cannot_give_or_take_a_file_says_so(session: Session, run: Run) -> None:
    def pieces(*, after: int) -> Iterator[bytes]:
        yield from [b"x" * 1_000] * after
        raise FileRefused("It is not there.")

    async def take(piece: bytes) -> None:
        raise FileRefused("There is no room outside.")

    with pytest.raises(FileRefused, match="not there"):
        await session.put("a", pieces(after=0), size=2_000)
    await run("open('b', 'wb').write(bytes(10**6))")
    with pytest.raises(FileRefused, match="no room outside"):
        await session.read("/mnt/data/b", take)
    assert (await run("2 + 3")).logs == "5\n"  # the session goes on
    with pytest.raises(SandboxUnavailable):
        await session.put("a", pieces(after=1), size=2_000)
    assert not session.is_alive


@pytest.mark.sandbox
@pytest.mark.parametrize("size", [999, 1_001])
async def test_a_file_that_is_not_as_long_as_was_said_ends_the_session(session: Session, size: int) -> None:
    with pytest.raises(SandboxUnavailable):
        await session.put("a", [b"x" * 1_000], size=size)
    assert not session.is_alive


@pytest.mark.sandbox
async def test_a_full_disk_is_the_codes_own_error(session: Session, run: Run) -> None:
    done = await run("with open('a', 'wb') as target:\n  while True: target.write(b'x' * 2**20)")
    assert done.ended.how == "error"
    assert "OSError" in done.ended.message
    done = await run("for n in range(10**6): open(f'/tmp/{n}', 'wb').write(b'x' * 2**20)")
    assert "OSError" in done.ended.message
    for place in ("/", "/dev", "/opt", "/usr/lib", "/mnt"):
        assert "OSError" in (await run(f"open('{place}/a', 'w')")).ended.message
    assert session.is_alive


@pytest.mark.sandbox
async def test_no_more_than_so_many_files_can_be_made(run: Run) -> None:
    for place in ("/mnt/data", "/tmp"):
        done = await run(f"for n in range(10**6): open(f'{place}/{{n}}', 'w').close()")
        assert done.ended.message.startswith("OSError: [Errno 28] No space left on device")


@pytest.mark.sandbox
async def test_many_files_are_listed_up_to_a_number(session: Session, run: Run) -> None:
    await run("for n in range(1500): open(f'{n}', 'w').close()")
    assert len(await session.files()) == 1_000


@pytest.mark.sandbox
async def test_names_that_are_no_text_are_left_out(session: Session, run: Run) -> None:
    await run("open(b'\\xff\\xfe', 'w').close(); open('good', 'w').close()")
    assert list(await session.files()) == ["/mnt/data/good"]
