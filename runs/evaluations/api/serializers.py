"""What the routes of evaluations take."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ValidationError

from assistants.kinds import Environment
from runs.evaluations.importing import CONTENT_LENGTH, FORMATS
from runs.evaluations.models import DESCRIPTION_LENGTH, NAME_LENGTH
from runs.evaluations.services.running import DRAFT
from runs.evaluations.shapes import MOST_CHECKS, CaseShape, CheckField, refuse_unreadable
from sovereign.core.api.validation import (
    StrictBoolean,
    StrictChoice,
    StrictField,
    StrictList,
    StrictNumber,
    StrictSerializer,
    StrictString,
    refuse_type,
    refuse_unknown,
)
from sovereign.core.api.versions import VersionField

ID_LENGTH = 64
GATES = "By environments, the share of the cases (0 to 1) that has to pass before a version is deployed there."


class Gates(StrictField):
    """Rates by environments; ``null`` takes a gate away."""

    expected = "an object"

    def schema(self) -> dict[str, Any]:
        rate = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
        return {
            "type": "object",
            "properties": dict.fromkeys(Environment.values, rate),
            "additionalProperties": False,
        }

    def to_internal_value(self, data: Any) -> dict[str, float]:
        if not isinstance(data, dict):
            raise refuse_type(self.expected, data)
        refuse_unknown(data, [name for name in data if name not in Environment.values])
        return {name: _rate(name, data[name]) for name in Environment.values if data.get(name) is not None}


def _rate(name: str, data: Any) -> float:
    try:
        return float(StrictNumber(minimum=0, maximum=1).run_validation(data))
    except ValidationError as error:
        raise ValidationError({name: error.detail}) from None


class EvaluationRequest(StrictSerializer):
    name = StrictString(max_length=NAME_LENGTH, min_length=1, help_text="For people.")
    description = StrictString(max_length=DESCRIPTION_LENGTH, required=False, help_text="What it is about.")
    assistant_id = StrictString(
        max_length=ID_LENGTH,
        min_length=1,
        required=False,
        allow_null=True,
        help_text="The assistant that it is for; without one it is for all of the project.",
    )
    gates = Gates(required=False, help_text=GATES)


class CaseRequest(CaseShape):
    """A case: what is said to the assistant, and what its answer has to be like."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        refuse_unreadable(attrs.get("checks", ()))
        return attrs


class ImportRequest(StrictSerializer):
    """The cases of a file."""

    format = StrictChoice(choices=list(FORMATS), help_text="How the file is written.")
    content = StrictString(max_length=CONTENT_LENGTH, min_length=1, help_text="The file.")
    replace = StrictBoolean(default=False, help_text="In place of the cases that are there.")


class CaseFromRunRequest(StrictSerializer):
    """A run whose answer was good."""

    run_id = StrictString(max_length=ID_LENGTH, min_length=1, help_text="The run.")
    name = StrictString(max_length=NAME_LENGTH, required=False, help_text="For people.")
    checks = StrictList(
        child=CheckField(),
        maximum=MOST_CHECKS,
        required=False,
        help_text="In place of the usual: that the answer is similar to the run's.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        refuse_unreadable(attrs.get("checks", ()))
        return attrs


class StartRequest(StrictSerializer):
    """What the cases are run against."""

    assistant_id = StrictString(
        max_length=ID_LENGTH, min_length=1, required=False, help_text="By default the evaluation's own assistant."
    )
    version = VersionField(
        default=DRAFT,
        help_text="A version's id or number, or `draft`: the assistant as it is, which is published where it changed.",
    )
