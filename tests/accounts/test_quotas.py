"""What is limited: it is counted, refused, given back and grows old; what is refused takes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sovereign.accounts import services
from sovereign.accounts.models import ApiKey, Consumption, Limit, Project
from sovereign.accounts.principals import Principal
from sovereign.accounts.services import quotas
from sovereign.accounts.services.quotas import (
    METRICS,
    Demand,
    Limits,
    Refusal,
    Reservation,
    Subject,
    book,
    duration,
    subjects_of,
)
from sovereign.core.database import now

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def standing_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands at the beginning of a slot; what is to be older is made older."""
    moment = now().replace(microsecond=0)
    monkeypatch.setattr(book, "now", lambda: moment)
    monkeypatch.setattr(quotas, "now", lambda: moment)


@pytest.fixture
def key(api_key: str) -> ApiKey:
    return ApiKey.objects.get()


def provider(identifier: str = "prov_1", **limits: int) -> Subject:
    """A subject that brings its own limits."""
    return Subject("provider", identifier, Limits(**limits))


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
    """Whatever was used is older by this."""
    for row in Consumption.objects.all():
        for metric in METRICS:
            slots = row.windows.get(metric.name, [])
            row.windows[metric.name] = [[slot - round(seconds / metric.width), amount] for slot, amount in slots]
        row.calls = {call: ends - seconds for call, ends in row.calls.items()}
        row.save()


# requests


def test_three_a_minute() -> None:
    three = provider(requests_per_minute=3)
    for _ in range(3):
        granted(three)
    refusal = refused(three)
    assert refusal.message == (
        "Rate limit reached for this model's provider on requests per min (RPM): Limit 3, Used 3, Requested 1. Please "
        "try again in 1m0s."
    )
    assert (refusal.metric, refusal.type, refusal.retry_after, refusal.is_final) == ("requests", "requests", 60, False)


def test_what_was_used_a_minute_ago_may_be_used_again_and_no_sooner() -> None:
    three = provider(requests_per_minute=3)
    granted(three)
    age(40)
    granted(three)
    granted(three)
    refusal = refused(three)
    assert refusal.retry_after == 20.5, "when the oldest has left, with all of its half second"
    assert refusal.message.endswith("Please try again in 20.5s.")
    age(20)
    refused(three)
    age(0.5)
    granted(three)
    refused(three)


def test_no_minute_ever_has_more_than_the_limit() -> None:
    """A bucket that is filled again meanwhile would let twice as many through in its first minute."""
    ten, seen = provider(requests_per_minute=10), 0
    for _ in range(60):
        seen += isinstance(ask(ten), Reservation)
        age(1)
    assert seen == 10


def test_a_refusal_takes_nothing_and_neither_does_its_half() -> None:
    """Two subjects have to agree; the one that does is not charged for the other's refusal."""
    wide, narrow = provider("wide", requests_per_minute=10), provider("narrow", requests_per_minute=1)
    granted(wide, narrow)
    for _ in range(20):
        refused(wide, narrow)
    assert granted(wide).headers["x-ratelimit-remaining-requests"] == "8"


def test_demands_of_one_batch_count_for_each_other() -> None:
    three = provider(requests_per_minute=3)
    answers = quotas.reserve([Demand((three,))] * 5)
    assert [type(answer) for answer in answers] == [Reservation] * 3 + [Refusal] * 2


def test_a_clock_that_was_set_back_keeps_nothing_for_longer() -> None:
    three = provider(requests_per_minute=3)
    granted(three)
    age(-3600)
    granted(three)
    assert ask(three).headers["x-ratelimit-reset-requests"] == "1m0.5s"


# tokens


def test_tokens_are_taken_at_once_and_what_was_not_used_comes_back() -> None:
    thousand = provider(tokens_per_minute=1000)
    first = granted(thousand, tokens=700)
    refusal = refused(thousand, tokens=400)
    assert "on tokens per min (TPM): Limit 1000, Used 700, Requested 400." in refusal.message
    assert (refusal.metric, refusal.type) == ("tokens", "tokens")
    quotas.settle([(first, 100)])
    assert granted(thousand, tokens=900).headers["x-ratelimit-remaining-tokens"] == "0"


def test_more_than_was_reserved_is_a_debt_that_grows_old() -> None:
    thousand = provider(tokens_per_minute=1000)
    quotas.settle([(granted(thousand, tokens=10), 1500)])
    refusal = refused(thousand, tokens=1)
    assert "Limit 1000, Used 1500, Requested 1." in refusal.message
    assert refusal.headers["x-ratelimit-remaining-tokens"] == "0"
    refused(thousand, requests=1, needs_tokens=True)
    age(60.5)
    granted(thousand, tokens=1000)


def test_a_request_that_will_need_tokens_is_refused_where_none_is_left_and_takes_none() -> None:
    ten = provider(tokens_per_minute=10)
    granted(ten, needs_tokens=True)
    assert granted(ten, tokens=10).headers["x-ratelimit-remaining-tokens"] == "0"
    refused(ten, needs_tokens=True)
    granted(ten)


def test_a_call_that_ends_after_its_minute_gets_nothing_back_and_pays_only_what_was_too_little() -> None:
    thousand = provider(tokens_per_minute=1000)
    little, much = granted(thousand, tokens=100), granted(thousand, tokens=700)
    age(61)
    quotas.settle([(little_before(little, 61), 300), (little_before(much, 61), 50)])
    assert granted(thousand, tokens=100).headers["x-ratelimit-remaining-tokens"] == "700"


def little_before(reservation: Reservation, seconds: float) -> Reservation:
    return Reservation(
        reservation.id,
        reservation.taken_from,
        reservation.requests,
        reservation.tokens,
        reservation.at - seconds,
        reservation.holds,
    )


def test_what_is_more_than_the_limit_by_itself_need_not_be_tried_again() -> None:
    thousand = provider(tokens_per_minute=1000)
    refusal = refused(thousand, tokens=1001)
    assert refusal.message == (
        "Request too large for this model's provider on tokens per min (TPM): Limit 1000, Requested 1001. The input or "
        "output tokens must be reduced in order to run successfully."
    )
    assert refusal.is_final
    assert refusal.headers["x-should-retry"] == "false"
    granted(thousand, tokens=1000)
    assert "x-should-retry" not in refused(thousand, tokens=1000).headers


def test_where_no_call_may_run_nobody_is_told_to_wait() -> None:
    refusal = refused(provider(concurrent_calls=0))
    assert refusal.message == "Model calls are switched off for this model's provider."
    assert refusal.headers["x-should-retry"] == "false"


def test_what_may_be_more_is_a_share_of_the_limit_and_of_what_is_left() -> None:
    wide, narrow = provider("a", tokens_per_minute=4000), provider("b", tokens_per_day=3000)
    assert granted(wide, tokens=10, up_to=4096).tokens == 1010
    assert granted(wide, tokens=10, up_to=5).tokens == 15
    assert granted(wide, narrow, up_to=4096).tokens == 750
    assert granted(wide, tokens=1600).tokens == 1600
    assert granted(wide, tokens=10, up_to=4096).tokens == 10 + 615, "there is no more"
    assert granted(provider("c", requests_per_minute=9), tokens=10, up_to=4096).tokens == 10, "tokens have no limit"


def test_what_may_be_more_is_refused_where_next_to_nothing_is_left() -> None:
    wide = provider(tokens_per_minute=4000)
    granted(wide, tokens=3700)
    assert "Requested 356" in refused(wide, tokens=100, up_to=4096).message
    assert granted(wide, tokens=10, up_to=4096).tokens == 10 + 290
    assert granted(provider("small", tokens_per_minute=40), tokens=10, up_to=4096).tokens == 20


def test_tokens_of_a_day_and_of_a_minute_are_both_counted() -> None:
    both = provider(tokens_per_minute=1000, tokens_per_day=2500)
    first = granted(both, tokens=1000)
    assert first.headers["x-ratelimit-limit-tokens"] == "1000", "the minute has less left"
    quotas.settle([(first, 900)])
    age(61)
    granted(both, tokens=1000)
    age(61)
    refusal = refused(both, tokens=700)
    assert "on tokens per day (TPD): Limit 2500, Used 1900, Requested 700." in refusal.message
    assert refusal.metric == "tokens_of_day"
    assert 23 * 3600 < refusal.retry_after <= 24 * 3600
    assert granted(both, tokens=100).headers["x-ratelimit-limit-tokens"] == "2500", "the day has less left"
    age(24 * 3600 + 900)
    granted(both, tokens=1000)


# model calls at once


def test_so_many_at_once_and_the_next_when_one_is_over() -> None:
    two = provider(concurrent_calls=2)
    first, _ = granted(two), granted(two)
    refusal = refused(two)
    assert (refusal.metric, refusal.type, refusal.retry_after) == ("calls", "requests", 1)
    assert "on concurrent model calls: Limit 2, Used 2, Requested 1. Please try again in 1s." in refusal.message
    granted(two, holds=False)
    quotas.settle([(first, 0)])
    granted(two)
    refused(two)


def test_a_call_whose_process_died_is_over_when_its_lease_is() -> None:
    one = provider(concurrent_calls=1)
    dead = granted(one)
    age(59)
    refused(one)
    age(2)
    living = granted(one)
    quotas.settle([(dead, 0)])  # it only seemed dead: another's slot is not its own to give back
    refused(one)
    quotas.settle([(living, 0)])
    granted(one)


def test_a_call_that_goes_on_renews_its_lease() -> None:
    one = provider(concurrent_calls=1)
    long = granted(one)
    for _ in range(5):
        age(50)
        quotas.renew([long])
    refused(one)
    age(61)
    quotas.renew([long])  # it was late, but what runs, runs
    refused(one)


# whose


def test_the_rows_of_a_key_and_of_its_project_both_apply(project: Project, key: ApiKey) -> None:
    services.set_project_limits(project=project, limits=Limits(requests_per_minute=5, tokens_per_minute=100))
    services.set_key_limits(key=key, limits=Limits(requests_per_minute=2))
    mine = subjects_of(Principal(project_id=project.pk, key_id=key.pk, scopes=frozenset()))
    others = subjects_of(Principal(project_id=project.pk, user_id=1, scopes=frozenset()))
    answer = granted(*mine, tokens=10)
    assert {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-limit-tokens": "100",
        "x-ratelimit-remaining-tokens": "90",
    }.items() <= answer.headers.items()
    granted(*mine)
    assert "for this API key on requests per min" in refused(*mine).message
    for _ in range(3):
        granted(*others)
    assert "for this project on requests per min" in refused(*others).message


def test_a_change_counts_at_once_and_remembers_what_was_used(project: Project) -> None:
    mine = Subject("project", project.pk)
    services.set_project_limits(project=project, limits=Limits(requests_per_minute=2))
    granted(mine)
    granted(mine)
    refused(mine)
    services.set_project_limits(project=project, limits=Limits(requests_per_minute=3))
    granted(mine)
    refused(mine)
    services.set_project_limits(project=project, limits=Limits())
    granted(mine)
    assert not Limit.objects.exists()


def test_nobody_elses_limits_apply(project: Project, charlies_project: Project, charlies_key: str) -> None:
    services.set_project_limits(project=charlies_project, limits=Limits(requests_per_minute=1))
    services.set_key_limits(key=ApiKey.objects.get(), limits=Limits(requests_per_minute=1))
    for _ in range(3):
        assert granted(Subject("project", project.pk), Subject("key", "key_x")).taken_from == ()
    assert granted(Subject("project", "proj_unknown")).headers == {}
    assert not Consumption.objects.exists()


def test_many_at_once_of_different_people_are_one_transaction(
    project: Project, charlies_project: Project, django_assert_num_queries: Any
) -> None:
    for one in (project, charlies_project):
        services.set_project_limits(project=one, limits=Limits(tokens_per_minute=1000))
    demands = [Demand((Subject("project", one.pk),), requests=0, tokens=400) for one in (project, charlies_project)]
    first = quotas.reserve(demands)
    with django_assert_num_queries(5):  # the limits, and in a savepoint: the rows are locked, and written
        second = quotas.reserve(demands * 2)
    assert [type(answer) for answer in (*first, *second)] == [Reservation] * 4 + [Refusal] * 2
    with django_assert_num_queries(4):
        quotas.settle([(answer, 0) for answer in (*first, *second) if isinstance(answer, Reservation)])
    assert {len(row.windows) for row in Consumption.objects.all()} == {0}


# what it costs, and what is told


def test_where_nothing_is_limited_it_is_one_small_query(
    project: Project, key: ApiKey, django_assert_num_queries: Any
) -> None:
    principal = Principal(project_id=project.pk, key_id=key.pk, scopes=frozenset())
    with django_assert_num_queries(1):
        answer = granted(*subjects_of(principal), tokens=100)
    with django_assert_num_queries(0):
        quotas.settle([(answer, 10)])
        quotas.renew([answer])
        quotas.give_back([answer])
        assert granted(provider()).headers == {}
    assert quotas.rate_headers(principal) == {}


def test_a_metric_that_is_not_limited_locks_no_row(project: Project, django_assert_num_queries: Any) -> None:
    services.set_project_limits(project=project, limits=Limits(requests_per_minute=1))
    with django_assert_num_queries(1):
        assert granted(Subject("project", project.pk), requests=0, tokens=10).taken_from == ()


def test_headers_can_be_had_without_taking_anything(project: Project, key: ApiKey) -> None:
    principal = Principal(project_id=project.pk, key_id=key.pk, scopes=frozenset())
    services.set_project_limits(project=project, limits=Limits(requests_per_minute=60, tokens_per_day=1000))
    assert quotas.rate_headers(principal) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "60",
        "x-ratelimit-reset-requests": "0s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "1000",
        "x-ratelimit-reset-tokens": "0s",
    }
    granted(*subjects_of(principal), tokens=300)
    assert quotas.rate_headers(principal)["x-ratelimit-remaining-tokens"] == "700"
    assert quotas.rate_headers(principal) == quotas.rate_headers(principal)


def test_what_is_given_back_was_never_taken() -> None:
    one = provider(requests_per_minute=1, tokens_per_minute=10, concurrent_calls=1)
    for _ in range(3):
        quotas.give_back([granted(one, tokens=10)])
    assert Consumption.objects.get().windows == {}
    assert Consumption.objects.get().calls == {}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0004, "1ms"),
        (0.25, "250ms"),
        (8.64, "8.64s"),
        (20, "20s"),
        (59.9999, "1m0s"),
        (61.5, "1m1.5s"),
        (3600, "1h0m0s"),
        (86_399.5, "23h59m59.5s"),
    ],
)
def test_durations_are_written_as_the_original_service_does(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_error_is_the_contracts() -> None:
    one = provider(requests_per_minute=1)
    granted(one)
    error = refused(one).error()
    assert (error.status, error.type, error.param, error.code) == (429, "requests", None, "rate_limit_exceeded")
    assert (error.headers["retry-after"], error.headers["retry-after-ms"]) == ("60", "60000")
    assert timedelta(milliseconds=int(error.headers["retry-after-ms"])) <= timedelta(minutes=1), "SDKs wait no longer"
