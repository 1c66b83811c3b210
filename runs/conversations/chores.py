"""What every worker does for conversations, beside their runs: it has their model sum up what is long ago."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import orjson
import structlog
from django.db import InterfaceError, OperationalError

from inference import gateway
from inference.chat import ChatRequest, InferenceError, TextDelta
from runs.conversations import claims, folding
from runs.conversations.claims import Claimed
from runs.conversations.folding import INSTRUCTIONS, Piece
from runs.tools import passages
from sovereign.core.api.validation import NOT_TEXT
from sovereign.core.database import in_database
from threads.context import BYTES_PER_TOKEN

log = structlog.get_logger(__name__)

PLACES = claims.MOST_OF_PROJECT + 1  # conversations that one worker sums up at the same time
CALL_SECONDS = 300.0  # that a model may take for one summary
SILENCE = 120.0  # seconds that it may take until it writes anything, or anything more
TURN = 300.0  # seconds after which others have their turn, though there is more to be summed up
RENEWAL = claims.LEASE.total_seconds() / 4  # seconds
WORDS_PER_TOKEN = 0.6
TOO_LONG = f"The model took longer than {CALL_SECONDS:.0f} seconds, or wrote nothing for {SILENCE:.0f}."
NOTHING = "The model wrote nothing."
BROKEN = "It could not be made because of an error of this server, which its log tells."


async def sum_up() -> None:
    """One conversation after the other, as long as there are any."""
    while (claimed := await in_database(claims.claim)) is not None:
        renewing = asyncio.create_task(_renew(claimed), name="summary-lease")
        try:
            await _sum_up(claimed)
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)


async def _renew(claimed: Claimed) -> None:
    while True:
        await asyncio.sleep(RENEWAL)
        try:
            await in_database(claims.renew, claimed)
        except (OperationalError, InterfaceError) as error:
            log.warning("summary_lease_not_renewed", error=type(error).__name__)


async def _sum_up(claimed: Claimed) -> None:
    try:
        is_done = await _fold(claimed)
    except asyncio.CancelledError:  # the worker stops: another one goes on at once
        await in_database(claims.give_back, claimed)
        raise
    except (OperationalError, InterfaceError):
        raise  # the database, not the conversation: the lease runs out
    except InferenceError as failed:
        await in_database(claims.postpone, claimed, failed.message)
    except TimeoutError:
        await in_database(claims.postpone, claimed, TOO_LONG)
    except Exception:  # one that cannot be summed up must not keep the others
        log.exception("summary_failed", conversation=claimed.conversation_id)
        await in_database(claims.postpone, claimed, BROKEN)
    else:
        await in_database(claims.rest if is_done else claims.line_up, claimed)


async def _fold(claimed: Claimed) -> bool:
    """One piece after the other, until others have their turn; whether that was all."""
    began = time.monotonic()
    while (piece := await in_database(folding.next_piece, claimed)) is not None:
        await in_database(folding.keep, claimed, piece, await _told(piece))
        if time.monotonic() - began >= TURN:
            return False
    return True


async def _told(piece: Piece) -> str:
    """The summary with the piece in it.

    :raises InferenceError: the model did not write one.
    """
    summary = piece.so_far
    for messages in piece.parts:
        async with asyncio.timeout(CALL_SECONDS):
            summary = await _asked(piece, summary, messages)
    return summary


async def _asked(piece: Piece, summary: str, messages: list[dict[str, str]]) -> str:
    words = int(piece.summary_tokens * WORDS_PER_TOKEN)
    material = orjson.dumps({"summary": summary, "messages": messages}).decode()
    request = ChatRequest(
        model=piece.model,
        messages=[
            {"role": "system", "content": INSTRUCTIONS.format(words=words)},
            {"role": "user", "content": material},
        ],
        temperature=0.0,
        max_tokens=piece.answer_tokens,
        attribution=piece.attribution,
    )
    said = (await _written(request)).strip()
    longest = piece.summary_tokens * BYTES_PER_TOKEN
    text = passages.fitted(NOT_TEXT.sub("", said), longest, passages.size)
    if not text:
        raise InferenceError(NOTHING)
    return text


async def _written(request: ChatRequest) -> str:
    """:raises TimeoutError: nothing came for too long."""
    texts: list[str] = []
    clock = asyncio.get_running_loop()
    async with asyncio.timeout(SILENCE) as patience, aclosing(gateway.stream(request)) as deltas:
        async for delta in deltas:
            patience.reschedule(clock.time() + SILENCE)
            if isinstance(delta, TextDelta):
                texts.append(delta.text)
    return "".join(texts)
