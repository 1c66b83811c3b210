"""Documents that are broken, or made to break those who read them."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assistants.knowledge.chunking import Chunk
from assistants.knowledge.parsing import archives, forkclient, process, wire
from assistants.knowledge.parsing.process import SENTENCES, TIME_IS_OVER, ParsingFailed
from assistants.knowledge.parsing.reasons import Reason
from assistants.knowledge.retrieval.packing import TooManyWords
from tests.knowledge import documents
from tests.knowledge.test_parsing import read

GARBAGE = random.Random(5).randbytes(4_000)
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def word(body: str) -> bytes:
    """A Word document with this as its main part."""
    return documents.changed(documents.docx(), word__document_xml=body.encode())


def nested(depth: int) -> bytes:
    """An archive in an archive in an archive …, that says it is a Word document."""
    data = b"0" * 1024**2
    for _ in range(depth):
        data = documents.changed(documents.crowded(1), word__inner_xml=data)
    return data


CASES = {
    "garbage in a text": ("a.txt", lambda: GARBAGE, Reason.ENCODING),
    "latin-1 in a text": ("a.md", lambda: "Größe".encode("latin-1"), Reason.ENCODING),
    "half of utf-16": ("a.txt", lambda: "\ufeffab".encode("utf-16-le")[:-1], Reason.ENCODING),
    "garbage in a pdf": ("a.pdf", lambda: GARBAGE, Reason.BROKEN),
    "garbage in a docx": ("a.docx", lambda: GARBAGE, Reason.BROKEN),
    "garbage in a pptx": ("a.pptx", lambda: b"PK\x03\x04" + GARBAGE, Reason.BROKEN),
    "garbage in an xlsx": ("a.xlsx", lambda: GARBAGE, Reason.BROKEN),
    "garbage in xml": ("a.xml", lambda: GARBAGE, Reason.BROKEN),
    "half a docx": ("a.docx", lambda: documents.docx()[:-500], Reason.BROKEN),
    "half a pdf": ("a.pdf", lambda: documents.pdf(["x"])[:100], Reason.BROKEN),
    "a sheet that says it is a letter": ("a.docx", documents.xlsx, Reason.BROKEN),
    "a letter that says it is a show": ("a.pptx", documents.docx, Reason.BROKEN),
    "a letter that says it is a sheet": ("a.xlsx", documents.docx, Reason.BROKEN),
    "an old letter that says it is new": ("a.docx", lambda: b"\xd0\xcf\x11\xe0" + GARBAGE, Reason.PROTECTED),
    "a pdf with a password": ("a.pdf", lambda: documents.pdf(["secret"], password="open"), Reason.PROTECTED),
    "a pdf without text": ("a.pdf", lambda: documents.pdf([], []), Reason.NO_TEXT),
    "nothing": ("a.txt", lambda: b"", Reason.NO_TEXT),
    "a page of scripts": ("a.html", lambda: b"<script>x()</script>", Reason.NO_TEXT),
    "a zip bomb": ("a.docx", lambda: word("<x>" + " " * 60 * 1024**2 + "</x>"), Reason.BOMB),
    "a crowded archive": ("a.docx", lambda: documents.crowded(archives.MAXIMUM_ENTRIES + 1), Reason.BOMB),
    "archives in archives": ("a.docx", lambda: nested(6), Reason.BROKEN),
    "laughs in xml": ("a.xml", lambda: f"{documents.LAUGHS}<x>&a9;</x>".encode(), Reason.BOMB),
    "laughs in a docx": ("a.docx", lambda: word(f"{documents.LAUGHS}<w:p {W}>&a9;</w:p>"), Reason.BOMB),
    "a file of the system in xml": (
        "a.xml",
        lambda: b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
        Reason.BOMB,
    ),
    "a deep docx": ("a.docx", lambda: word("<a>" * 100_000 + "</a>" * 100_000), Reason.BROKEN),
    "a pdf bomb": ("a.pdf", lambda: documents.pdf_bomb(300), Reason.NO_TEXT),  # what unpacks to too much is left out
    "a line of 50 MB": ("a.txt", lambda: b"x" * 50_000_000, Reason.TOO_MANY_TOKENS),
    "too much text": ("a.txt", lambda: b" " * 65 * 1024**2, Reason.TOO_MUCH_TEXT),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_cannot_be_read_is_refused_with_its_reason(case: str) -> None:
    name, data, reason = CASES[case]
    with pytest.raises(ParsingFailed) as failure:
        await read(data(), name)
    assert (failure.value.code, failure.value.message) == ("invalid_file", SENTENCES[reason])


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.html", b"<div>" * 500_000 + b"deep"),
        ("a.xml", b"<a>" * 200_000 + b"deep" + b"</a>" * 200_000),
        ("a.json", b"[" * 500_000 + b"deep"),
        ("a.md", b"> " * 500_000 + b"deep"),
    ],
)
async def test_depth_is_no_danger_where_nothing_is_built(name: str, data: bytes) -> None:
    assert "deep" in await read(data, name)


async def test_a_part_that_lies_about_its_size_is_broken() -> None:
    """The table of contents says less than there is: no more is unpacked than it says."""
    data = bytearray(documents.changed(documents.docx(), word__document_xml=b"<a>" + b" " * 900_000 + b"</a>"))
    place = data.rindex(b"word/document.xml") - 46
    data[place + 24 : place + 28] = (1_000).to_bytes(4, "little")
    with pytest.raises(ParsingFailed, match="damaged"):
        await read(bytes(data), "a.docx")


# ------------------------------------------------------------------------------------------------ the process itself


Taking = Callable[[str], None]


@pytest.fixture
def take_over(monkeypatch: pytest.MonkeyPatch) -> Iterator[Taking]:
    """``take_over(program)``: it runs instead of the reader, as a document might make the reader do."""

    def take(program: str) -> None:
        forkclient.close()
        monkeypatch.setattr(forkclient, "PROGRAM", ("-c", SERVING.format(program=program)))

    yield take
    forkclient.close()


SERVING = """
from assistants.knowledge.parsing import forkserver
forkserver.serve(lambda *_: exec({program!r}, {{}}) or 0)
"""
LIMITED = """
import os, sys
from assistants.knowledge.parsing.limits import give_up_rights
sys.path[0] = os.getcwd()  # as a module that is run has it
{before}
give_up_rights(os.getppid())
try:
    {attempt}
except (OSError, MemoryError):
    sys.exit(12)
sys.exit(13)
"""
FORKING = """
import os, sys, time
child = os.fork()
if child:
    open({written!r}, "w").write(str(child))
    sys.exit(13)
time.sleep(600)
"""
WAITING = """
import os, time
open({written!r}, "w").write(str(os.getpid()))
time.sleep(600)
"""
TYING = """
import os, time
from assistants.knowledge.parsing.limits import give_up_rights
written = open({written!r}, "w")
give_up_rights(os.getppid())
written.write(str(os.getpid()))
written.close()
time.sleep(600)
"""
LISTED = "before = sorted(os.listdir('/proc/self/fd'))"
DENIED, DONE = SENTENCES[Reason.PROTECTED], SENTENCES[Reason.NO_TEXT]


async def outcome(take_over: Taking, attempt: str, before: str = "pass") -> str:
    take_over(LIMITED.format(attempt=attempt, before=before))
    with pytest.raises(ParsingFailed) as failure:
        await read(b"x", "a.txt")
    return failure.value.message


@pytest.mark.parametrize(
    "attempt",
    [
        "bytearray(2 * 1024**3)",
        "os.write(1, b'x' * 400 * 1024**2) == 400 * 1024**2 or os.write(1, b'x')",
        "[os.dup(0) for _ in range(100)]",
        "open('/etc/passwd').read()",
        "open('/proc/%d/environ' % os.getppid()).read()",
        "open('/tmp/written-by-a-parser', 'w')",
        "os.execv('/bin/sh', ['sh', '-c', 'exit 13'])",
        "__import__('socket').create_connection(('127.0.0.1', int(before)))",
    ],
)
async def test_what_a_parser_must_not_do_it_cannot(take_over: Taking, attempt: str) -> None:
    listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        assert await outcome(take_over, attempt, before=f"import socket\nbefore = {port}") == DENIED


async def test_the_reader_may_still_read_what_python_needs(take_over: Taking) -> None:
    assert await outcome(take_over, "import decimal, sqlite3, http.client") == DONE


@pytest.mark.parametrize(
    "attempt", ["open('manage.py').close()", "open(os.path.abspath('assistants/knowledge/apps.py'))"]
)
async def test_the_folder_of_the_server_is_closed_to_the_reader(take_over: Taking, attempt: str) -> None:
    """The key, the database and everybody's files may be below it. What is refused was possible a moment before."""
    assert await outcome(take_over, attempt, before=attempt) == DENIED


async def test_the_reader_knows_no_secrets(take_over: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOVEREIGN_SECRET_KEY", "hidden")
    assert await outcome(take_over, "sys.exit(13 if 'hidden' in os.environ.values() else 12)") == DENIED


async def test_descriptors_of_the_server_are_not_inherited(take_over: Taking) -> None:
    reading, writing = os.pipe()
    try:
        os.set_inheritable(reading, True)
        assert await outcome(take_over, f"os.fstat({reading})") == DENIED
    finally:
        os.close(reading)
        os.close(writing)


async def test_a_reader_has_three_descriptors(take_over: Taking) -> None:
    """Neither the socket that starts readers nor another document: 3 is what lists them."""
    assert await outcome(take_over, "sys.exit(13 if before == list('0123') else 12)", before=LISTED) == DONE


async def test_readers_are_copies_that_share_nothing(take_over: Taking) -> None:
    """What one has changed in itself, the next does not find."""
    for _ in range(2):
        take_over("import os, sys\nfound = hasattr(os, 'taken')\nos.taken = True\nsys.exit(12 if found else 13)")
        for _ in range(2):
            with pytest.raises(ParsingFailed, match="no text"):
                await read(b"x", "a.txt")


async def test_many_documents_are_read_at_once() -> None:
    names = [f"number {number}" for number in range(20)]
    assert await asyncio.gather(*(read(name.encode(), "a.txt") for name in names)) == names


async def test_a_reading_that_is_cancelled_when_it_is_done_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its socket is closed by then; that this cannot be told anybody is no error of the storage's."""
    answered, go = asyncio.Event(), asyncio.Event()

    async def answer(mine: socket.socket) -> int:
        mine.close()
        answered.set()
        await go.wait()
        return 0

    monkeypatch.setattr(forkclient, "_answer", answer)
    reading = asyncio.create_task(read(b"x", "a.txt"))
    await answered.wait()
    reading.cancel()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_where_the_server_of_readers_dies_its_readers_do_and_the_next_document_gets_another(
    take_over: Taking, tmp_path: Path
) -> None:
    written = tmp_path / "pid"
    take_over(TYING.format(written=str(written)))
    reading = asyncio.create_task(read(b"x", "a.txt"))
    async with asyncio.timeout(60):
        while not _number_in(written):
            await asyncio.sleep(0.01)
        os.kill(forkclient._running().process.pid, signal.SIGKILL)
        with pytest.raises(OSError, match="has ended"):
            await reading
        while _runs(_number_in(written)):
            await asyncio.sleep(0.01)
    written.unlink()
    take_over("import sys\nsys.exit(13)")
    with pytest.raises(ParsingFailed, match="no text"):
        await read(b"x", "a.txt")


async def test_who_takes_too_long_is_ended(take_over: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "TIMEOUT", 2.0)
    begun = time.monotonic()
    assert await outcome(take_over, "__import__('time').sleep(600)") == TIME_IS_OVER
    assert time.monotonic() - begun < 60


async def test_what_the_reader_started_ends_with_it(take_over: Taking, tmp_path: Path) -> None:
    """Without limits, as where none can be set: whatever it leaves behind is in its group, and ends."""
    written = tmp_path / "pid"
    take_over(FORKING.format(written=str(written)))
    with pytest.raises(ParsingFailed):
        await read(b"x", "a.txt")
    async with asyncio.timeout(60):
        while _runs(_number_in(written)):
            await asyncio.sleep(0.01)


async def test_a_reading_that_is_cancelled_leaves_no_process(take_over: Taking, tmp_path: Path) -> None:
    written = tmp_path / "pid"
    take_over(WAITING.format(written=str(written)))
    reading = asyncio.create_task(read(b"x", "a.txt"))
    async with asyncio.timeout(60):
        while not _number_in(written):
            await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not _runs(_number_in(written))


def written(text: bytes, *spans: tuple[int, int, int], size: int = 0) -> bytes:
    """:param spans: tokens, first character, and size of each chunk."""
    return wire.HEADER.pack(size or len(text)) + text + b"".join(wire.SPAN.pack(*span) for span in spans)


@pytest.mark.parametrize(
    "output",
    [
        b"",
        written(b"ok", (1, 0, 2))[:5],
        written(b"ok", (1, 0, 2)) + b"more",
        written(b"ok"),
        written(b"ok", (1, 0, 2), size=3),
        written(b"ok", (1, 0, 2), size=2**32 - 1),
        written(b"ok", (1, 0, 3)),
        written(b"ok", (1, 2, 2**32 - 1)),
        written(b"x" * 1_000, (10, 0, 1_000)),
        written(b"ok", (801, 0, 2)),
        written(b"ok", (0, 0, 2)),
        written(b"", (1, 0, 0)),
        written(b"two", (1, 1, 1), (1, 0, 3)),
        written(b"two", (1, 0, 2), (1, 1, 1)),
        written(b"\xed\xa0", (1, 0, 2)),
        written(b"o\0", (1, 0, 2)),
    ],
)
async def test_what_the_reader_writes_is_not_believed(take_over: Taking, output: bytes) -> None:
    take_over(f"import os\nos.write(1, {output!r})")
    with pytest.raises(ParsingFailed) as failure:
        await read(b"x", "a.txt")
    assert failure.value.message == SENTENCES[Reason.BROKEN]


WHOLE_BUT_LATE = """
import os, time
os.write(1, {first!r})
while not os.path.exists({told!r}):
    time.sleep(0.01)
os.write(1, {rest!r})
"""


async def test_chunks_are_given_out_while_the_next_are_cut(take_over: Taking, tmp_path: Path) -> None:
    told, given = tmp_path / "told", []
    output = written(b"onetwo", (1, 0, 3), (1, 3, 3))
    cut = len(output) - wire.SPAN.size + 2  # in the middle of the second
    take_over(WHOLE_BUT_LATE.format(first=output[:cut], rest=output[cut:], told=str(told)))

    async def meanwhile(some: list[Chunk]) -> None:
        given.append([chunk.text for chunk in some])
        told.touch()

    with tempfile.TemporaryFile() as file:
        found = await process.read(file, "a.txt", maximum=800, overlap=0, meanwhile=meanwhile)
    assert given == [["one"], ["two"]]
    assert [chunk.text for chunk in found] == ["one", "two"]


async def test_who_wants_no_more_chunks_ends_the_process(take_over: Taking, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    output = written(b"one", (1, 0, 3))
    take_over(f"import os\nos.write(1, {output!r})\n" + WAITING.format(written=str(pid)))

    async def enough(some: list[Chunk]) -> None:
        while not _number_in(pid):
            await asyncio.sleep(0.01)
        raise TooManyWords

    with tempfile.TemporaryFile() as file, pytest.raises(TooManyWords):
        await process.read(file, "a.txt", maximum=800, overlap=0, meanwhile=enough)
    assert not _runs(_number_in(pid))


async def test_the_reader_cannot_make_more_chunks_than_there_may_be(
    take_over: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "MAXIMUM_CHUNKS", 3)
    for number in (3, 4):
        spans = [(1, 2 * place, 2) for place in range(number)]
        take_over(f"import os\nos.write(1, {written(b'ok' * number, *spans)!r})")
        if number == 3:
            assert await read(b"x", "a.txt") == "ok\n---\nok\n---\nok"
        else:
            with pytest.raises(ParsingFailed, match="damaged"):
                await read(b"x", "a.txt")


async def test_the_reader_cannot_repeat_a_text_without_end(take_over: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAXIMUM_CHUNKED", 10)
    for text, last in ((b"a text", 4), (b"a test", 5)):
        take_over(f"import os\nos.write(1, {written(text, (1, 0, last), (1, 0, 6))!r})")
        if last == 4:
            assert await read(b"x", "a.txt") == "a te\n---\na text"
        else:
            with pytest.raises(ParsingFailed, match="damaged"):
                await read(b"x", "a.txt")


async def test_a_file_of_too_many_chunks_is_refused() -> None:
    with pytest.raises(ParsingFailed, match="more than 50,000 chunks"):
        await read(b"word " * 60_000, "a.txt", maximum=1)


# ------------------------------------------------------------------------------------------------ not the file's fault


@pytest.mark.parametrize("program", ["import os\nos.kill(os.getpid(), 9)", "import sys\nsys.exit(19)"])
async def test_a_lack_of_memory_or_room_is_not_the_documents_fault(take_over: Taking, program: str) -> None:
    take_over(program)
    with pytest.raises(OSError, match="ended with status"):
        await read(b"x", "a.txt")


@pytest.mark.parametrize("text", [b"few words", b"many words " * 100_000])
def test_a_full_disk_is_told_from_a_broken_document(text: bytes) -> None:
    """Both where the text fills the buffer and where it is written at the end."""
    program = (
        f"import sys; from assistants.knowledge.parsing.child import main; sys.exit(main('txt', 800, 0, {os.getpid()}))"
    )
    command = [sys.executable, "-c", program]
    with tempfile.TemporaryFile() as document, Path("/dev/full").open("wb") as full:
        document.write(text)
        document.seek(0)
        assert subprocess.run(command, stdin=document, stdout=full, cwd=forkclient.ROOT).returncode == Reason.NO_ROOM


async def test_the_time_of_the_processor_is_told_from_a_lack_of_memory(take_over: Taking) -> None:
    before = "from assistants.knowledge.parsing import limits\nlimits.SECONDS = 1"
    assert await outcome(take_over, "any(iter(int, 1))", before=before) == TIME_IS_OVER


def _number_in(path: Path) -> int:
    """0 where nothing is written yet."""
    return int(path.read_text() or 0) if path.exists() else 0


def _runs(pid: int) -> bool:
    """Whether there is such a process, other than one that has ended and whose parent has not looked yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the second, where it is gone between opening and reading
        return False
    return state not in "ZX"
