"""Deltas of model calls, handed on in bunches: what came together is sent together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from inference.chat import Delta, Finished, InferenceError, TextDelta, ToolCallDelta

FULL = 1_024  # deltas that may wait for a slow reader; then nothing more is read from the engine
HEAVY = 256 * 1024  # bytes of them
AT_ONCE = 64  # calls of one request; the others wait for their turn
PIECE = 128  # bytes that a delta takes besides what it says
LIKELIHOOD = 400  # bytes of a token with its logprob, besides its text


def weight(delta: Delta) -> int:
    """About how many bytes it takes in memory."""
    if isinstance(delta, TextDelta):
        return PIECE + len(delta.text) + (_weight_of_logprobs(delta.logprobs) if delta.logprobs else 0)
    if isinstance(delta, Finished):
        return PIECE
    return PIECE + len(delta.arguments if isinstance(delta, ToolCallDelta) else delta.text)


def _weight_of_logprobs(entries: list[dict[str, Any]]) -> int:
    tokens = [one for entry in entries for one in (entry, *entry["top_logprobs"])]
    return sum(LIKELIHOOD + len(one["token"]) + 8 * len(one["bytes"] or ()) for one in tokens)


class Pump:
    """The deltas of one call or of several at once, each with the number of its call.

    An adapter gives the deltas of one piece of network traffic without waiting in between, so that the task which takes
    them has all of them before whoever waits for the next bunch goes on.
    """

    def __init__(self, sources: Sequence[AsyncGenerator[Delta, None]]) -> None:
        self._arrived: list[tuple[int, Delta]] = []
        self._weight = 0  # bytes that have arrived
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._failure: Exception | None = None
        self._running = len(sources)
        self._tasks = [asyncio.create_task(self._take(number, source)) for number, source in enumerate(sources)]

    async def next(self) -> list[tuple[int, Delta]]:
        """What has arrived since the last time, at least one; nothing once every call has ended.

        :raises InferenceError: a call failed, and what came before was given out.
        """
        while not self._arrived and self._failure is None and self._running:
            self._news.clear()
            await self._news.wait()
        if not self._arrived and self._failure is not None:
            raise self._failure
        arrived, self._arrived, self._weight = self._arrived, [], 0
        self._room.set()
        return arrived

    async def close(self) -> None:
        """End the calls that are still going."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, number: int, source: AsyncGenerator[Delta, None]) -> None:
        is_finished = False
        try:
            async with self._turn, aclosing(source):
                async for delta in source:
                    self._arrived.append((number, delta))
                    self._weight += weight(delta)
                    self._news.set()
                    is_finished = type(delta) is Finished
                    while len(self._arrived) >= FULL or self._weight >= HEAVY:
                        self._room.clear()
                        await self._room.wait()
            if not is_finished:
                raise InferenceError("The model stopped in the middle of its answer.")
        except Exception as error:
            self._failure = self._failure or error
        finally:
            self._running -= 1
            self._news.set()
