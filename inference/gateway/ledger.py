"""The books of one event loop: what calls may use is reserved before them, and what they used is written after them.

Both happen in batches. What cannot be written because the database is away stays here and is offered again: an answer
waits for that a few seconds at most.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from weakref import WeakKeyDictionary

import structlog
from django.db import InterfaceError, OperationalError

from inference import metrics, usage
from inference.gateway.allowances import Denial, Grant, Wish, grant
from inference.gateway.batches import Batches
from inference.usage import Ended, Unsure
from sovereign.accounts.services import quotas
from sovereign.accounts.services.quotas import Reservation
from sovereign.core.database import in_database

log = structlog.get_logger(__name__)

PATIENCE = 3.0  # seconds that an answer waits for its usage to be written
FIRST_RETRY = 0.25  # seconds, doubled …
LAST_RETRY = 5.0  # … up to this
LARGEST_BATCH = 256
MOST_WAITING = 50_000  # ended calls that are kept while the database is away
RENEWAL = quotas.LEASE / 3  # seconds
CLOSING = 5.0  # seconds that the books may take to be closed


Entry = tuple[Ended, asyncio.Future[None]]


class Ledger:
    """Made on first use in a loop; ``close`` writes what is open."""

    def __init__(self) -> None:
        self._wishes: Batches[Wish, Grant | Denial] = Batches(grant, "quotas")
        self._abandoned: set[asyncio.Future[Grant | Denial]] = set()  # wishes of calls that were given up meanwhile
        self._held: dict[str, Reservation] = {}  # of calls that run, by their ids
        self._ended: deque[Entry] = deque()
        self._in_hand: list[Entry] = []  # of them, being written
        self._is_unsure = False  # whether some of them may have been written
        self._writing: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()  # of renewing and of settling: what was settled must not be renewed after it

    async def reserve(self, wish: Wish) -> Grant | Denial:
        """Ask for what a call is about to use.

        :raises DatabaseError: nobody can say.
        """
        answer = self._wishes.put(wish)
        try:
            given = await asyncio.shield(answer)
        except asyncio.CancelledError:
            self._abandoned.add(answer)
            answer.add_done_callback(self._give_back)
            raise
        for reservation in reservations_of(given):
            self._hold(reservation)
        return given

    def _give_back(self, answer: asyncio.Future[Grant | Denial]) -> None:
        """Nobody is there any more to use it."""
        self._abandoned.discard(answer)
        if not answer.cancelled() and answer.exception() is None and (given := reservations_of(answer.result())):
            self.write(Ended(None, reserved=given))

    # ------------------------------------------------------------------------------------- while calls run

    def _hold(self, reservation: Reservation) -> None:
        if reservation.holds_a_call:
            self._held[reservation.id] = reservation
            if self._renewing is None:
                self._renewing = asyncio.create_task(self._renew(), name="quotas of running calls")

    def drop(self, reservations: Iterable[Reservation]) -> None:
        """Their calls are over: they are not renewed any more."""
        for reservation in reservations:
            self._held.pop(reservation.id, None)

    async def _renew(self) -> None:
        """Runs while calls do: their places stay theirs."""
        try:
            while self._held:
                await asyncio.sleep(RENEWAL)
                try:
                    async with self._turn:
                        await in_database(quotas.renew, list(self._held.values()))
                except Exception as error:  # the next round may do better
                    log.warning("calls_not_renewed", error=type(error).__name__)
        finally:
            self._renewing = None

    # ------------------------------------------------------------------------------------- when they ended

    def write(self, ended: Ended) -> asyncio.Future[None]:
        """Have it written; the future is done when it is. It need not be awaited."""
        self.drop(ended.reserved)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended.append((ended, future))
        if len(self._ended) > MOST_WAITING:
            self._lose([self._ended.popleft()])
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="usage")
        return future

    async def written(self, ended: Ended) -> None:
        """Have it written, and wait for that; for a database that is away not for long."""
        await asyncio.wait([self.write(ended)], timeout=PATIENCE)

    async def _write(self) -> None:
        pause = FIRST_RETRY
        try:
            while self._in_hand or self._ended:
                if not self._in_hand:
                    self._in_hand = [self._ended.popleft() for _ in range(min(len(self._ended), LARGEST_BATCH))]
                    self._is_unsure, pause = False, FIRST_RETRY
                self._count_waiting()
                if not await self._commit(self._in_hand, again=self._is_unsure):
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LAST_RETRY)
        finally:
            self._count_waiting()
            self._writing = None

    async def _commit(self, batch: Sequence[Entry], *, again: bool) -> bool:
        """Whether the batch is done with; what has to be offered again stays in hand."""
        calls = [ended for ended, _ in batch]
        try:
            async with self._turn:
                await in_database(partial(usage.record, calls, again=again))
        except (OperationalError, InterfaceError) as error:
            log.warning("usage_not_written", calls=len(calls), error=type(error).__name__)
            self._is_unsure = self._is_unsure or isinstance(error, Unsure)
            return False
        except Exception:  # one of them is not as it should be: the others must not wait for it
            log.exception("usage_refused", calls=len(calls))
            if len(batch) == 1:
                return await self._settle(batch[0])
            return all([await self._commit([one], again=again) for one in batch])
        self._put_away(batch)
        return True

    async def _settle(self, entry: Entry) -> bool:
        """Of a call whose row cannot be written, at least what was reserved is settled."""
        ended, future = entry
        if ended.row is None:
            self._put_away([entry])
            return True
        metrics.USAGE_LOST.inc()
        bare = replace(ended, row=None), future
        self._in_hand = [bare if one[1] is future else one for one in self._in_hand]
        return await self._commit([bare], again=False)

    def _put_away(self, batch: Sequence[Entry]) -> None:
        done = {future for _, future in batch}
        self._in_hand = [one for one in self._in_hand if one[1] not in done]
        _tell(batch)

    def _count_waiting(self) -> None:
        metrics.USAGE_WAITING.set(len(self._in_hand) + len(self._ended))

    def _lose(self, entries: Sequence[Entry]) -> None:
        log.error("usage_lost", calls=len(entries))
        metrics.USAGE_LOST.inc(len(entries))
        _tell(entries)

    async def close(self) -> None:
        """Write what is open; what cannot be written in a few seconds is lost, and said so."""
        await self._wishes.drain(CLOSING)
        while any(answer.done() for answer in self._abandoned):  # their callbacks come with the loop's next turn
            await asyncio.sleep(0)
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=CLOSING)
        tasks = [task for task in (self._writing, self._renewing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if lost := [*self._in_hand, *self._ended]:
            self._in_hand = []
            self._ended.clear()
            self._lose(lost)


def _tell(entries: Sequence[Entry]) -> None:
    """Whoever waits for them may go on."""
    for _, future in entries:
        if not future.done():
            future.set_result(None)


def reservations_of(given: Grant | Denial) -> tuple[Reservation, ...]:
    """Those that have to be settled."""
    found = (given.owner, given.provider if isinstance(given, Grant) else None)
    return tuple(reservation for reservation in found if reservation is not None and reservation.taken_from)


_ledgers: WeakKeyDictionary[asyncio.AbstractEventLoop, Ledger] = WeakKeyDictionary()


def ledger() -> Ledger:
    """The running loop's, made on first use."""
    loop = asyncio.get_running_loop()
    found = _ledgers.get(loop)
    if found is None:
        found = _ledgers[loop] = Ledger()
    return found


async def close_ledger() -> None:
    """Close the running loop's books; the next call opens new ones."""
    found = _ledgers.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.close()
