"""Group commit: what concurrent calls want of the database is done in one transaction for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sovereign.core.database import in_database

Item = TypeVar("Item")
Answer = TypeVar("Answer")

LARGEST = 256  # items of one batch


class Batches(Generic[Item, Answer]):
    """The first item is worked on at once; what comes meanwhile is the next batch.

    :param work: answers a batch, in its order; synchronous, uses the database.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Answer]], name: str) -> None:
        self._work = work
        self._name = name
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._task: asyncio.Task[None] | None = None

    def put(self, item: Item) -> asyncio.Future[Answer]:
        """What becomes of it; it may be awaited, shielded, or left alone."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self._name)
        return future

    async def drain(self, seconds: float) -> None:
        """Wait until nothing is under way, but no longer than that."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
                await self._answer(batch)
        finally:
            self._task = None

    async def _answer(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await in_database(self._work, [item for item, _ in batch])
        except Exception as error:  # whoever waits for it decides what it means
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # nobody may wait any more
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
