"""What runs now, and what there was today and lately: of the projects and assistants that a person sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Count
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from runs.analytics.admin.charts import Chart
from runs.analytics.admin.drawn import bars_of
from runs.analytics.admin.words import shown
from runs.analytics.grading import days_until
from runs.analytics.measures import Measures
from runs.analytics.metrics import METRICS
from runs.analytics.models import Rollup
from runs.analytics.reading import Chosen, measured_by, series
from runs.analytics.windows import Period, Window, floor, following
from runs.models import Run
from runs.states import TERMINAL, Status
from sovereign.accounts.admin.base import known, projects_allowing
from sovereign.accounts.scopes import ANALYTICS_READ

DAYS = 14
HOURS = 24
MOST_UNCOUNTED = 1_000  # that are told one by one
ERRORS_SHOWN = 3
PROJECTS_SHOWN = 20
KINDS: tuple[tuple[str, tuple[Status, ...]], ...] = (
    ("Queued", (Status.QUEUED,)),
    ("In progress", (Status.IN_PROGRESS, Status.CANCELLING)),
    ("Waiting for somebody", (Status.REQUIRES_ACTION,)),
)
FIGURES = tuple(METRICS[name] for name in ("runs", "failed", "tokens", "cost"))

Series = Sequence[tuple[datetime, Measures]]


@dataclass(frozen=True, slots=True)
class Running:
    """
    :ivar kinds: title, number and address of the runs in each of the states.
    :ivar projects: of several projects each one's name with its numbers, those with the most first.
    """

    kinds: list[tuple[str, int, str]]
    projects: list[tuple[str, list[int]]]


def running(request: HttpRequest) -> Running | None:
    """``None`` for who may not see runs."""
    page: Any = admin.site._registry.get(Run)
    if page is None or not page.has_module_permission(request):
        return None
    active, projects = Run.objects.active(), projects_allowing(request, page.view_scope)
    if projects is not None:
        active = active.filter(project_id__in=projects)
    found: dict[str, tuple[str, list[int]]] = {}
    totals = [0] * len(KINDS)
    rows = known(request, active).order_by().values_list("project_id", "project__name", "status")
    for project_id, name, status, number in rows.annotate(number=Count("pk")):
        place = next(place for place, (_, states) in enumerate(KINDS) if status in states)
        found.setdefault(project_id, (name, [0] * len(KINDS)))[1][place] += number
        totals[place] += number
    every = sorted(found.values(), key=lambda one: (-sum(one[1]), one[0]))
    address = reverse("admin:runs_run_changelist")
    return Running(
        kinds=[(title, totals[place], f"{address}?{_status(states)}") for place, (title, states) in enumerate(KINDS)],
        projects=every[:PROJECTS_SHOWN] if len(every) > 1 else [],
    )


def _status(states: Sequence[Status]) -> str:
    """What the list of runs is asked for, so that it has what was counted."""
    return f"status__exact={states[0]}" if len(states) == 1 else f"status__in={','.join(states)}"


def figures(request: HttpRequest) -> dict[str, Any] | None:
    """``{"today", "errors", "charts", "days", "rows", "columns", "uncounted", "address"}``; ``None`` for who may see
    nothing. There are no charts where nothing was.

    Today is the reader's; hours are those of the clock; days are those of UTC, of which there are sums.
    """
    projects = projects_allowing(request, ANALYTICS_READ)
    if projects is not None and not projects:
        return None
    rows = Rollup.objects.exclude(environment=Rollup.TRIAL)
    chosen = Chosen(known(request, rows if projects is None else rows.filter(project_id__in=projects)))
    instant = timezone.now()
    today = measured_by(chosen, _today(instant), (), ("errors",)).get((), Measures())
    hours = series(chosen, _hours(instant), Period.HOUR, ())
    days = series(chosen, days_until(instant.date(), DAYS), Period.DAY, ())
    return {
        "today": [(metric.title, shown(metric, metric.value(today))) for metric in FIGURES],
        "errors": sorted(today.errors.items(), key=lambda error: (-error[1], error[0]))[:ERRORS_SHOWN],
        "charts": _charts(hours, days) if any(one.runs or one.calls for _, one in days) else [],
        "days": DAYS,
        "columns": [metric.title for metric in FIGURES],
        "rows": [
            (f"{start:%Y-%m-%d}", [shown(metric, metric.value(measures)) for metric in FIGURES])
            for start, measures in reversed(days)
        ],
        "uncounted": _uncounted(request, projects),
        "address": reverse("admin:analytics_grade_changelist"),
    }


def _charts(hours: Series, days: Series) -> list[Chart]:
    failed = METRICS["failed"]
    drawn = [
        bars_of(hours, Period.HOUR, METRICS["runs"], "Runs an hour, those that failed in red", failed, name="hours"),
        bars_of(days, Period.DAY, METRICS["runs"], "Runs a day, those that failed in red", failed, name="days"),
        bars_of(days, Period.DAY, METRICS["tokens"], "Tokens a day", name="tokens"),
    ]
    if any(measures.cost for _, measures in days):
        drawn.append(bars_of(days, Period.DAY, METRICS["cost"], "Cost a day", name="cost"))
    return drawn


def _today(instant: datetime) -> Window:
    midnight = timezone.localtime(instant).replace(hour=0, minute=0, second=0, microsecond=0)
    return Window(floor(midnight, Period.MOMENT), following(floor(instant, Period.MOMENT), Period.MOMENT))


def _hours(instant: datetime) -> Window:
    end = following(floor(instant, Period.HOUR), Period.HOUR)
    return Window(end - timedelta(hours=HOURS), end)


def _uncounted(request: HttpRequest, projects: set[str] | None) -> str:
    """In a sentence, how many runs have ended that are in no figure yet; empty for none."""
    rows = Run.objects.of_people_and_applications().filter(is_counted=False, status__in=TERMINAL)
    if projects is not None:
        rows = rows.filter(project_id__in=projects)
    number = known(request, rows).order_by()[: MOST_UNCOUNTED + 1].count()
    if number > MOST_UNCOUNTED:
        return f"More than {MOST_UNCOUNTED:,} runs have ended that are not counted yet."
    have = "run has" if number == 1 else "runs have"
    return f"{number} {have} ended, not counted yet." if number else ""
