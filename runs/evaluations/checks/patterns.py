"""``regex``: strangers' regular expressions, each carried out by a process that is ended when it takes too long.

A pattern such as ``(a+)+$`` takes for ever on some texts, and so may merely reading a pattern. Nothing of either is
done in this process: the other has a second of the processor's time and no environment.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from runs.evaluations.checks.base import CheckError, Kind, Subject, Verdict, shown
from sovereign.core.api.validation import StrictBoolean, StrictChoice, StrictSerializer, StrictString
from sovereign.core.errors import ApiError

PATTERN_LENGTH = 2_000
CPU_SECONDS = 1  # that one search may take
COMPILING_SECONDS = 4  # that reading all patterns of one request may take
PATIENCE = 20.0  # seconds that the process may live, however little of the processor it gets
MEMORY = 512 * 1024**2  # bytes of addresses
TOO_LONG = "The expression took too long and was stopped: nested repetitions such as (a+)+ do."
#: reads {"patterns": [[pattern, ignores_case], …], "text": null or a text}, writes {"found", "at"} or {"error", "at"}
PROGRAM = """
import json, re, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({cpu}, {cpu}))
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
asked = json.load(sys.stdin)
told = {{"found": None, "at": 0}}
for place, (pattern, ignores_case) in enumerate(asked["patterns"]):
    try:
        expression = re.compile(pattern, re.IGNORECASE if ignores_case else 0)
    except (re.error, OverflowError, RecursionError, ValueError) as error:
        told = {{"error": str(error)[:200] or "it is too involved", "at": place}}
        break
    if asked["text"] is not None:
        match = expression.search(asked["text"])
        told["found"] = match and match.group()[:1000]
json.dump(told, sys.stdout)
"""


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
        told = await asyncio.to_thread(_carried_out, [asked], subject.answer, CPU_SECONDS)
        if told is None:
            raise CheckError(TOO_LONG)
        if "error" in told:
            raise CheckError(f"The expression cannot be read: {told['error']}.")
        found = told["found"]
        return Verdict(found is not None, "It is not found." if found is None else f"It finds {shown(found)}.")


def refuse_unreadable(checks: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """All patterns of a request at once.

    :param checks: each with where it stands, for the refusal.
    :raises ApiError: 400 ``invalid_pattern``.
    """
    regexes = [(where, check) for where, check in checks if check["type"] == Regex.name]
    if not regexes:
        return
    told = _carried_out([check for _, check in regexes], None, COMPILING_SECONDS)
    if told is None:
        raise ApiError("The regular expressions take too long to be read.", param="checks", code="invalid_pattern")
    if "error" in told:
        where, _ = regexes[told["at"]]
        raise ApiError(
            f"Invalid '{where}.pattern': this is no regular expression: {told['error']}.",
            param=f"{where}.pattern",
            code="invalid_pattern",
        )


def _carried_out(checks: Sequence[dict[str, Any]], text: str | None, seconds: int) -> dict[str, Any] | None:
    """What the process says; ``None`` where it took too long, or more memory than it may."""
    patterns = [[check["pattern"], not check.get("case_sensitive", True)] for check in checks]
    try:
        done = subprocess.run(  # noqa: S603 (a program of ours; what strangers wrote is data)
            [sys.executable, "-I", "-S", "-c", PROGRAM.format(cpu=seconds, memory=MEMORY)],
            input=json.dumps({"patterns": patterns, "text": text}),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE,
            env={},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode != 0:
        return None
    told: dict[str, Any] = json.loads(done.stdout)
    return told
