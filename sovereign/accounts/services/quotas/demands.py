"""What is asked of the quotas, and what they answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

from sovereign.accounts.principals import Principal
from sovereign.accounts.services.quotas.windows import Metric
from sovereign.core.errors import ApiError

EXCEEDED = "rate_limit_exceeded"
SHARE = 4  # one in so many of a limit's tokens is the most that ``Demand.up_to`` gets at once …
LEAST = 256  # … and with less than these, or than that share, it is refused: an answer would be cut too soon

Kind = Literal["project", "key", "provider"]
WHOSE: dict[str, str] = {"project": "this project", "key": "this API key", "provider": "this model's provider"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``None`` limits nothing."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    concurrent_calls: int | None = None

    def of(self, metric: Metric) -> int | None:
        limit: int | None = getattr(self, metric.field)
        return limit

    def concern(self, demand: Demand) -> bool:
        """Whether the demand is for something that they limit."""
        tokens = demand.tokens > 0 or demand.up_to > 0 or demand.needs_tokens
        return bool(
            (demand.requests and self.requests_per_minute is not None)
            or (tokens and (self.tokens_per_minute, self.tokens_per_day) != (None, None))
            or (demand.holds and self.concurrent_calls is not None)
        )


NONE = Limits()


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose use is limited. ``limits=None``: the rows of that project or key say how far."""

    kind: Kind
    id: str
    limits: Limits | None = None

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class Demand:
    """What somebody is about to use, of each of the subjects; all of them have to agree.

    A request over HTTP was counted when it came in: the model calls that it leads to have ``requests=0`` for its
    project and key.

    :param tokens: as many as it may become, where the limit is not to be overshot; ``settle`` says how many it was.
    :param up_to: tokens beyond ``tokens``: as many as are left, but no more than a share of the limit. Only where
        tokens are limited; the reservation says how many in all.
    :param holds: takes one of the model calls that may run at once, for as long as it is renewed and not settled.
    :param needs_tokens: refused where no token is left, although how many it will be is not known yet.
    """

    subjects: Sequence[Subject]
    requests: int = 1
    tokens: int = 0
    up_to: int = 0
    holds: bool = True
    needs_tokens: bool = False


@dataclass(frozen=True, slots=True)
class Reservation:
    """What was granted. ``id`` is empty where nothing is limited: there is nothing to settle then."""

    id: str = ""
    taken_from: tuple[tuple[str, Limits], ...] = ()  # the names of subjects, and how they were limited
    requests: int = 0
    tokens: int = 0
    at: float = 0.0  # unix seconds
    holds: bool = False
    headers: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def holds_a_call(self) -> bool:
        """Whether it has a lease that has to be renewed."""
        return self.holds and any(limits.concurrent_calls is not None for _, limits in self.taken_from)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was not granted, and nothing of it was taken from anybody."""

    message: str
    metric: str  # "requests", "tokens", "tokens_of_day" or "calls"
    type: str  # of the error: "requests" or "tokens"
    retry_after: float  # seconds
    is_final: bool = False  # waiting does not help: it is more than the limit by itself
    headers: dict[str, str] = field(default_factory=dict, compare=False)

    def error(self) -> ApiError:
        """429 in the contract's envelope."""
        return ApiError(
            self.message,
            status=HTTPStatus.TOO_MANY_REQUESTS,
            type=self.type,
            code=EXCEEDED,
            headers=self.headers,
        )


def subjects_of(principal: Principal) -> tuple[Subject, ...]:
    """Both limits apply: a key's and its project's."""
    key = (Subject("key", principal.key_id),) if principal.key_id is not None else ()
    return (*key, Subject("project", principal.project_id))


def waiting_headers(seconds: float) -> dict[str, str]:
    milliseconds = max(1, math.ceil(seconds * 1000))
    return {"retry-after": str(math.ceil(milliseconds / 1000)), "retry-after-ms": str(milliseconds)}


def duration(seconds: float) -> str:
    """As the original service writes it: ``20s``, ``1m0s``, ``1h30m0s``, ``250ms``.

    >>> duration(59.1), duration(60), duration(0.25), duration(0)
    ('59.1s', '1m0s', '250ms', '0s')
    """
    milliseconds = math.ceil(seconds * 1000)
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
