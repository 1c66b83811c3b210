"""What every worker does for evaluations, beside the runs of their cases: it moves them on, and checks answers."""

from __future__ import annotations

import asyncio
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
CHECK_SECONDS = 120.0  # that all checks of one answer may take
RENEWAL = checking.LEASE.total_seconds() / 4  # seconds
PAUSE = timedelta(seconds=10)  # before an answer is taken again whose judge was not there
TOO_LONG = f"The checks took longer than {CHECK_SECONDS:.0f} seconds."
BROKEN = "A check could not be made because of an error of this server, which its log tells."


async def move_on() -> None:
    """One step of each evaluation that runs."""
    for run_id in await in_database(progress.active_runs):
        try:
            await in_database(progress.advance, run_id)
        except (OperationalError, InterfaceError):
            raise  # the database, not the evaluation
        except Exception:  # one that cannot go on must not keep the others
            log.exception("evaluation_stuck", evaluation_run=run_id)


async def check_answers() -> None:
    """Take some answers and check them, all at once."""
    claimed = await in_database(checking.claim, CHECKED_AT_ONCE)
    if not claimed:
        return
    renewing = asyncio.create_task(_renew([answer.token for answer in claimed]), name="evaluation-leases")
    try:
        await asyncio.gather(*(_check(answer) for answer in claimed))
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


async def _renew(tokens: list[str]) -> None:
    while True:
        await asyncio.sleep(RENEWAL)
        try:
            await in_database(checking.renew, tokens)
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
