"""What a case has to be, whichever way it comes: over the API, in a file, from a form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework.exceptions import ValidationError

from runs.evaluations.checks import CHECK, KINDS, first_unreadable
from runs.evaluations.models import NAME_LENGTH, REFERENCE_LENGTH
from sovereign.core.api.unions import Union
from sovereign.core.api.validation import (
    METADATA_PAIRS,
    METADATA_VALUE_LENGTH,
    Metadata,
    StrictChoice,
    StrictField,
    StrictList,
    StrictSerializer,
    StrictString,
    by_type,
    refuse,
    validation_error,
)
from sovereign.core.errors import ApiError
from threads.models import Message
from threads.shapes import TEXT_LENGTH, ContentField

MOST_MESSAGES = 64
MOST_CHECKS = 16
OWN_PAIRS = 2  # of a run's metadata: they say which evaluation it is of
OURS = "sovereign_"  # how the names begin of what the product notes of a thread or run: no variables of a case
#: what is checked of an answer where nothing is said, but a good one is given
USUAL_CHECKS: list[dict[str, Any]] = [{"type": "similarity"}]
SHAPES = {name: kind.shape for name, kind in KINDS.items()}


class CheckField(StrictField):
    """One check, by its type."""

    expected = "an object"

    def schema(self) -> Union:
        return CHECK

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        return by_type(data, SHAPES)


class MessageShape(StrictSerializer):
    """A message of a case."""

    role = StrictChoice(choices=Message.Role.values)
    content = ContentField()


class Variables(Metadata):
    """As metadata, of which an evaluation's run has two pairs of its own."""

    def schema(self) -> dict[str, Any]:
        return {**super().schema(), "maxProperties": METADATA_PAIRS - OWN_PAIRS}

    def to_internal_value(self, data: Any) -> dict[str, str]:
        checked = super().to_internal_value(data)
        if len(checked) > METADATA_PAIRS - OWN_PAIRS:
            raise refuse(
                f"Invalid '{{param}}': too many properties. Expected an object with at most "
                f"{METADATA_PAIRS - OWN_PAIRS} properties, but got an object with {len(checked)} properties instead.",
                "object_above_max_properties",
            )
        return checked


class CaseShape(StrictSerializer):
    """A case: what is said to the assistant, and what its answer has to be like."""

    name = StrictString(max_length=NAME_LENGTH, required=False, help_text="For people.")
    input = StrictString(
        max_length=TEXT_LENGTH, min_length=1, required=False, help_text="What is asked, where one message is all."
    )
    messages = StrictList(
        child=MessageShape(),
        minimum=1,
        maximum=MOST_MESSAGES,
        required=False,
        help_text="The conversation so far, where `input` is not enough; the user's message comes last.",
    )
    reference = StrictString(max_length=REFERENCE_LENGTH, required=False, help_text="A good answer.")
    checks = StrictList(
        child=CheckField(),
        minimum=1,
        maximum=MOST_CHECKS,
        required=False,
        help_text="All of them have to pass. Without any, the answer has to be similar to the reference.",
    )
    variables = Variables(
        help_text=f"What prompts are filled with; values of at most {METADATA_VALUE_LENGTH} characters."
    )


def described(data: dict[str, Any]) -> dict[str, Any]:
    """The fields of a case, complete: what ``CaseShape`` gave, with ``input`` as a message.

    :raises ApiError: 400, it asks nothing, or checks nothing.
    """
    messages = data.get("messages") or []
    if bool(messages) == bool(data.get("input")):
        raise ApiError(
            "A case needs either 'input' or 'messages', and not both.", param="input", code="missing_required_parameter"
        )
    if not messages:
        messages = [{"role": Message.Role.USER.value, "content": data["input"]}]
    if messages[-1]["role"] != Message.Role.USER:
        raise ApiError(
            "Invalid 'messages': the last one has to be the user's, which the assistant answers.",
            param="messages",
            code="invalid_value",
        )
    case = {
        "name": data.get("name") or title_of(messages),
        "messages": messages,
        "reference": data.get("reference") or "",
        "checks": data.get("checks") or (USUAL_CHECKS if data.get("reference") else []),
        "variables": data.get("variables") or {},
    }
    _refuse_unchecked(case)
    return case


def read_checks(data: Any) -> list[dict[str, Any]]:
    """:raises rest_framework.exceptions.ValidationError: these are no checks of a case."""
    checks: list[dict[str, Any]] = StrictList(child=CheckField(), maximum=MOST_CHECKS).run_validation(data)
    return checks


def refuse_unreadable(checks: Sequence[dict[str, Any]]) -> None:
    """Read the regular expressions of a case. Not inside a transaction, and before a service writes them.

    :raises ApiError: 400 ``invalid_pattern``; 503.
    """
    if wrong := first_unreadable(checks):
        place, why = wrong
        where = f"checks[{place}].pattern"
        raise ApiError(
            f"Invalid '{where}': this regular expression cannot be used: {why}.", param=where, code="invalid_pattern"
        )


def _refuse_unchecked(case: dict[str, Any]) -> None:
    if not case["checks"]:
        raise ApiError(
            "A case needs 'checks', or a 'reference' that its answer is compared with.",
            param="checks",
            code="missing_required_parameter",
        )
    for index, check in enumerate(case["checks"]):
        if not case["reference"].strip() and KINDS[check["type"]].needs_reference(check):
            raise ApiError(
                f"The check '{check['type']}' compares with the case's reference, and there is none: give "
                "'reference', or the check a 'value'.",
                param=f"checks[{index}].value",
                code="missing_required_parameter",
            )


def title_of(messages: list[dict[str, Any]]) -> str:
    """The beginning of what is asked, for a case without a name."""
    content = messages[-1]["content"]
    texts = [content] if isinstance(content, str) else [part["text"] for part in content if part["type"] == "text"]
    first = next(iter(" ".join(texts).strip().splitlines()), "")
    return first if len(first) <= NAME_LENGTH else f"{first[: NAME_LENGTH - 1]}…"


def read(data: Any) -> dict[str, Any]:
    """A case from a file or a form. Raises :class:`ApiError` in the words of the API."""
    try:
        return described(CaseShape.checked(data))
    except ValidationError as error:
        raise validation_error(error) from None
