"""One's assistants at a glance: what all of them did together, and each of them, the most of something first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import QuerySet

from assistants.models import Assistant
from assistants.querysets import sees_all
from runs.analytics.measures import Measures
from runs.analytics.metrics import METRICS, Metric
from runs.analytics.models import Grade
from runs.analytics.reading import Question, measured_by
from runs.analytics.standards import BEST
from runs.analytics.windows import Window
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ANALYTICS_READ

MAIN = [
    METRICS[name]
    for name in (
        *("runs", "users", "conversations", "error_rate", "response_p50", "response_p95", "first_token_p95"),
        *("tokens", "cost", "satisfaction", "rating"),
    )
]
GRADE_KEPT = timedelta(days=30)  # how old one may be that is still shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """:ivar grade: the newest one that was made until the window's end."""

    assistant_id: str
    name: str | None
    measures: Measures
    grade: Grade | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """
    :ivar total: of all assistants that one sees, not only of the lines.
    :ivar assistants: how many these are.
    :ivar metrics: what is told of each: the main ones, and the one that decides their order.
    """

    metrics: list[Metric]
    total: Measures
    assistants: int
    lines: list[Line]


def summarise(
    *, principal: Principal, window: Window, order_by: Metric, limit: int, is_worst_first: bool = False
) -> Summary:
    """The assistants with the most of a metric; behind them those of which nothing is known.

    :param is_worst_first: those with the worst grades come before all others.

    :raises ApiError: 403.
    """
    principal.require(ANALYTICS_READ)
    names = dict(Assistant.objects.visible_to(principal).values_list("pk", "name"))
    everybody = sees_all(principal)  # then all rows of the project are read, and no ten thousand ids are asked for
    question = Question(project_id=principal.project_id, assistant_ids=None if everybody else tuple(names))
    metrics = [*MAIN, *([] if order_by in MAIN else [order_by])]
    needed = {column for metric in metrics for column in metric.needs}
    measured = measured_by(question, window, ("assistant_id",), needed)
    found = {assistant_id: one for (assistant_id,), one in measured.items() if assistant_id in names}
    kept = Grade.objects.filter(project_id=principal.project_id)
    grades = _grades(kept, window) if is_worst_first else {}

    def rank(assistant_id: str) -> tuple[float, bool, float, str]:
        value, grade = order_by.value(found.get(assistant_id) or Measures()), grades.get(assistant_id)
        return BEST + 1 if grade is None else grade.score, value is None, -(value or 0), assistant_id

    shown = sorted(names, key=rank)[:limit]
    grades = grades or _grades(kept.filter(assistant_id__in=shown), window)
    return Summary(
        metrics=metrics,
        total=Measures.total(found.values()),
        assistants=len(names),
        lines=[
            Line(assistant_id=one, name=names[one], measures=found.get(one) or Measures(), grade=grades.get(one))
            for one in shown
        ],
    )


def _grades(kept: QuerySet[Grade], window: Window) -> dict[str, Grade]:
    last = window.end.date()
    rows = kept.filter(day__range=(last - GRADE_KEPT, last))
    return {row.assistant_id: row for row in rows.defer("parts").order_by("day")}
