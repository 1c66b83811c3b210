"""What every kind of check has in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from inference.chat import NOBODY, Attribution
from sovereign.core.api.validation import StrictSerializer

SHOWN = 200  # characters of a text that a verdict repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An answer that is checked.

    :ivar reference: a good answer, as the case has it; may be empty.
    :ivar messages: what was said to the assistant.
    :ivar attribution: for whom models are asked.
    """

    answer: str
    reference: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
    attribution: Attribution = NOBODY


@dataclass(frozen=True, slots=True)
class Verdict:
    """``detail`` is one sentence for people; ``score`` from 0 to 1, of checks that have one."""

    passed: bool
    detail: str
    score: float | None = None


class CheckError(Exception):
    """A check could not be made, which says nothing about the answer. One sentence for people."""


class Kind:
    """A kind of check.

    :cvar name: the ``type`` of its entries in a case's ``checks``.
    :cvar shape: what such an entry has to be.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    shape: ClassVar[type[StrictSerializer]]

    async def verdict(self, asked: dict[str, Any], subject: Subject) -> Verdict:
        """:raises CheckError: it could not be made. :raises InferenceError: the model that it needs did not answer."""
        raise NotImplementedError

    def needs_reference(self, asked: dict[str, Any]) -> bool:
        """Whether it compares with the case's reference."""
        return False


def shown(text: str) -> str:
    """
    >>> shown("short")
    "'short'"
    """
    return f"'{text}'" if len(text) <= SHOWN else f"'{text[:SHOWN]}…'"
