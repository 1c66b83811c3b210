"""Whether somebody who watches may still watch: asked again and again for as long as a stream or a socket is open."""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog
from django.db import Error as DatabaseError

from sovereign.accounts import credentials
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database

log = structlog.get_logger(__name__)

KEPT = 2.0  # seconds a verdict is good for
GLANCE = 1.0  # seconds between two looks at it; with the above a withdrawn right is noticed within three seconds
VERDICTS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Rights:
    """What somebody watches with."""

    principal: Principal
    login: credentials.Login | None = None  # of a person with a session

    def stand(self) -> bool:
        """Whether the database still has them: one query, two for a person with a session."""
        return credentials.still_valid(self.principal, self.login)

    async def still_hold(self) -> bool:
        """One look a holder every two seconds, however many streams and sockets ask.

        Who asks while the query runs gets the last verdict, and so does everybody while the database is away: nothing
        can be withdrawn there then, and nothing new can be read.
        """
        asked, verdict = _verdicts.get(self, (-KEPT, True))  # a new holder was let in just now
        if time.monotonic() - asked < KEPT:
            return verdict
        if len(_verdicts) > VERDICTS_KEPT:
            _verdicts.clear()
        _verdicts[self] = (time.monotonic(), verdict)
        try:
            verdict = await in_database(self.stand)
        except DatabaseError as error:
            log.warning("rights_unknown", error=type(error).__name__)
        else:
            _verdicts[self] = (time.monotonic(), verdict)
        return verdict


_verdicts: dict[Rights, tuple[float, bool]] = {}
