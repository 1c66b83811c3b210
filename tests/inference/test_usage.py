"""Prices of a day, and what usage adds up to."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from inference import services, usage
from inference.models import Provider, UsageRecord
from inference.usage import Ended, Price, cost, totals
from sovereign.core.errors import ApiError
from tests.inference.helpers import provider_engine

pytestmark = pytest.mark.django_db

DAY = date(2026, 3, 1)


def record(number: int, *, provider_id: str | None = None, **changes: Any) -> UsageRecord:
    """A call that ended on a day."""
    day = changes.pop("day", DAY)
    values = {
        "id": f"call_{number}",
        "model": "big",
        "outcome": "stop",
        "prompt_tokens": 1_000,
        "cached_tokens": 400,
        "completion_tokens": 10,
        "day": day,
        "created_at": datetime(day.year, day.month, day.day, tzinfo=UTC),
        **changes,
    }
    row = UsageRecord(**values)
    usage.record([Ended(row, provider_id)])
    row.refresh_from_db()
    return row


def priced(**changes: Any) -> Any:
    values = {"model": "big", "valid_from": date(2026, 1, 1), "prompt": 150, "completion": 600, **changes}
    return services.set_price(**values)


def test_the_cost_is_exact() -> None:
    price = Price(prompt=2_500, cached=1_250, completion=10_000)
    assert cost(price, prompt=1_000_003, cached=999_999, completion=7) == 4 * 2_500 + 999_999 * 1_250 + 70_000
    assert cost(price, prompt=10, cached=20, completion=0) == 10 * 1_250, "more cached than there were cannot be"
    assert cost(Price(2**62, 0, 0), prompt=4, cached=0, completion=0) == 2**63 - 1, "what the column holds"


def test_without_a_price_nothing_is_paid() -> None:
    assert record(1).cost == 0


def test_cached_tokens_have_a_price_of_their_own() -> None:
    priced(cached=75)
    assert record(1).cost == 600 * 150 + 400 * 75 + 10 * 600


def test_cached_tokens_cost_as_others_where_nothing_is_said() -> None:
    priced()
    assert record(1).cost == 1_000 * 150 + 10 * 600


def test_the_price_is_that_of_the_day() -> None:
    priced(prompt=1, completion=0)
    priced(valid_from=date(2026, 2, 1), prompt=2, completion=0)
    priced(valid_from=date(2026, 4, 1), prompt=4, completion=0)
    assert record(1).cost == 2_000
    assert record(2, day=date(2026, 1, 31)).cost == 1_000
    assert record(3, day=date(2025, 12, 31)).cost == 0
    assert record(4, day=date(2026, 4, 1)).cost == 4_000
    assert UsageRecord.objects.get(pk="call_1").cost == 2_000, "what was used keeps what it cost"


def test_a_providers_price_goes_before_everybodys() -> None:
    provider_engine("http://127.0.0.1:9/v1")
    provider = Provider.objects.get()
    priced(prompt=1, completion=0)
    priced(prompt=7, completion=0, provider=provider, valid_from=date(2026, 2, 1))
    assert record(1, provider_id=provider.pk).cost == 7_000
    assert record(2).cost == 1_000
    assert record(3, provider_id=provider.pk, day=date(2026, 1, 15)).cost == 1_000


def test_totals() -> None:
    priced(prompt=1, completion=0)
    one = {"project_id": "proj_1", "key_id": "key_1", "assistant_id": "asst_1"}
    record(1, **one)
    record(2, **{**one, "key_id": "key_2"}, model="small", reasoning_tokens=3, outcome="server_error")
    record(3, **one, day=date(2026, 3, 2), outcome="cancelled")
    record(4, project_id="proj_2", model="small")
    everything = UsageRecord.objects.all()
    (total,) = totals(everything)
    assert (total.calls, total.failed, total.prompt_tokens, total.cached_tokens) == (4, 1, 4_000, 1_600)
    assert (total.completion_tokens, total.reasoning_tokens, total.cost) == (40, 3, 2_000)
    assert [(group.key, group.calls, group.cost) for group in totals(everything, "model")] == [
        (("big",), 2, 2_000),
        (("small",), 2, 0),
    ]
    assert [(group.key, group.calls) for group in totals(everything, "day")] == [((DAY,), 3), ((date(2026, 3, 2),), 1)]
    mine = everything.filter(project_id="proj_1")
    assert [group.key for group in totals(mine, "key", "model")] == [("key_1", "big"), ("key_2", "small")]
    assert [group.calls for group in totals(mine, "assistant")] == [3]
    assert [group.key for group in totals(everything, "project", limit=1)] == [("proj_1",)]
    assert [group.calls for group in totals(everything.between(DAY, DAY))] == [3]
    with pytest.raises(KeyError):
        totals(everything, "outcome")


def test_large_costs_are_added_up_exactly() -> None:
    """Whatever an upstream says of its tokens: the column's largest value, more than once."""
    for number, (model, paid) in enumerate(
        (("big", 2**63 - 1), ("big", 2**63 - 1), ("near", 2**63 - 1), ("near", 2**63 - 2), ("small", 10**9 + 1))
    ):
        record(number, model=model)
        UsageRecord.objects.filter(pk=f"call_{number}").update(cost=paid)
    everything = UsageRecord.objects.all()
    assert totals(everything)[0].cost == 4 * 2**63 - 5 + 10**9 + 1
    assert [(group.key, group.cost) for group in totals(everything, "model")] == [
        (("big",), 2**64 - 2),
        (("near",), 2**64 - 3),
        (("small",), 10**9 + 1),
    ]


def test_a_price_has_its_bounds() -> None:
    assert priced(prompt=10**11).prompt == 10**11
    with pytest.raises(ApiError, match="0 to 100 for a token"):
        priced(completion=10**11 + 1)


def test_nothing_adds_up_to_nothing() -> None:
    (total,) = totals(UsageRecord.objects.none())
    assert (total.calls, total.cost, total.prompt_tokens) == (0, 0, 0)
    assert totals(UsageRecord.objects.all(), "model") == []


def test_calls_of_two_days_in_one_batch_have_the_price_of_their_own() -> None:
    priced(prompt=1, completion=0)
    priced(valid_from=date(2026, 3, 2), prompt=2, completion=0)
    rows = [
        UsageRecord(id=f"call_{day}", model="big", outcome="stop", prompt_tokens=10, day=date(2026, 3, day),
                    created_at=datetime(2026, 3, day, tzinfo=UTC))
        for day in (2, 1)
    ]  # fmt: skip
    usage.record([Ended(row) for row in rows])
    assert dict(UsageRecord.objects.values_list("pk", "cost")) == {"call_1": 10, "call_2": 20}
