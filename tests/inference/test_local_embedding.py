"""The embedder of this process has threads of its own, takes a bounded number of requests, and stops for nobody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest

from inference.adapters import adapter_for, local
from inference.adapters.base import Endpoint
from inference.calls import Embedded, EmbeddingRequest
from inference.chat import EngineBusy, InferenceError, Usage
from inference.embedder import TextTooLong, Vectors
from tests.inference.conftest import until

ENDPOINT = Endpoint(engine_id="local", kind="local", base_url="", model="m")


class Embedder:
    """Makes one-dimensional vectors; ``go_on`` holds it."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.go_on.set()
        self.groups: list[int] = []
        self.threads: set[str] = set()

    def embed_counted(self, texts: Sequence[str], dimensions: int | None = None) -> Vectors:
        self.groups.append(len(texts))
        self.threads.add(threading.current_thread().name)
        assert self.go_on.wait(60)
        if "long" in texts:
            raise TextTooLong(texts.index("long"), 8)
        return Vectors([[float(len(text))] for text in texts], [2] * len(texts))


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Embedder]:
    embedder = Embedder()
    monkeypatch.setattr(local, "local_embedder", lambda: embedder)
    monkeypatch.setattr(local, "TEXTS_AT_ONCE", 2)
    yield embedder
    embedder.go_on.set()


async def embed(*texts: str) -> Embedded:
    return await adapter_for("local").embed(ENDPOINT, EmbeddingRequest(model="m", texts=list(texts)))


async def test_groups_become_one_answer(embedder: Embedder) -> None:
    assert await embed("a", "bb", "ccc") == Embedded([[1.0], [2.0], [3.0]], Usage(6, 0))
    assert embedder.groups == [2, 1]
    assert all(name.startswith("embedder") for name in embedder.threads)


async def test_the_text_that_is_too_long_is_counted_from_the_first(embedder: Embedder) -> None:
    with pytest.raises(InferenceError, match=r"input\[3\]: The text has more than 8 tokens"):
        await embed("a", "b", "c", "long")


async def test_no_more_wait_than_there_are_places(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    places = threading.BoundedSemaphore(1)
    monkeypatch.setattr(local, "_places", places)
    embedder.go_on.clear()
    first = asyncio.ensure_future(embed("a"))
    await until(lambda: embedder.groups)
    with pytest.raises(EngineBusy) as caught:
        await embed("b")
    assert caught.value.retry_after == local.RETRY_AFTER
    embedder.go_on.set()
    assert (await first).vectors == [[1.0]]
    await until(lambda: places._value)
    assert (await embed("cc")).vectors == [[2.0]]


async def test_what_nobody_waits_for_ends_after_a_group(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    places = threading.BoundedSemaphore(1)
    monkeypatch.setattr(local, "_places", places)
    embedder.go_on.clear()
    call = asyncio.ensure_future(embed(*"abcdefgh"))
    await until(lambda: embedder.groups)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    with pytest.raises(EngineBusy):  # it works on
        await embed("x")
    embedder.go_on.set()
    await until(lambda: places._value)
    assert embedder.groups == [2]
