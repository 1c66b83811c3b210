"""What every worker does for evaluations, beside the runs of their cases: it moves them on, and checks answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError

from inference.chat import Attribution, EngineUnavailable, InferenceError
from runs.evaluations.checks import KINDS, CheckError, Subject
from runs.evaluations.services import checking, progress
from runs.evaluations.services.checking import MOST_ATTEMPTS, Claimed
from sovereign.core.database import in_database

log = structlog.get_logger(__name__)

CHECKED_AT_ONCE = 4  # answers, by one worker
LOOK = 0.5  # seconds, after which it is looked for more of them
CHECK_SECONDS = 120.0  # that all checks of one answer may take
RENEWAL = checking.LEASE.total_seconds() / 4  # seconds
PAUSE = timedelta(seconds=10)  # before an answer is taken again whose judge was not there
TOO_LONG = f"The checks took longer than {CHECK_SECONDS:.0f} seconds."
BROKEN = "A check could not be made because of an error of this server, which its log tells."


async def move_on() -> None:
    """One step of each evaluation that runs."""
    for run_id in await in_database(progress.due_runs):
        try:
            await in_database(progress.advance, run_id)
        except (OperationalError, InterfaceError):
            raise  # the database, not the evaluation
        except Exception:  # one that cannot go on must not keep the others
            log.exception("evaluation_stuck", evaluation_run=run_id)


async def check_answers() -> None:
    """Check answers as long as there are any: where one takes long, others take turns in the places beside it."""
    in_hand: dict[asyncio.Task[None], Claimed] = {}
    await _fill(in_hand)
    if not in_hand:
        return
    renewing = asyncio.create_task(_renew(in_hand), name="evaluation-leases")
    try:
        while in_hand:
            done, _ = await asyncio.wait(in_hand, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del in_hand[task]
                task.result()
            await _fill(in_hand)
    finally:
        for task in (renewing, *in_hand):
            task.cancel()
        await asyncio.gather(renewing, *in_hand, return_exceptions=True)


async def _fill(in_hand: dict[asyncio.Task[None], Claimed]) -> None:
    """Begin to check as many more as there are places for."""
    if (free := CHECKED_AT_ONCE - len(in_hand)) < 1:
        return
    by_project = Counter(claimed.project_id for claimed in in_hand.values())
    for claimed in await in_database(checking.claim, free, by_project):
        in_hand[asyncio.create_task(_check(claimed), name="evaluation-check")] = claimed


async def _renew(in_hand: Mapping[asyncio.Task[None], Claimed]) -> None:
    while True:
        await asyncio.sleep(RENEWAL)
        try:
            await in_database(checking.renew, [claimed.token for claimed in in_hand.values()])
        except (OperationalError, InterfaceError) as error:
            log.warning("evaluation_lease_not_renewed", error=type(error).__name__)


async def _check(claimed: Claimed) -> None:
    verdicts: list[dict[str, Any]] = []
    error = ""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            for asked in claimed.case["checks"]:
                verdicts.append(await _verdict(asked, claimed))
    except asyncio.CancelledError:  # the worker stops: another one goes on at once
        await in_database(checking.give_back, claimed, counts=False)
        raise
    except EngineUnavailable as unavailable:
        if claimed.attempt < MOST_ATTEMPTS:
            await in_database(checking.give_back, claimed, error=unavailable.message, after=PAUSE)
            return
        error = unavailable.message
    except InferenceError as failed:
        error = failed.message
    except CheckError as failed:
        error = str(failed)
    except TimeoutError:
        error = TOO_LONG
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("evaluation_check_failed", result=claimed.result_id)
        error = BROKEN
    await in_database(checking.conclude, claimed, verdicts, error=error)


async def _verdict(asked: dict[str, Any], claimed: Claimed) -> dict[str, Any]:
    subject = Subject(
        answer=claimed.answer,
        reference=claimed.case.get("reference", ""),
        messages=claimed.case["messages"],
        attribution=Attribution(
            project=claimed.project_id,
            key=claimed.key_id,
            assistant=claimed.assistant_id,
            thread=claimed.thread_id,
            run=claimed.run_id,
        ),
    )
    found = await KINDS[asked["type"]].verdict(asked, subject)
    return {"type": asked["type"], **asdict(found)}
