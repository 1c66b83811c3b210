"""How assistants do, over the API."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from assistants.api.lifecycle.search import UsageView as UseElsewhereView
from assistants.models import Assistant
from runs.analytics import exporting, rendering
from runs.analytics.api import objects
from runs.analytics.api.asked import (
    CSV,
    FORMAT,
    NAMES_OF_METRICS,
    OF_WHAT,
    TIMES,
    metrics_of,
    question,
    question_of,
    wants_csv,
    window_of,
    window_of_series,
)
from runs.analytics.api.serializers import CompareRequest
from runs.analytics.comparing import compare
from runs.analytics.measures import WORD_COUNTS, Measures
from runs.analytics.metrics import METRICS, metric_named
from runs.analytics.reading import measured_by
from runs.analytics.sources import counted_until
from runs.analytics.summary import summarise
from runs.analytics.trends import read, read_each, trend
from runs.analytics.usage import GROUPS, usage
from runs.analytics.windows import Period
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.api.base import ApiView
from sovereign.accounts.scopes import ANALYTICS_READ
from sovereign.core.api.filters import chosen
from sovereign.core.errors import ApiError

GRANULARITIES = [period.value for period in Period if period != Period.MOMENT]
MOST_LINES, USUAL_LINES = 100, 20
BY_RUNS = "runs"
TABLE = (200, CSV)


class MetricsView(ApiView):
    """An assistant's metrics."""

    scopes = {"GET": ANALYTICS_READ}

    @extend_schema(
        operation_id="getAssistantMetrics",
        parameters=[*TIMES, *OF_WHAT, NAMES_OF_METRICS, FORMAT],
        responses={200: objects.AssistantMetrics, TABLE: OpenApiTypes.STR},
    )
    def get(self, request: Request, assistant_id: str) -> Response | HttpResponse:
        """Read how an assistant did, and what changed since the time before.

        Each metric is compared with a time as long, just before. Whether a change is more than chance is tested as
        fits the metric: shares and quantiles by all their values, the rest by their days.
        """
        asked = request.query_params
        about = question_of(principal_of(request), assistant_id, asked)
        names = asked.get("metrics")
        metrics = metrics_of(None if names is None else names.split(","))
        window = window_of(asked.get("start"), asked.get("end"))
        is_table, as_of = wants_csv(request, asked), counted_until()
        now, before = read(about, window, metrics), read(about, window.before, metrics)
        rows = [(metric, now.whole, trend(metric, now, before)) for metric in metrics]
        if is_table:
            return exporting.attachment("metrics", exporting.METRICS_HEADER, exporting.metrics_rows(rows))
        return Response(
            {
                "object": "assistant.metrics",
                "assistant_id": assistant_id,
                **rendering.render_window(window, as_of),
                "metrics": [rendering.render_metric(*row) for row in rows],
                **rendering.render_words(measured_by(about, window, (), of=WORD_COUNTS).get((), Measures())),
            }
        )


class UsageView(UseElsewhereView):
    """What an assistant used here, beside what is told of its use elsewhere."""

    scopes = {**UseElsewhereView.scopes, "GET": ANALYTICS_READ}

    @extend_schema(
        operation_id="getAssistantUsage",
        parameters=[
            *TIMES,
            *OF_WHAT,
            OpenApiParameter(
                "granularity",
                {"type": "string", "enum": GRANULARITIES, "default": "day"},
                description="How long the periods are, of UTC. Of hours there may be 31 days, of days 400, of weeks "
                "and months five years.",
            ),
            OpenApiParameter(
                "group_by", {"type": "string", "enum": list(GROUPS)}, description="One series for each of these."
            ),
            FORMAT,
        ],
        responses={200: objects.AssistantUsage, TABLE: OpenApiTypes.STR},
    )
    def get(self, request: Request, assistant_id: str) -> Response | HttpResponse:
        """Read what an assistant used: runs, people, tokens, cost and tools, hour by hour or month by month."""
        asked = request.query_params
        about = question_of(principal_of(request), assistant_id, asked)
        period = Period(chosen(asked, "granularity", GRANULARITIES) or Period.DAY)
        group_by = chosen(asked, "group_by", GROUPS)
        window = window_of_series(asked.get("start"), asked.get("end"), period)
        is_table, as_of = wants_csv(request, asked), counted_until()
        every = usage(about, window, period, group_by)
        if is_table:
            return exporting.attachment("usage", exporting.USAGE_HEADER, exporting.usage_rows(every))
        return Response(
            {
                "object": "assistant.usage",
                "assistant_id": assistant_id,
                "granularity": period.value,
                "group_by": group_by,
                **rendering.render_window(window, as_of),
                "data": [rendering.render_series(one) for one in every],
            }
        )


class CompareView(ApiView):
    """Assistants side by side. It is a ``POST`` for its body's sake alone, and changes nothing."""

    scopes = {"POST": ANALYTICS_READ}
    serializer_class = CompareRequest
    is_recorded = False

    @extend_schema(
        operation_id="compareAssistants",
        request=CompareRequest,
        responses=objects.AssistantComparison,
        examples=[
            OpenApiExample(
                "Two versions",
                value={
                    "items": [{"assistant_id": "asst_…", "version": 1}, {"assistant_id": "asst_…", "version": 2}],
                    "metrics": ["error_rate", "response_p95", "cost_per_run", "satisfaction"],
                },
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        """Compare 2 to 20 assistants, versions or environments.

        They are ranked by every metric of which more or less is better, and in all by the mean of these ranks. Of each
        metric it is said whether the best one differs from the next by more than chance.
        """
        principal, body = principal_of(request), self.body()
        items: list[dict[str, Any]] = body["items"]
        metrics = metrics_of(body.get("metrics"))
        window = window_of(body.get("start"), body.get("end"))
        questions = [question(principal, **item) for item in items]
        _refuse_same(questions)
        as_of = counted_until()
        comparison = compare(read_each(questions, window, metrics), metrics)
        ids = {item["assistant_id"] for item in items}
        names = dict(Assistant.objects.visible_to(principal).filter(pk__in=ids).values_list("pk", "name"))
        told = [
            {
                "assistant_id": item["assistant_id"],
                "name": names.get(item["assistant_id"]),
                "version": item.get("version"),
                "environment": item.get("environment"),
            }
            for item in items
        ]
        return Response({**rendering.render_comparison(comparison, told), **rendering.render_window(window, as_of)})


def _refuse_same(every: list[Any]) -> None:
    """:raises ApiError: 400, two of them ask for the same."""
    place = next((place for place, each in enumerate(every) if each in every[:place]), None)
    if place is not None:
        raise ApiError(
            f"Invalid 'items[{place}]': the same as one before it.", param=f"items[{place}]", code="duplicate_item"
        )


class SummaryView(ApiView):
    """One's assistants at a glance."""

    scopes = {"GET": ANALYTICS_READ}

    @extend_schema(
        operation_id="summarizeAssistants",
        parameters=[
            *TIMES,
            OpenApiParameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": MOST_LINES, "default": USUAL_LINES},
                description="How many assistants are told of at most.",
            ),
            OpenApiParameter(
                "order_by",
                {"type": "string", "enum": list(METRICS), "default": BY_RUNS},
                description="The metric that decides which come first: those with the most of it.",
            ),
            FORMAT,
        ],
        responses={200: objects.AssistantSummary, TABLE: OpenApiTypes.STR},
    )
    def get(self, request: Request) -> Response | HttpResponse:
        """Read how all of one's assistants did, together and one by one."""
        asked = request.query_params
        window = window_of(asked.get("start"), asked.get("end"))
        is_table, as_of = wants_csv(request, asked), counted_until()
        summary = summarise(
            principal=principal_of(request),
            window=window,
            order_by=metric_named(asked.get("order_by", BY_RUNS), "order_by"),
            limit=_limit(asked.get("limit")),
        )
        if is_table:
            header = exporting.summary_header(summary)
            return exporting.attachment("assistants", header, exporting.summary_rows(summary))
        return Response({**rendering.render_summary(summary), **rendering.render_window(window, as_of)})


def _limit(text: str | None) -> int:
    """:raises ApiError: 400."""
    if text is None:
        return USUAL_LINES
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= MOST_LINES):
        raise ApiError(
            f"Invalid 'limit': expected an integer from 1 to {MOST_LINES}.", param="limit", code="invalid_value"
        )
    return int(text)


patterns = [
    path("assistants/summary", SummaryView.as_view(), name="assistants-summary"),
    path("assistants/compare", CompareView.as_view(), name="assistants-compare"),
    path("assistants/<str:assistant_id>/metrics", MetricsView.as_view(), name="assistant-metrics"),
    path("assistants/<str:assistant_id>/usage", UsageView.as_view(), name="assistant-usage"),
]
