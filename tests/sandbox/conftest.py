"""Sessions with small limits, so that what is too much is so quickly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

import pytest
import pytest_asyncio

from runs.sandbox import probing
from runs.sandbox.limits import MIB, Limits
from runs.sandbox.outputs import Ended, Image, Logs
from runs.sandbox.sessions import Sandbox, Session
from tests.support.fixtures import skip_ring

SMALL = Limits(
    memory=160 * MIB,
    disk=8 * MIB,
    scratch=4 * MIB,
    files=2_000,
    processes=24,
    open_files=64,
    output=64 * 1024,
    grace=0.5,
    idle_processor=0.2,
)


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a piece of code."""

    logs: str
    images: list[bytes]
    ended: Ended


Run = Callable[..., Awaitable[Ran]]


async def ran(session: Session, code: str, *, seconds: float = 20.0) -> Ran:
    logs, images = "", []
    async with aclosing(session.run(code, seconds=seconds)) as outputs:
        async for output in outputs:
            match output:
                case Logs(text):
                    logs += text
                case Image(png):
                    images.append(png)
                case Ended():
                    ended = output
    return Ran(logs, images, ended)


async def put(session: Session, name: str, content: bytes) -> str:
    return await session.put(name, [content] if content else [], size=len(content))


async def read(session: Session, path: str, *, maximum: int = 0) -> bytes:
    pieces: list[bytes] = []

    async def take(piece: bytes) -> None:
        pieces.append(piece)

    await session.read(path, take, maximum=maximum)
    return b"".join(pieces)


@pytest.fixture(scope="session")
def needs_sandbox() -> None:
    if reason := probing.missing():
        skip_ring(reason)


@pytest_asyncio.fixture
async def sandbox(needs_sandbox: None) -> AsyncIterator[Sandbox]:
    made = Sandbox(limits=SMALL, maximum=4, idle=600, spare=False)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def session(sandbox: Sandbox) -> Session:
    return await sandbox.session(key="thread_1")


@pytest.fixture
def run(session: Session) -> Run:
    """``await run(code, seconds=…)`` in the session ``thread_1``."""

    async def here(code: str, *, seconds: float = 20.0) -> Ran:
        return await ran(session, code, seconds=seconds)

    return here
