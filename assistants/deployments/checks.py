"""What a version has to pass before it is in service: each check is looked up by its name, and tells how to pass it.

The rooms above fill this in when they start: a first conversation and evaluations are theirs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

from django.db import models

from assistants.kinds import Environment
from assistants.models import Deployment

EVERYWHERE: frozenset[str] = frozenset(Environment.values)


class Verdict(models.TextChoices):
    PASSED = "passed", "Passed"
    FAILED = "failed", "Failed"
    PENDING = "pending", "Being tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found.

    :ivar name: the check's, in ``CHECKS``.
    :ivar detail: what was found, in a sentence or two.
    :ivar fix: what to do about it; of one that failed only.
    """

    name: str
    title: str
    verdict: str
    detail: str = ""
    fix: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Check(Protocol):
    """
    Both methods run inside a transaction, with the assistant's row locked where the deployment is a stored one.

    :ivar environments: those where it has to be passed.
    """

    name: str
    title: str
    environments: frozenset[str]

    def begin(self, deployment: Deployment) -> Finding:
        """Begin to try, and say what is known at once. The deployment is stored; what is set of it is saved after."""
        ...

    def look(self, deployment: Deployment) -> Finding:
        """What is known by now; nothing is begun, and nothing written.

        The deployment may be one that is only thought of, which no row has: what would have to be tried for it is
        ``pending``. Asked again while it says so, and never after.
        """
        ...


#: By their names, in the order in which they are shown.
CHECKS: dict[str, Check] = {}


def register(check: Check) -> None:
    CHECKS[check.name] = check


def required(environment: str) -> list[Check]:
    """Those that a version has to pass there."""
    return [check for check in CHECKS.values() if environment in check.environments]


def passed(check: Check, detail: str = "") -> Finding:
    return Finding(name=check.name, title=check.title, verdict=Verdict.PASSED.value, detail=detail)


def failed(check: Check, detail: str, fix: str) -> Finding:
    return Finding(name=check.name, title=check.title, verdict=Verdict.FAILED.value, detail=detail, fix=fix)


def pending(check: Check, detail: str) -> Finding:
    return Finding(name=check.name, title=check.title, verdict=Verdict.PENDING.value, detail=detail)
