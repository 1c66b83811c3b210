"""Limits are exact, shared and given back; what is refused takes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from sovereign.accounts.models import Consumption
from sovereign.accounts.services import quotas
from sovereign.accounts.services.quotas import Demand, Limits, Refusal, Reservation, Subject

pytestmark = pytest.mark.django_db


def provider(**limits: int) -> Subject:
    """A subject that brings its own limits."""
    return Subject("provider", "prov_1", Limits(**limits))


def ask(*subjects: Subject, **what: Any) -> Reservation | Refusal:
    return quotas.reserve([Demand(subjects, **what)])[0]


def granted(*subjects: Subject, **what: Any) -> Reservation:
    answer = ask(*subjects, **what)
    assert isinstance(answer, Reservation), answer
    return answer


def refused(*subjects: Subject, **what: Any) -> Refusal:
    answer = ask(*subjects, **what)
    assert isinstance(answer, Refusal), answer
    return answer


def age(seconds: float) -> None:
    """Everything that was used is older than it is."""
    for row in Consumption.objects.all():
        for metric in quotas.METRICS:
            slots = row.windows.get(metric.name, [])
            row.windows[metric.name] = [[slot - round(seconds / metric.width), amount] for slot, amount in slots]
        row.calls = {call: ends - seconds for call, ends in row.calls.items()}
        row.save()


def test_three_a_minute() -> None:
    subject = provider(requests_per_minute=3)
    assert [type(ask(subject)) for _ in range(4)] == [Reservation] * 3 + [Refusal]
    refusal = refused(subject)
    assert refusal.message.startswith(
        "Rate limit reached for this model's provider on requests per min (RPM): Limit 3, Used 3, Requested 1. Please "
    )
    assert 59 < refusal.retry_after <= 60
    age(61)
    assert isinstance(ask(subject), Reservation)
