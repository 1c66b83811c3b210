"""Grades of assistants, and what their project expects of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import QueryDict
from django.urls import path
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from runs.analytics import expectations, grading
from runs.analytics.health import LETTERS, Health
from runs.analytics.models import Grade
from runs.analytics.standards import MOST_WEIGHT, TARGETS, WEIGHTS, Part, Standards
from sovereign.accounts.api.audited import AuditedView
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.scopes import ANALYTICS_READ, ASSISTANTS_PROMOTE
from sovereign.core.api.schema import UnixTime
from sovereign.core.api.validation import StrictField, StrictNumber, StrictSerializer, refuse_type, refuse_unknown
from sovereign.core.errors import ApiError

MOST_DAYS = 365
GRADES = [letter for _, letter in LETTERS]
BOUNDS_OF_WEIGHTS = dict.fromkeys(WEIGHTS, (0.0, MOST_WEIGHT))
BOUNDS_OF_TARGETS = {name: (target.lowest, target.highest) for name, target in TARGETS.items()}


class Numbers(StrictField):
    """Numbers by names, each within its bounds; ``null`` for a default."""

    expected = "an object"

    def __init__(self, *, bounds: Mapping[str, tuple[float, float]], **options: Any) -> None:
        self.bounds = dict(bounds)
        super().__init__(**options)

    def schema(self) -> dict[str, Any]:
        properties = {
            name: {"type": ["number", "null"], "minimum": lowest, "maximum": highest}
            for name, (lowest, highest) in self.bounds.items()
        }
        return {"type": "object", "properties": properties, "additionalProperties": False}

    def to_internal_value(self, data: Any) -> dict[str, float | None]:
        if not isinstance(data, dict):
            raise refuse_type(self.expected, data)
        refuse_unknown(data, [name for name in data if name not in self.bounds])
        return {name: self._number(name, data[name]) for name in self.bounds if name in data}

    def _number(self, name: str, data: Any) -> float | None:
        if data is None:
            return None
        lowest, highest = self.bounds[name]
        try:
            return float(StrictNumber(minimum=lowest, maximum=highest).run_validation(data))
        except ValidationError as error:
            raise ValidationError({name: error.detail}) from None


class ExpectationsRequest(StrictSerializer):
    """What is to be expected: the numbers that are sent are changed, and `null` brings a default back."""

    weights = Numbers(
        bounds=BOUNDS_OF_WEIGHTS,
        required=False,
        help_text="How much each part of a grade weighs beside the others; 0 for one that does not count.",
    )
    targets = Numbers(
        bounds=BOUNDS_OF_TARGETS,
        required=False,
        help_text="What is good enough. Shares are from 0 to 1, times are seconds, costs are in the house's currency.",
    )


def told(field: type[serializers.Field], words: str, **options: Any) -> Any:
    """A field with what it means."""
    return field(help_text=words, **options)


class ExpectationsObject(serializers.Serializer):
    """What a project expects of its assistants."""

    object = serializers.ChoiceField(choices=["analytics.expectations"])
    weights = told(
        serializers.DictField, "How much each part of a grade weighs.", child=serializers.FloatField(min_value=0)
    )
    targets = told(
        serializers.DictField,
        "What is good enough; null where nothing is expected, so that it does not count.",
        child=serializers.FloatField(allow_null=True),
    )


class HealthPart(serializers.Serializer):
    """A part of a grade."""

    name = told(serializers.ChoiceField, "Which part it is.", choices=Part.values)
    title = told(serializers.CharField, "The part's name for people.")
    score = told(serializers.IntegerField, "From 0 to 100; null where it does not count.", allow_null=True)
    weight = told(serializers.FloatField, "How much it weighs beside the others.")
    reason = told(serializers.CharField, "Why, in the assistant's own numbers.")
    recommendation = told(serializers.CharField, "What could be done; null where nothing has to be.", allow_null=True)


class DayOfHealth(serializers.Serializer):
    """The grade of a day."""

    day = told(serializers.DateField, "The day, of UTC.")
    score = told(serializers.IntegerField, "From 0 to 100: how the 30 days were that it ends.")
    grade = told(serializers.ChoiceField, "The same as a letter.", choices=GRADES)
    made_at = told(UnixTime, "When it was made.")


class AssistantHealthObject(serializers.Serializer):
    """How an assistant is."""

    object = serializers.ChoiceField(choices=["assistant.health"])
    assistant_id = told(serializers.CharField, "The assistant.")
    days = told(serializers.IntegerField, "How many days the grade is about, today included.")
    runs = told(serializers.IntegerField, "How many runs ended in them.")
    score = told(serializers.IntegerField, "From 0 to 100; null where there is too little to say.", allow_null=True)
    grade = told(serializers.ChoiceField, "The same as a letter.", choices=GRADES, allow_null=True)
    reason = told(serializers.CharField, "What decided it; or why there is none.")
    parts = told(HealthPart, "What it is made of.", many=True)
    history = told(DayOfHealth, "The grades of those days that have one, the oldest first.", many=True)


class HealthView(AuditedView):
    """An assistant's grade."""

    scopes = {"GET": ANALYTICS_READ}
    subject = "assistant_id"

    @extend_schema(
        operation_id="getAssistantHealth",
        parameters=[
            OpenApiParameter(
                "days",
                {"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": grading.DAYS},
                description="How many days it is about, today included.",
            )
        ],
        responses=AssistantHealthObject,
    )
    def get(self, request: Request, assistant_id: str) -> Response:
        """Read how an assistant is: its grade, the reasons, what could be done, and the grades that it had."""
        asked: dict[str, Any] = {"principal": principal_of(request), "assistant_id": assistant_id}
        asked["days"] = days = _days(request.query_params)
        health, history = grading.health_of(**asked), grading.history_of(**asked)
        return Response({"assistant_id": assistant_id, "days": days, **_rendered(health), "history": _days_of(history)})


class ExpectationsView(AuditedView):
    """What is good enough."""

    scopes = {"GET": ANALYTICS_READ, "PUT": ASSISTANTS_PROMOTE}
    serializer_class = ExpectationsRequest
    partial_body = True
    subject = "expectations_id"  # a project has one: none is named
    actions = {"PUT": "expectations.update"}

    @extend_schema(operation_id="getExpectations", responses=ExpectationsObject)
    def get(self, request: Request) -> Response:
        """Read what the project expects of its assistants."""
        return Response(_expected(expectations.get_standards(principal=principal_of(request))))

    @extend_schema(
        operation_id="updateExpectations",
        request=ExpectationsRequest(partial=True),
        responses=ExpectationsObject,
        examples=[
            OpenApiExample(
                "Fast and cheap answers",
                value={"weights": {"cost": 20, "tools": 0}, "targets": {"response_p95": 10, "cost_per_run": 0.02}},
                request_only=True,
            )
        ],
    )
    def put(self, request: Request) -> Response:
        """Change what the project expects of its assistants: the numbers that are sent."""
        return Response(_expected(expectations.change_standards(principal=principal_of(request), **self.body())))


def _rendered(health: Health) -> dict[str, Any]:
    parts = [{**part, "recommendation": part["recommendation"] or None} for part in health.stored()]
    return {
        "object": "assistant.health",
        "runs": health.runs,
        "score": health.score,
        "grade": health.grade,
        "reason": health.reason,
        "parts": parts,
    }


def _days_of(history: list[Grade]) -> list[dict[str, Any]]:
    return [
        {
            "day": one.day.isoformat(),
            "score": one.score,
            "grade": one.letter,
            "made_at": int(one.made_at.timestamp()),
        }
        for one in history
    ]


def _expected(standards: Standards) -> dict[str, Any]:
    return {
        "object": "analytics.expectations",
        "weights": dict(standards.weights),
        "targets": dict(standards.targets),
    }


def _days(query: QueryDict) -> int:
    """:raises ApiError: 400, not a number of days."""
    text = query.get("days", str(grading.DAYS))
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= MOST_DAYS):
        raise ApiError(
            f"Invalid 'days': expected an integer from 1 to {MOST_DAYS}.", param="days", code="invalid_value"
        )
    return int(text)


patterns = [
    path("analytics/expectations", ExpectationsView.as_view(), name="expectations"),
    path("assistants/<str:assistant_id>/health", HealthView.as_view(), name="assistant-health"),
]
