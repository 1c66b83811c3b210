"""Checks that compare texts: the whole answer, or what is in it."""

from __future__ import annotations

import unicodedata
from typing import Any

from rest_framework.exceptions import ValidationError

from runs.evaluations.checks.base import Kind, Subject, Verdict, shown
from sovereign.core.api.validation import (
    StrictBoolean,
    StrictChoice,
    StrictList,
    StrictSerializer,
    StrictString,
    refuse_at,
)

VALUE_LENGTH = 16_000
MOST_VALUES = 32


class ExactShape(StrictSerializer):
    """The answer is exactly a text, but for blanks around it."""

    type = StrictChoice(choices=["exact"])
    value = StrictString(
        max_length=VALUE_LENGTH, min_length=1, required=False, help_text="The text; the case's reference by default."
    )
    case_sensitive = StrictBoolean(default=True, help_text="Whether capitals matter.")


class Exact(Kind):
    name = "exact"
    title = "Exactly"
    description = "The answer is exactly the text, or the case's reference, but for blanks around it."
    shape = ExactShape

    async def verdict(self, asked: dict[str, Any], subject: Subject) -> Verdict:
        wanted = asked.get("value") or subject.reference
        is_same = _plain(subject.answer, asked).strip() == _plain(wanted, asked).strip()
        return Verdict(is_same, "It is the text." if is_same else f"It is not {shown(wanted.strip())}.")

    def needs_reference(self, asked: dict[str, Any]) -> bool:
        return not asked.get("value")


class ContainsShape(StrictSerializer):
    """Texts are in the answer, or are not."""

    type = StrictChoice(choices=["contains"])
    values = StrictList(
        child=StrictString(max_length=VALUE_LENGTH, min_length=1),
        minimum=1,
        maximum=MOST_VALUES,
        help_text="The texts.",
    )
    mode = StrictChoice(
        choices=["all", "any", "none"],
        default="all",
        help_text="How many of them have to be in it: `all`, `any`, `none`.",
    )
    case_sensitive = StrictBoolean(default=False, help_text="Whether capitals matter.")


class Contains(Kind):
    name = "contains"
    title = "Contains"
    description = "All, any or none of some texts are in the answer."
    shape = ContainsShape

    async def verdict(self, asked: dict[str, Any], subject: Subject) -> Verdict:
        answer = _plain(subject.answer, asked)
        there = [value for value in asked["values"] if _plain(value, asked) in answer]
        missing = [value for value in asked["values"] if value not in there]
        match asked.get("mode", "all"):
            case "any":
                return Verdict(bool(there), f"It has {shown(there[0])}." if there else "It has none of the texts.")
            case "none":
                return Verdict(not there, f"It has {shown(there[0])}." if there else "It has none of the texts.")
        return Verdict(not missing, f"It lacks {shown(missing[0])}." if missing else "It has all of the texts.")


def _plain(text: str, asked: dict[str, Any]) -> str:
    """A text as it is compared: of two ways to write a character the same one is taken."""
    composed = unicodedata.normalize("NFC", text)
    return composed if asked.get("case_sensitive") else composed.casefold()


def refused_at(key: str, message: str, code: str = "invalid_value") -> ValidationError:
    """A refusal of one member of a check."""
    return refuse_at(key, f"Invalid '{{param}}': {message}", code)
