"""How answers to the evaluation's questions are scored: pure functions of question and answer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

# The outside questions ask for nothing but this admission; other words around it are free.
ADMISSION = r"small demonstration model"


@dataclass(frozen=True)
class Answer:
    """What the model gave back: ``finish`` is the API's ``finish_reason``, ``calls`` are names and arguments (JSON)."""

    text: str
    finish: str
    calls: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Score:
    """``right`` decides; ``parts`` are counted beside it, ``why`` says what was missing."""

    right: bool
    why: str = ""
    parts: dict[str, tuple[int, int]] = field(default_factory=dict)


def found(pattern: str, text: str) -> bool:
    """True where the regular expression matches the lower-cased text."""
    return re.search(pattern, text.lower()) is not None


def facts(question: dict[str, Any], answer: Answer) -> Score:
    """Right where one alternative of every required group is there, and nothing forbidden is."""
    missing = [group for group in question["required"] if not any(found(pattern, answer.text) for pattern in group)]
    unwanted = [pattern for pattern in question["forbidden"] if found(pattern, answer.text)]
    if missing:
        return Score(False, f"missing {' or '.join(missing[0])}")
    if unwanted:
        return Score(False, f"forbidden {unwanted[0]}")
    return Score(True)


def admission(question: dict[str, Any], answer: Answer) -> Score:
    """Right where the answer says that it is a small demonstration model."""
    right = found(ADMISSION, answer.text) and not answer.calls
    return Score(right, "" if right else "no admission")


def parsed(arguments: str) -> dict[str, Any] | None:
    """The arguments of a call, or None where they are no JSON object."""
    try:
        value = json.loads(arguments or "{}")
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def same_value(expected: str, given: Any) -> bool:
    """True where an argument says what the question said; capitals, marks at the ends and its type do not matter."""
    strip = " .,!?\"'"
    return str(given).lower().strip(strip) == expected.lower().strip(strip)


def call(question: dict[str, Any], answer: Answer) -> Score:
    """Right where exactly the expected tool is called in a well-formed call, or none where none fits."""
    expected = question["expected"]
    if expected is None:
        right = not answer.calls and "<tool_call>" not in answer.text
        return Score(right, "" if right else "a call where no tool fits")
    if not answer.calls:
        return Score(False, "no well-formed call")
    name, text = answer.calls[0]
    arguments = parsed(text)
    if arguments is None:
        return Score(False, "arguments are no JSON object")
    wanted = question["arguments"]
    copied = sum(key in arguments and same_value(value, arguments[key]) for key, value in wanted.items())
    parts = {"argument values": (copied, len(wanted))}
    right = name == expected and len(answer.calls) == 1
    return Score(right, "" if right else f"called {name}", parts)


def share(right: int, total: int) -> str:
    """``45 of 50 (90.0 %)``."""
    return f"{right} of {total} ({100 * right / total:.1f} %)" if total else "0 of 0"
