"""How a call is answered while its run goes on: as one document at the end, or as a stream with signs of progress."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import orjson
import structlog
from django.db import Error as DatabaseError
from django.http import HttpResponse

from runs.mcp import calls, protocol
from runs.mcp.answers import Result, failed
from runs.mcp.calls import Following
from runs.mcp.protocol import Question, Token
from runs.streaming.reader import PING
from runs.streaming.tailer import Entry
from sovereign.core import sse
from sovereign.core.database import begin_in_database, in_database
from sovereign.core.errors import ApiError

log = structlog.get_logger(__name__)

OFTEN = 1.0  # seconds between two signs of progress of one kind
STAGES = {
    "thread.run.queued": "Waiting",
    "thread.run.in_progress": "Thinking",
    "thread.run.step.delta": "Using a tool",
    "thread.message.delta": "Writing",
}
INTERRUPTED = "The answer could not be followed to its end. It may still come: go on with the conversation."


@dataclass(slots=True)
class Answering:
    """A request and the run that answers it.

    From the version on in which a client cancels a request by leaving it, its run is cancelled then; those of older
    clients go on, as their specification has it, and the conversation holds the answer.
    """

    question: Question
    following: Following
    is_over: bool = False

    async def document(self) -> HttpResponse:
        """The answer as a whole."""
        result = await self._followed()
        self.is_over = True
        return json_response(protocol.answer(self.question, result))

    async def frames(self, token: Token | None) -> AsyncGenerator[bytes, None]:
        """The answer as the last message of a stream.

        :param token: where the client asked for signs of progress.
        """
        progress = Progress(token)
        try:
            async with aclosing(self._told(progress)) as pieces:
                async for piece in pieces:
                    self.is_over = piece is None
                    yield piece or frame(protocol.answer(self.question, await self._outcome()))
        except (ApiError, DatabaseError) as error:
            self.is_over = True
            yield frame(protocol.answer(self.question, failed(_told(error), self.following.run)))

    async def _told(self, progress: Progress) -> AsyncGenerator[bytes | None, None]:
        """Signs of progress and of life; ``None`` when the run rests."""
        heard = time.monotonic()
        async with aclosing(self.following.entries()) as entries:
            async for entry in entries:
                sign = progress.sign(entry) if entry is not None else b""
                if not sign and time.monotonic() - heard >= PING:
                    sign = sse.PING
                if sign:
                    heard = time.monotonic()
                    yield sign
        yield None

    async def _followed(self) -> Result:
        try:
            async with aclosing(self.following.entries()) as entries:
                async for _ in entries:
                    pass
            return await self._outcome()
        except (ApiError, DatabaseError) as error:
            return failed(_told(error), self.following.run)

    async def _outcome(self) -> Result:
        return await in_database(calls.outcome, self.following.rights.principal, self.following.run)

    def close(self) -> None:
        """The request is over, in whatever thread that is noticed: without an answer, its client has gone."""
        if self.question.is_modern and not self.is_over:
            self.is_over = True
            begin_in_database(calls.cancel, self.following.rights.principal, self.following.run)


class Progress:
    """Signs of progress for a client that asked for them: one for every new stage, and no more than one a second."""

    def __init__(self, token: Token | None) -> None:
        self._token = token
        self._stage, self._told = "", 0.0

    def sign(self, entry: Entry) -> bytes:
        """What is told because of an event; nothing for most. An event's number only grows, as progress must."""
        stage = STAGES.get(entry.type)
        is_due = stage != self._stage or time.monotonic() - self._told >= OFTEN
        if self._token is None or stage is None or not is_due:
            return b""
        self._stage, self._told = stage, time.monotonic()
        params = {"progressToken": self._token, "progress": entry.seq, "message": stage}
        return frame(protocol.notification("notifications/progress", params))


def frame(message: dict[str, object]) -> bytes:
    return sse.encode("message", orjson.dumps(message))


def json_response(message: dict[str, object], status: int = 200) -> HttpResponse:
    return HttpResponse(orjson.dumps(message), status=status, content_type="application/json")


def _told(error: ApiError | DatabaseError) -> str:
    if isinstance(error, ApiError):
        return error.message
    log.error("mcp_call_failed", exc_info=error)
    return INTERRUPTED
