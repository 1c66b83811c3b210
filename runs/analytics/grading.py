"""Grades of assistants: as they are now, and one for each day on which an assistant had runs."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from django.db.models import QuerySet, Sum
from django.utils import timezone

from assistants.models import Assistant
from assistants.services import get_assistant
from runs.analytics.expectations import standards_of
from runs.analytics.health import MINIMUM_RUNS, Health, judge, letter_of
from runs.analytics.models import Grade, Rollup
from runs.analytics.reading import Question, measured
from runs.analytics.windows import Period, Window
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ANALYTICS_READ

DAYS = 30  # that a grade is about
AGAIN = timedelta(hours=1)  # after which the grade of a day that goes on is made anew


def days_until(day: date, count: int = DAYS) -> Window:
    """So many days, the last of them ``day``: all of it, be it over or not."""
    end = datetime.combine(day, time(), UTC) + timedelta(days=1)
    return Window(end - timedelta(days=count), end)


def judged(question: Question, window: Window) -> Health:
    """The health of what is asked about, by what its project expects."""
    return judge(measured(question, window), standards_of(question.project_id))


def health_of(*, principal: Principal, assistant_id: str, days: int = DAYS) -> Health:
    """How an assistant has been in the last days, today included.

    :raises ApiError: 403, 404.
    """
    principal.require(ANALYTICS_READ)
    assistant = get_assistant(principal=principal, assistant_id=assistant_id)
    return _health(assistant, days_until(timezone.now().date(), days))


def history_of(*, principal: Principal, assistant_id: str, days: int = DAYS) -> list[Grade]:
    """The grades of the last days, the oldest first. A day without runs, or with too few before it, has none.

    :raises ApiError: 403, 404.
    """
    principal.require(ANALYTICS_READ)
    get_assistant(principal=principal, assistant_id=assistant_id)
    first = days_until(timezone.now().date(), days).start.date()
    return list(Grade.objects.filter(assistant_id=assistant_id, day__gte=first).order_by("day"))


def due(now: datetime) -> list[tuple[str, date]]:
    """Assistants with the days of which their grade has to be made: today, and yesterday once more after its end."""
    today = now.date()
    return [(assistant, day) for day in (today - timedelta(days=1), today) for assistant in _ungraded(day, now)]


def grade(assistant_id: str, day: date) -> Grade | None:
    """Make the grade of a day, unless another worker just did. Two that make it at once write the same.

    :returns: ``None`` where nothing was written: also for an assistant that is gone, or that has too little.
    """
    now = timezone.now()
    if _fresh(day, now).filter(assistant_id=assistant_id).exists():
        return None
    assistant = Assistant.objects.filter(pk=assistant_id).first()
    health = None if assistant is None else _health(assistant, days_until(day))
    if assistant is None or health is None or health.score is None:
        return None
    made = Grade(
        project_id=assistant.project_id,
        assistant_id=assistant_id,
        day=day,
        score=health.score,
        letter=letter_of(health.score),
        parts=health.stored(),
        made_at=now,
    )
    Grade.objects.bulk_create(
        [made],
        update_conflicts=True,
        unique_fields=["assistant_id", "day"],
        update_fields=["score", "letter", "parts", "made_at"],
    )
    return made


def _health(assistant: Assistant, window: Window) -> Health:
    return judged(Question(project_id=assistant.project_id, assistant_ids=(assistant.pk,)), window)


def _ungraded(day: date, now: datetime) -> list[str]:
    """Those with runs on the day, and enough of them in the days before, whose grade is not fresh."""
    window = days_until(day)
    rows = Rollup.objects.filter(period=Period.DAY, runs__gt=0).exclude(environment=Rollup.TRIAL)
    of_day = rows.filter(start=window.end - timedelta(days=1), assistant_id__in=Assistant.objects.values("pk"))
    waiting = of_day.exclude(assistant_id__in=_fresh(day, now).values("assistant_id"))
    enough = (
        rows.filter(start__gte=window.start, start__lt=window.end, assistant_id__in=waiting.values("assistant_id"))
        .values("assistant_id")
        .annotate(runs_of_all=Sum("runs"))
        .filter(runs_of_all__gte=MINIMUM_RUNS)
    )
    return sorted(enough.values_list("assistant_id", flat=True))


def _fresh(day: date, now: datetime) -> QuerySet[Grade]:
    """The grades of a day that need not be made again: those of the last hour, or made after its end."""
    return Grade.objects.filter(day=day, made_at__gt=min(now - AGAIN, days_until(day).end))
