"""The metrics that people read: each is a number made of ``Measures``, with what it means and which way is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from runs.analytics.measures import Measures
from runs.analytics.sketches import Spread
from sovereign.core.errors import ApiError

SECOND = 1_000  # milliseconds
UNIT = 10**9  # nano-units of the house's currency
SHOWN = 64  # characters of what a client sent that an error repeats


class Unit(StrEnum):
    COUNT = "count"
    MEAN = "mean"
    SHARE = "share"  # 0 to 1
    SECONDS = "seconds"
    MONEY = "money"  # units of the house's currency


class Better(StrEnum):
    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """
    :ivar value: ``None`` where nothing is known: no run, no opinion.
    :ivar part: of a share, what is counted and among how many: what a test of significance needs.
    :ivar spread: of a quantile, the name of the spread it is read from; ``share`` is how many it is not exceeded by.
    :ivar needs: what has to be read for it beside counters.
    :ivar is_sum: it grows with the time that is looked at.
    :ivar is_of_events: of a sum, it counts what comes one by one, and not what a single event has many of.
    """

    name: str
    title: str
    unit: Unit
    better: Better = Better.NEITHER
    value: Callable[[Measures], float | None]
    part: Callable[[Measures], tuple[int, int]] | None = None
    spread: str | None = None
    share: float | None = None
    needs: tuple[str, ...] = ()
    is_sum: bool = False
    is_of_events: bool = False


def _ratio(some: float, every: float) -> float | None:
    return some / every if every else None


def _count(name: str, title: str, read: Callable[[Measures], int], **more: Any) -> Metric:
    return Metric(name=name, title=title, unit=Unit.COUNT, value=read, is_sum=True, **more)


def _events(name: str, title: str, read: Callable[[Measures], int]) -> Metric:
    return _count(name, title, read, is_of_events=True)


def _share(name: str, title: str, better: Better, part: Callable[[Measures], tuple[int, int]]) -> Metric:
    return Metric(
        name=name, title=title, unit=Unit.SHARE, better=better, value=lambda one: _ratio(*part(one)), part=part
    )


def _mean(name: str, title: str, read: Callable[[Measures], tuple[float, float]], **more: Any) -> Metric:
    return Metric(name=name, title=title, unit=Unit.MEAN, value=lambda one: _ratio(*read(one)), **more)


def _quantile(spread: str, share: float, scale: float, measures: Measures) -> float | None:
    read: Spread = getattr(measures, spread)
    found = read.quantile(share)
    return None if found is None else found / scale


def _time(spread: str, title: str, percent: int) -> Metric:
    return Metric(
        name=f"{spread}_p{percent}",
        title=f"{title}, {percent} % take up to",
        unit=Unit.SECONDS,
        better=Better.LOWER,
        value=partial(_quantile, spread, percent / 100, SECOND),
        spread=spread,
        share=percent / 100,
        needs=(spread,),
    )


def _money(name: str, title: str, read: Callable[[Measures], float | None], **more: Any) -> Metric:
    return Metric(name=name, title=title, unit=Unit.MONEY, value=read, **more)


def _cost_per_run(one: Measures) -> float | None:
    return _ratio(one.cost / UNIT, one.runs)


#: In the order in which they are shown.
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _events("runs", "Runs", lambda one: one.runs),
        _count("users", "People", lambda one: one.users.count, needs=("users",)),
        _count("conversations", "Conversations", lambda one: one.conversations.count, needs=("conversations",)),
        _mean(
            "conversation_length",
            "Runs for each conversation",
            lambda one: (one.runs, one.conversations.count),
            needs=("conversations",),
        ),
        _events("failed", "Failed runs", lambda one: one.failed),
        _share("error_rate", "Runs that failed", Better.LOWER, lambda one: (one.failed, one.judged)),
        _share("cancel_rate", "Runs that were cancelled", Better.LOWER, lambda one: (one.cancelled, one.runs)),
        _share("expiry_rate", "Runs that expired", Better.LOWER, lambda one: (one.expired, one.runs)),
        _time("response", "Answers", 50),
        _time("response", "Answers", 95),
        _time("response", "Answers", 99),
        _time("first_token", "First words", 50),
        _time("first_token", "First words", 95),
        _time("first_token", "First words", 99),
        Metric(
            name="answer_tokens_p50",
            title="Tokens of an answer, half have up to",
            unit=Unit.COUNT,
            value=partial(_quantile, "answer_tokens", 0.5, 1),
            spread="answer_tokens",
            share=0.5,
            needs=("answer_tokens",),
        ),
        _events("calls", "Model calls", lambda one: one.calls),
        _share("failed_call_rate", "Model calls that failed", Better.LOWER, lambda one: (one.failed_calls, one.calls)),
        _count("tokens", "Tokens", lambda one: one.tokens),
        _count("prompt_tokens", "Tokens of prompts", lambda one: one.prompt_tokens),
        _count("completion_tokens", "Tokens of answers", lambda one: one.completion_tokens),
        Metric(
            name="cached_rate",
            title="Cached tokens",
            unit=Unit.SHARE,  # without a part: a call's tokens are cached together, they are no trials
            better=Better.HIGHER,
            value=lambda one: _ratio(one.cached_tokens, one.prompt_tokens),
        ),
        _money("cost", "Cost", lambda one: one.cost / UNIT, is_sum=True),
        _money("cost_per_run", "Cost of a run", _cost_per_run, better=Better.LOWER),
        _events("tool_calls", "Tool calls", lambda one: one.tool_calls),
        _share(
            "tool_error_rate", "Tool calls that failed", Better.LOWER, lambda one: (one.tool_failures, one.tool_calls)
        ),
        _share(
            "satisfaction",
            "Thumbs up",
            Better.HIGHER,
            lambda one: (one.thumbs_up, one.thumbs_up + one.thumbs_down),
        ),
        _mean("rating", "Score of conversations", lambda one: (one.rating_sum, one.rated), better=Better.HIGHER),
    )
}


def metric_named(name: str, param: str = "metric") -> Metric:
    """:raises ApiError: 400, there is no such metric."""
    metric = METRICS.get(name)
    if metric is None:
        raise ApiError(
            f"Invalid value: '{name[:SHOWN]}'. Supported values are: {', '.join(METRICS)}.",
            param=param,
            code="invalid_value",
        )
    return metric
