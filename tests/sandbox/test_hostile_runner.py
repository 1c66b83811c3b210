"""The code may take over the process beside it: what comes out of a session is never believed."""

from __future__ import annotations

import asyncio
import os
import struct
from dataclasses import replace
from typing import Any
from unittest.mock import Mock, patch

import pytest

from runs.sandbox.execution import PNG, Execution
from runs.sandbox.outputs import Ended, FileRefused, Image, Logs, SandboxUnavailable
from runs.sandbox.sessions import Sandbox, Session
from runs.sandbox.watching import Use
from runs.sandbox.wire import MARK, Broken, Frames, Printed, parsed
from tests.sandbox.conftest import SMALL, Run, ran, read

#: finds the runner's own pipe to the server, and says something there
FORGE = (
    "import gc, json, os, struct\n"
    "wire = next(o for o in gc.get_objects() if type(o).__name__ == 'Wire')\n"
    "def say(kind, content): os.write(wire._target, struct.pack('>cI', kind, len(content)) + content)\n"
)


def frames_of(*pieces: bytes, longest: int = 100) -> Frames:
    reader = asyncio.StreamReader()
    for piece in pieces:
        reader.feed_data(piece)
    reader.feed_eof()
    writer: Any = None
    return Frames(reader, writer, longest)


def frame(kind: bytes, content: bytes, size: int | None = None) -> bytes:
    return struct.pack(">cI", kind, len(content) if size is None else size) + content


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"J",
        b"J\0\0",
        frame(b"J", b"{}", 3),
        frame(b"X", b"{}"),
        frame(b"\0", b""),
        frame(b"J", b"", 2**32 - 1),
        frame(b"J", b"", 1024**2 + 1),
        frame(b"P", b"", 101),
        frame(b"J", b"{"),
        frame(b"J", b"[]"),
        frame(b"J", b"1"),
        frame(b"J", b'"\xff"'),
        frame(b"J", b"[" * 100_000),
        frame(b"J", b'{"a":' * 100_000),
        frame(b"D", b"{}"),
        frame(b"P", b"{}"),
    ],
)
async def test_what_is_no_document_is_broken(sent: bytes) -> None:
    with pytest.raises(Broken):
        await frames_of(sent).document()


@pytest.mark.parametrize(
    "sent",
    [
        frame(b"D", b"abc"),
        frame(b"D", b"abc") + frame(b"D", b""),
        frame(b"D", b"abc") + frame(b"J", b"a"),
        frame(b"D", b"abcde"),
        frame(b"D", b"", 2**31),
    ],
)
async def test_data_is_as_long_as_was_said_or_broken(sent: bytes) -> None:
    with pytest.raises(Broken):
        [piece async for piece in frames_of(sent).data(4)]


async def test_pieces_come_as_they_were_sent() -> None:
    sent = frame(b"D", b"abc") + frame(b"D", b"d")
    assert [piece async for piece in frames_of(*(bytes([byte]) for byte in sent)).data(4)] == [b"abc", b"d"]


@pytest.mark.parametrize(
    ("said", "first", "second"),
    [
        (b"before" + MARK + b"after", "before", "after"),
        (b"before" + MARK + b"after" + MARK, "before", "after\N{REPLACEMENT CHARACTER}"),
        (MARK + b"after", "", "after"),
        (b"before", "before", ""),  # who sends a figure need not say where it stands
    ],
)
async def test_a_figure_stands_where_it_was_made(said: bytes, first: str, second: str) -> None:
    """Also where all of it is there before any of it is looked at."""
    printed = Printed()
    os.write(printed.target, said)
    printed.forget_target()
    frames = frames_of(frame(b"P", PNG), frame(b"J", b'{"ended": "ok"}'))
    inmates: Any = Mock(printed=printed, frames=frames, use=lambda: Use(0, {}, 0.0))
    with patch.object(frames, "send"):
        outputs = [output async for output in Execution(inmates, SMALL, 20).outputs("")]
    printed.close()
    expected = [Logs(first), Image(PNG), Logs(second), Ended("ok")]
    assert outputs == [output for output in expected if output != Logs("")]


def test_numbers_that_are_none_are_no_document() -> None:
    with pytest.raises(Broken):
        parsed(b"J", b'{"a": NaN}')


@pytest.mark.sandbox
@pytest.mark.parametrize(
    "said",
    [
        "say(b'J', b'{\"ended\": \"fine\"}')",
        "say(b'J', b'{\"ended\": [\"ok\"]}')",
        "say(b'J', b'[]')",
        "say(b'J', b'{' * 10**6)",
        "say(b'P', b'no picture')",
        "say(b'P', b'<svg>')",
        "say(b'Q', b'')",
        "os.write(wire._target, b'J' + b'\\xff' * 10)",
        "os.close(wire._target)",
        "os.close(wire._source)",
        "os.closerange(3, 60)",
        "os._exit(0)",
        "import signal; os.kill(os.getpid(), 9)",
        "import ctypes; ctypes.string_at(0)",
        "type(wire).send_frame = None",
        "type(wire).send_frame = lambda wire, kind, content: os.write(wire._target, b'x' * 10**6)",
    ],
)
async def test_a_forged_frame_ends_the_session_and_nothing_else(
    run: Run, session: Session, sandbox: Sandbox, said: str
) -> None:
    done = await run(f"{FORGE}{said}\nimport time; time.sleep(0.05)", seconds=5)
    again = await sandbox.session(key="thread_1")
    if said == "os.close(wire._source)":  # it could still say how it ended, and cannot be asked again
        assert done.ended.how == "ok"
        done = await ran(again, "1")
        again = await sandbox.session(key="thread_1")
    assert done.ended.how == "killed"
    assert done.ended.message.endswith("Its variables and files are gone.")
    assert again is not session
    assert again.fresh
    assert (await ran(again, "2 + 3")).logs == "5\n"


@pytest.mark.sandbox
async def test_an_ending_that_was_forged_ends_only_what_it_belongs_to(run: Run) -> None:
    done = await run(f'{FORGE}say(b\'J\', b\'{{"ended": "error", "message": "a\\\\u0000\\\\nb\\\\ud800"}}\')')
    assert (done.ended.how, "\0" in done.ended.message) in (("error", False), ("killed", False))


@pytest.mark.sandbox
async def test_too_many_pictures_are_left_out(run: Run) -> None:
    done = await run(f"{FORGE}for n in range(50): say(b'P', b'\\x89PNG\\r\\n\\x1a\\n')")
    assert (done.ended.how, len(done.images), done.ended.unseen) == ("ok", 20, 30)


@pytest.mark.sandbox
@pytest.mark.parametrize(
    "listed",
    [
        "[['/etc/passwd', 1, 1]]",
        "[['/mnt/data/a', -1, 1]]",
        "[['/mnt/data/a', 1, 2**70]]",
        "[['/mnt/data/a', 1]]",
        "[['/mnt/data/' + 'a' * 2000, 1, 1]]",
        "[['/mnt/data/a\\0', 1, 1]]",
        "[[1, 1, 1]]",
        "[['/mnt/data/a', True, 'x']]",
        "[['/mnt/data/a', 1, 1]] * 2000",
        "{}",
        "None",
    ],
)
async def test_a_list_of_files_that_is_none_ends_the_session(run: Run, session: Session, listed: str) -> None:
    await run(f"import inside.files\ninside.files.listed = lambda: {listed}")
    with pytest.raises(SandboxUnavailable):
        await session.files()
    assert not session.is_alive


@pytest.mark.sandbox
@pytest.mark.parametrize(
    "sending",
    [
        "wire.send({'size': 10**12})",
        "wire.send({'size': -1})",
        "wire.send({'size': '1'})",
        "wire.send({})",
        "wire.send({'size': 3}); wire.send_frame(b'D', b'abcdef')",
        "wire.send({'size': 3}); wire.send_frame(b'J', b'abc')",
    ],
)
async def test_a_file_that_is_not_what_was_said_ends_the_session(run: Run, session: Session, sending: str) -> None:
    await run(f"import inside.files\ndef send(wire, *_): {sending}\ninside.files.send = send")
    with pytest.raises(SandboxUnavailable):
        await read(session, "/mnt/data/a")
    assert not session.is_alive


@pytest.mark.sandbox
async def test_a_reason_is_one_line_of_text(run: Run, session: Session) -> None:
    await run("import inside.files\ndef send(*_): raise inside.files.Refused('a\\0\\nb' + 'c' * 9999)")
    await run("inside.files.send = send")
    with pytest.raises(FileRefused, match=r"^a bc{100,497}$"):
        await read(session, "/mnt/data/a")


@pytest.mark.sandbox
async def test_who_never_answers_is_ended(needs_sandbox: None) -> None:
    sandbox = Sandbox(limits=replace(SMALL, file=0.3), maximum=1, idle=600, spare=False)
    session = await sandbox.session(key="silent")
    await ran(session, "import inside.files, time\ninside.files.listed = lambda: time.sleep(1000)")
    with pytest.raises(SandboxUnavailable):
        await session.files()
    assert not session.is_alive
    await sandbox.close()


@pytest.mark.sandbox
async def test_who_is_cancelled_while_waiting_ends_the_session(session: Session, run: Run) -> None:
    await run("import inside.files, time\ninside.files.listed = lambda: time.sleep(1000)")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await session.files()
    assert not session.is_alive
