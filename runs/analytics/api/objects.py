"""What the routes of analytics answer, for the documentation."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from runs.analytics.exporting import USED
from runs.analytics.metrics import METRICS, Better, Unit
from runs.analytics.trends import Direction
from sovereign.core.api.schema import UnixTime


def told(field: type[serializers.Field], words: str, **options: Any) -> Any:
    """A field with what it means."""
    return field(help_text=words, **options)


def known(words: str, field: type[serializers.Field] = serializers.FloatField) -> Any:
    """Likewise, of what is null where nothing is known."""
    return told(field, words, allow_null=True)


class WindowObject(serializers.Serializer):
    """A span of time."""

    start = told(UnixTime, "Since when, as it was read.")
    end = told(UnixTime, "Until when.")
    as_of = told(UnixTime, "Until when all that happened is counted; null where nothing was yet.", allow_null=True)


class DifferenceObject(serializers.Serializer):
    """Whether a difference is more than chance."""

    is_significant = known("Whether the p-value is below 0.01.", serializers.BooleanField)
    p_value = known("How likely so much difference would be by chance alone.")
    note = known("Why it cannot be said, where it cannot.", serializers.CharField)


class TrendObject(DifferenceObject):
    """What changed since the time before, which is as long."""

    direction = told(serializers.ChoiceField, "Where it went.", choices=[*Direction], allow_null=True)
    percent = known("By how much, of the value before; of what grows with time, for as much time.")
    before = known("The value in the time before.")


class MetricDescribed(serializers.Serializer):
    name = told(serializers.ChoiceField, "The metric's name.", choices=list(METRICS))
    title = told(serializers.CharField, "Its name for people.")
    unit = told(serializers.ChoiceField, "What it is counted in; shares are from 0 to 1.", choices=[*Unit])
    better = told(serializers.ChoiceField, "Which way is better.", choices=[*Better])


class MetricObject(MetricDescribed):
    """A metric of a time."""

    value = known("Its value; null where nothing is known.")
    trend = TrendObject(help_text="What changed.")


class AssistantMetrics(WindowObject):
    """How an assistant did."""

    object = serializers.ChoiceField(choices=["assistant.metrics"])
    assistant_id = told(serializers.CharField, "The assistant.")
    metrics = MetricObject(many=True, help_text="The metrics, in the order in which they were asked for.")
    errors = told(serializers.DictField, "How many runs failed, by code.", child=serializers.IntegerField())
    tools = told(serializers.DictField, "How often tools were called, by name.", child=serializers.IntegerField())
    tool_errors = told(serializers.DictField, "How many of those calls failed.", child=serializers.IntegerField())


class UsagePoint(serializers.Serializer):
    """What was used in a period."""

    start = told(UnixTime, "When the period began.")

    def get_fields(self) -> dict[str, serializers.Field]:
        words = {name: f"How many: {name.replace('_', ' ')}." for name in USED} | {
            "cost": "In units of the house's currency.",
            "users": "How many people asked.",
            "conversations": "On how many threads runs were.",
        }
        fields = {name: told(serializers.IntegerField, words[name]) for name in USED if name != "cost"}
        return {**super().get_fields(), **fields, "cost": told(serializers.FloatField, words["cost"])}


class UsageSeries(serializers.Serializer):
    """What was used, period by period."""

    group = known(
        "The id of the version, the environment, the model or the key's id; empty for what has none. Null: all that "
        "is not told apart, which is everything without `group_by`, and the rest behind the twenty with most runs.",
        serializers.CharField,
    )
    points = UsagePoint(many=True, help_text="Every period, the first one first.")


class AssistantUsage(WindowObject):
    """What an assistant used."""

    object = serializers.ChoiceField(choices=["assistant.usage"])
    assistant_id = told(serializers.CharField, "The assistant.")
    granularity = told(serializers.CharField, "How long the periods are.")
    group_by = known("What the groups are of.", serializers.CharField)
    data = told(UsageSeries, "One series for each group, those with the most runs first.", many=True)


class ComparedItem(serializers.Serializer):
    """What is compared."""

    assistant_id = told(serializers.CharField, "The assistant.")
    name = known("Its name.", serializers.CharField)
    version = known("The version, as it was named; null for all.", serializers.CharField)
    environment = known("The environment; null for all but trials.", serializers.CharField)


class RankedItem(ComparedItem):
    item = told(serializers.IntegerField, "Which one of `items` it is, from 0.")
    mean_rank = known("The mean of its ranks: 1 is first in everything. Null where no metric ranks.")


class ComparedMetric(MetricDescribed):
    """A metric of all that is compared."""

    values = told(serializers.ListField, "Of each item.", child=serializers.FloatField(allow_null=True))
    ranks = told(
        serializers.ListField,
        "Of each item, 1 is the best; null where it is not known, or neither more nor less is better.",
        child=serializers.IntegerField(allow_null=True),
    )
    first_against_second = DifferenceObject(
        help_text="Whether the best one differs from the next by more than chance; null where there are not two.",
        allow_null=True,
    )


class AssistantComparison(WindowObject):
    """Assistants or versions side by side."""

    object = serializers.ChoiceField(choices=["assistant.comparison"])
    items = ComparedItem(many=True, help_text="What was compared, in the order of the request.")
    metrics = ComparedMetric(many=True, help_text="The metrics.")
    order = RankedItem(many=True, help_text="The items, the best in all first.")


class LineHealth(serializers.Serializer):
    """The newest grade."""

    day = told(serializers.DateField, "The day, of UTC.")
    grade = told(serializers.CharField, "A to F.")
    score = told(serializers.IntegerField, "From 0 to 100.")


class SummaryLine(serializers.Serializer):
    """An assistant in a summary."""

    assistant_id = told(serializers.CharField, "The assistant.")
    name = known("Its name.", serializers.CharField)
    health = LineHealth(help_text="Its newest grade; null where it has none.", allow_null=True)
    metrics = told(serializers.DictField, "Its main metrics by name.", child=serializers.FloatField(allow_null=True))


class AssistantSummary(WindowObject):
    """One's assistants at a glance."""

    object = serializers.ChoiceField(choices=["assistant.summary"])
    assistants = told(serializers.IntegerField, "How many assistants one sees.")
    total = told(
        serializers.DictField, "The metrics of all of them together.", child=serializers.FloatField(allow_null=True)
    )
    data = told(SummaryLine, "The assistants with the most of the metric that was asked for.", many=True)
    has_more = told(serializers.BooleanField, "Whether there are more of them than `limit`.")
