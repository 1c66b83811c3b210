"""Reading a run's events from a cursor: replay from the log, then live, across any interruption."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

import orjson
import structlog
from django.db import Error as DatabaseError

from runs.models import Run, RunEvent
from runs.states import RESTING, TERMINAL
from runs.streaming.rights import GLANCE, Rights
from runs.streaming.tailer import Entry, Follower, load_head, tailer
from sovereign.core import sse
from sovereign.core.bus import signalled
from sovereign.core.database import in_database
from sovereign.core.errors import not_found, unauthorized, unavailable

log = structlog.get_logger(__name__)

PING = 15.0  # seconds of silence before a sign of life
REPLAY_CHUNK = 500  # events
REVOKED = unauthorized("Your right to follow this run was withdrawn.", "access_revoked")

TERMINAL_EVENTS = frozenset(f"thread.run.{status}" for status in TERMINAL)
RESTING_EVENTS = frozenset(f"thread.run.{status}" for status in RESTING)


async def read(run_id: str, after: int) -> AsyncGenerator[Entry | None, None]:
    """The run's events with ``seq > after``, each once and in order; ``None`` after every silent second.

    Ends at a terminal event. It does not end where a run waits for tool outputs: more may come.

    :raises Run.DoesNotExist: no such run, or it was deleted (noticed after a silent quarter minute).
    """
    follower, complete_from = await tailer().follow(run_id, after)
    follower.overflowed |= after < complete_from  # there is something to catch up with from the beginning
    try:
        cursor, looked = after, time.monotonic()
        if await in_database(is_over_at, run_id, cursor):
            return
        while True:
            async with aclosing(_at_hand(run_id, follower, cursor)) as entries:
                async for entry in entries:
                    cursor = entry.seq
                    yield entry
                    if entry.type in TERMINAL_EVENTS:
                        return
            if not follower.overflowed and not follower.entries and not await _arrived(follower):
                if time.monotonic() - looked >= PING:
                    looked = time.monotonic()
                    if await in_database(is_over_at, run_id, cursor):
                        return
                yield None
    finally:
        tailer().unfollow(run_id, follower)


async def _at_hand(run_id: str, follower: Follower, after: int) -> AsyncGenerator[Entry, None]:
    """What the follower was given, and then, where it was given too much to keep, what the log has beyond that."""
    for entry in _take(follower):
        if entry.seq > after:
            after = entry.seq
            yield entry
    if follower.overflowed:
        follower.overflowed = False
        async with aclosing(_replay(run_id, after)) as replayed:
            async for entry in replayed:
                yield entry


def _take(follower: Follower) -> list[Entry]:
    entries = list(follower.entries)
    follower.entries.clear()
    return entries


async def _arrived(follower: Follower) -> bool:
    follower.arrived.clear()
    if follower.entries or follower.overflowed:
        return True
    return await signalled(follower.arrived, min(GLANCE, PING))


async def _replay(run_id: str, after: int) -> AsyncGenerator[Entry, None]:
    head = await in_database(load_head, run_id)
    while True:
        rows = await in_database(_rows, run_id, after)
        for row in rows:
            after = row.seq
            yield Entry.of(head, row)
        if len(rows) < REPLAY_CHUNK:
            return


def _rows(run_id: str, after: int) -> list[RunEvent]:
    return list(RunEvent.objects.after(run_id, after)[:REPLAY_CHUNK])


async def frames(
    run_id: str, after: int, rights: Rights, *, resumed: bool = False, contents: bool = False
) -> AsyncGenerator[bytes, None]:
    """The events as server-sent events, ended by ``done`` where the run rests or is over, or the rights are gone.

    The stream that begins or goes on with a run ends at the first ``requires_action``: clients submit from inside it,
    and what comes after is told to the submit's own stream. One that is ``resumed`` passes those already answered.
    What goes wrong once the response has begun is told as an ``error`` event before the ``done``. A sign of life comes
    after every silent quarter minute.

    :param contents: with the texts that a file search found.
    """
    try:
        if not await in_database(rests_at, run_id, after):
            async with aclosing(_live_frames(run_id, after, rights, resumed, contents)) as live:
                async for frame in live:
                    yield frame
    except Run.DoesNotExist:
        yield sse.encode("error", orjson.dumps(not_found("run", run_id).body()))
    except DatabaseError:
        log.exception("stream_failed", run=run_id)
        yield sse.encode("error", orjson.dumps(unavailable("The stream was interrupted. Resume it.").body()))
    yield sse.DONE


async def _live_frames(
    run_id: str, after: int, rights: Rights, resumed: bool, contents: bool
) -> AsyncGenerator[bytes, None]:
    told = time.monotonic()
    async with aclosing(read(run_id, after)) as entries:
        async for entry in entries:
            if not await rights.still_hold():
                yield sse.encode("error", orjson.dumps(REVOKED.body()))
                return
            if entry is None and time.monotonic() - told < PING:
                continue
            told = time.monotonic()
            if entry is None:
                yield sse.PING
                continue
            payload = entry.full if contents and entry.full is not None else entry.payload
            yield sse.encode(entry.type, payload, entry.seq)
            if entry.type in RESTING_EVENTS and (not resumed or await in_database(rests_at, run_id, entry.seq)):
                return


def rests_at(run_id: str, seq: int) -> bool:
    """Whether nothing comes after ``seq`` until somebody acts: the run is over, or waits for tool outputs."""
    return Run.objects.filter(pk=run_id, status__in=RESTING, last_seq__lte=seq).exists()


def is_over_at(run_id: str, seq: int) -> bool:
    """Whether nothing comes after ``seq`` at all.

    :raises Run.DoesNotExist: the run was deleted with its thread.
    """
    run = Run.objects.only("status", "last_seq").get(pk=run_id)
    return run.is_over and run.last_seq <= seq
