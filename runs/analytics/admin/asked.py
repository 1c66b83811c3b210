"""What a page of analytics is asked for in its address; what cannot be read is as if it were not given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.utils import timezone

from assistants.admin.visible import visible_assistants
from assistants.kinds import Environment
from assistants.models import Assistant, AssistantVersion
from runs.analytics.grading import DAYS, days_until
from runs.analytics.reading import Question
from runs.analytics.windows import Period, Window, floor, following

WINDOWS = {1: "Today", 7: "7 days", 30: "30 days", 90: "90 days", 365: "A year"}
PERIODS = {1: Period.HOUR, 365: Period.WEEK}  # that a chart is made of; else days
OFFERED = 50  # assistants and versions to compare with
VERSION = "version:"

Choice = tuple[str, str, bool]  # value, words, whether it is chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """:ivar other: what it is compared with, and the words for it."""

    days: int
    question: Question
    other: tuple[str, Question] | None
    windows: list[Choice]
    versions: list[Choice]
    environments: list[Choice]
    others: list[Choice]

    @property
    def window(self) -> Window:
        return until_now(self.days)

    @property
    def period(self) -> Period:
        return PERIODS.get(self.days, Period.DAY)


def until_now(days: int) -> Window:
    """So many days, today included as far as it is: it is compared with as long a time before."""
    now = timezone.now()
    return Window(days_until(now.date(), days).start, following(floor(now, Period.MOMENT), Period.MOMENT))


def days_of(request: HttpRequest) -> int:
    text = request.GET.get("days", "")
    days = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else DAYS
    return days if days in WINDOWS else DAYS


def windows(days: int) -> list[Choice]:
    return [(str(number), words, number == days) for number, words in WINDOWS.items()]


def asked_about(request: HttpRequest, assistant: Assistant) -> Asked:
    days = days_of(request)
    versions = dict(_versions(assistant))
    version = _known(request.GET.get("version"), versions)
    environment = _known(request.GET.get("environment"), Environment.values)
    others = {
        **dict(_others(request, assistant)),
        **{f"{VERSION}{pk}": f"{words} of this one" for pk, words in versions.items()},
    }
    against = _known(request.GET.get("against"), others)
    common: dict[str, Any] = {"project_id": assistant.project_id, "environment": environment}
    return Asked(
        days=days,
        question=Question(assistant_ids=(assistant.pk,), version_id=version, **common),
        other=None if against is None else (others[against], _question_about(against, assistant, common)),
        windows=windows(days),
        versions=_choices(versions, version, "all"),
        environments=_choices(dict(Environment.choices), environment, "all"),
        others=_choices(others, against, "nothing"),
    )


def page_of(assistant_id: str) -> tuple[str, list[str]]:
    """The name and the arguments of an assistant's page."""
    return "admin:analytics_assistant", [quote(assistant_id)]


def _question_about(against: str, assistant: Assistant, common: dict[str, Any]) -> Question:
    if against.startswith(VERSION):
        return Question(assistant_ids=(assistant.pk,), version_id=against.removeprefix(VERSION), **common)
    return Question(assistant_ids=(against,), **common)


def _versions(assistant: Assistant) -> list[tuple[str, str]]:
    rows = AssistantVersion.objects.filter(assistant_id=assistant.pk).order_by("-number")
    return [(version.pk, str(version).capitalize()) for version in rows[:OFFERED]]


def _others(request: HttpRequest, assistant: Assistant) -> list[tuple[str, str]]:
    rows = visible_assistants(request, Assistant.objects.filter(project_id=assistant.project_id))
    return [(other.pk, str(other)) for other in rows.exclude(pk=assistant.pk).order_by("-updated_at", "-id")[:OFFERED]]


def _known(value: str | None, choices: Any) -> str | None:
    return value if value in choices else None


def _choices(known: dict[str, str], chosen: str | None, none: str) -> list[Choice]:
    return [("", none, chosen is None), *((value, words, value == chosen) for value, words in known.items())]
