"""``regex``: strangers' regular expressions, each carried out by a process that is ended when it takes too long.

A pattern such as ``(a+)+$`` takes for ever on some texts, and so may merely reading a pattern. Nothing of either is
done in this process: the other has a second of the processor's time for each and no environment.
"""

from __future__ import annotations

import asyncio
import json
import math
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runs.evaluations.checks.base import CheckError, Kind, Subject, Verdict, shown
from sovereign.core.api.validation import StrictBoolean, StrictChoice, StrictSerializer, StrictString
from sovereign.core.errors import unavailable

PATTERN_LENGTH = 2_000
# seconds of the processor's time
READING = 0.5  # that a pattern may take to be accepted: less than it gets later, so that what is accepted can be used
TOTAL = 2  # that all patterns of a request may take
READING_LATER = 1.0
SEARCHING = 1.0
PATIENCE = 15.0  # seconds that it may live, however little of the processor it gets
AT_ONCE = threading.BoundedSemaphore(2)  # processes that read what requests bring
MEMORY = 512 * 1024**2  # bytes of addresses
BUSY = "The regular expressions could not be tried: this server is too busy. Try again."
SLOW_TO_READ = "it takes too long to be read, or too much memory: large sets of characters do"
SLOW_TOGETHER = "with those before it, it takes too long to be read"
SLOW_TO_SEARCH = (
    "The expression took too long in this answer, or too much memory, and was stopped: nested repetitions such as "
    "(a+)+ do."
)
#: reads {"patterns": [[pattern, ignores_case], …], "text": null or a text}; writes the place of each pattern that it
#: begins with, "searching" before a search, and at the end {"found"} or {"error"}, one in a line
PROGRAM = """
import json, re, resource, signal, sys
resource.setrlimit(resource.RLIMIT_CPU, ({total}, {total} + 1))
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
asked = json.load(sys.stdin)
told = {{"found": None}}
for place, (pattern, ignores_case) in enumerate(asked["patterns"]):
    print(place, flush=True)
    signal.setitimer(signal.ITIMER_PROF, {reading})
    try:
        expression = re.compile(pattern, re.IGNORECASE if ignores_case else 0)
    except (re.error, OverflowError, RecursionError, ValueError) as error:
        told = {{"error": str(error)[:200] or "it is too involved"}}
        break
    if asked["text"] is not None:
        print('"searching"', flush=True)
        signal.setitimer(signal.ITIMER_PROF, {searching})
        match = expression.search(asked["text"])
        told["found"] = match and match.group()[:1000]
print(json.dumps(told))
"""


@dataclass(frozen=True, slots=True)
class _Told:
    """What the process came to.

    :ivar place: the pattern that it was at last.
    :ivar error: why that one cannot be read.
    :ivar is_stopped: it ended in the middle of a search.
    """

    place: int = 0
    error: str | None = None
    found: str | None = None
    is_stopped: bool = False


class _Busy(Exception):
    """The process got too little of the processor."""


class RegexShape(StrictSerializer):
    """A regular expression of Python's is found in the answer."""

    type = StrictChoice(choices=["regex"])
    pattern = StrictString(max_length=PATTERN_LENGTH, min_length=1, help_text="The expression, in Python's dialect.")
    case_sensitive = StrictBoolean(default=True, help_text="Whether capitals matter.")


class Regex(Kind):
    name = "regex"
    title = "Regular expression"
    description = "A regular expression in Python's dialect is found in the answer."
    shape = RegexShape

    async def verdict(self, asked: dict[str, Any], subject: Subject) -> Verdict:
        try:
            told = await asyncio.to_thread(_carried_out, [_pattern(asked)], subject.answer)
        except _Busy:
            raise CheckError(BUSY) from None
        if told.error is not None:
            raise CheckError(f"The expression cannot be read: {told.error}.")
        if told.is_stopped:
            raise CheckError(SLOW_TO_SEARCH)
        found = told.found
        return Verdict(found is not None, "It is not found." if found is None else f"It finds {shown(found)}.")


def first_unreadable(checks: Sequence[dict[str, Any]]) -> tuple[int, str] | None:
    """The first check whose pattern cannot be read, and why. This takes strangers' time: never inside a transaction.

    :raises ApiError: 503, too many do this at once.
    """
    places: dict[tuple[str, bool], int] = {}
    for place, check in enumerate(checks):
        if check["type"] == Regex.name:
            places.setdefault(_pattern(check), place)
    if not places:
        return None
    if not AT_ONCE.acquire(timeout=PATIENCE):
        raise unavailable(BUSY)
    try:
        told = _carried_out([*places])
    except _Busy:
        raise unavailable(BUSY) from None
    finally:
        AT_ONCE.release()
    return None if told.error is None else ([*places.values()][told.place], told.error)


def _pattern(check: dict[str, Any]) -> tuple[str, bool]:
    """An expression, and whether it ignores capitals."""
    return check["pattern"], not check.get("case_sensitive", True)


def _carried_out(patterns: Sequence[tuple[str, bool]], text: str | None = None) -> _Told:
    """Read patterns, or read one and look for it in a text.

    :raises _Busy: it did not come to an end, and that was not its fault.
    """
    reading, total = (READING, TOTAL) if text is None else (READING_LATER, math.ceil(READING_LATER + SEARCHING) + 1)
    program = PROGRAM.format(total=total, memory=MEMORY, reading=reading, searching=SEARCHING)
    try:
        done = subprocess.run(  # noqa: S603 (a program of ours; what strangers wrote is data)
            [sys.executable, "-I", "-S", "-c", program],
            input=json.dumps({"patterns": patterns, "text": text}),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE,
            env={},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _Busy from None
    said = [json.loads(line) for line in done.stdout.splitlines()]
    place = max((each for each in said if isinstance(each, int)), default=0)
    if done.returncode == 0:
        return _Told(place=place, **said[-1])
    if said and said[-1] == "searching":
        return _Told(place=place, is_stopped=True)
    return _Told(place=place, error=SLOW_TOGETHER if done.returncode == -signal.SIGXCPU else SLOW_TO_READ)
