"""What the numbers say of each part of an assistant's health, in words, and what could be done.

A number counts as what is certain about it, in doubt for the assistant: a failure of ten runs is no tenth of them yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runs.analytics.measures import Measures
from runs.analytics.metrics import SECOND, UNIT
from runs.analytics.sketches import Spread
from runs.analytics.standards import (
    BEST_RATING,
    WORST_RATING,
    WORST_SHARE,
    WORST_TIMES,
    Part,
    Standards,
    certain_share,
    score_of,
)

MINIMUM_VALUES = 5  # of a number that counts
NEARLY_ALL = 0.95
SURELY = "with 90 % confidence"  # as certain_share has it
ADVICE_OF_ERRORS = {
    "rate_limit_exceeded": "Raise the limits of the project or its key, or of the provider, or spread the work.",
    "invalid_prompt": "Mend what the engine refuses: the instructions, the response format, or conversations that are "
    "too long for the model. The failed runs say which.",
    "model_not_found": "Choose a model that is there: the one that the assistant names is served by no engine.",
}
ADVICE_OF_OTHER_ERRORS = "Look at the failed runs and at the state of the engine: something broke on the way."
SAY_WHAT_IT_MAY_COST = "Say what a run may cost, among what the project expects of its assistants."
MORE_OPINIONS = "Ask people for their thumbs, or for a score at the end of a conversation."


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one number says.

    :ivar score: ``None`` where there is too little, or nothing to compare it with.
    :ivar values: how many it is made of, and so how much it weighs within its part.
    """

    score: float | None
    values: int
    reason: str
    advice: str = ""


def _reliability(measures: Measures, standards: Standards) -> list[Finding]:
    code = _most(measures.errors)
    return [
        _of_share(
            measures.failed,
            measures.judged,
            f"{measures.failed:,} of {_counted(measures.judged, 'run')} failed",
            f", most often with {code}" if code else "",
            wanted=standards.targets["error_rate"],
            advice=ADVICE_OF_ERRORS.get(code, ADVICE_OF_OTHER_ERRORS),
        )
    ]


def _speed(measures: Measures, standards: Standards) -> list[Finding]:
    tokens = measures.answer_tokens.quantile(0.5)
    lengths = f", of which half have {tokens:,.0f} tokens or more" if tokens else ""
    shorter = f"Shorten the answers{lengths}, by the instructions or a limit; or give the model a faster engine."
    sooner = (
        "Shorten what the model has to read (instructions, memory, what is found in files), or give it engines with "
        "more room: first words wait for both."
    )
    return [
        _of_time(measures.response, "answers", standards.targets["response_p95"], shorter),
        _of_time(measures.first_token, "first words", standards.targets["first_token_p95"], sooner),
    ]


def _satisfaction(measures: Measures, standards: Standards) -> list[Finding]:
    thumbs = measures.thumbs_up + measures.thumbs_down
    found = [_of_thumbs(measures.thumbs_down, thumbs, standards), _of_scores(measures, standards)]
    if any(one.score is not None for one in found):
        return found
    few = _too_few(thumbs + measures.rated, "opinion")
    return [Finding(score=None, values=0, reason=few, advice=MORE_OPINIONS)]


def _of_thumbs(down: int, thumbs: int, standards: Standards) -> Finding:
    target = standards.targets["satisfaction"]
    return _of_share(
        down,
        thumbs,
        f"{down:,} of {_counted(thumbs, 'thumb')} point down",
        wanted=None if target is None else 1 - target,
        advice="Read the runs that got a thumb down, make cases of them in an evaluation, and change the instructions "
        "until they pass.",
    )


def _of_scores(measures: Measures, standards: Standards) -> Finding:
    """What a score is away from the best is a bad opinion; one of the worst is a whole one."""
    target, count = standards.targets["rating"], measures.rated
    if count < MINIMUM_VALUES or target is None:
        return Finding(score=None, values=count, reason=_too_few(count, "score"))
    span, mean = BEST_RATING - WORST_RATING, measures.rating_sum / count
    certain = certain_share((BEST_RATING - mean) / span * count, count)
    return Finding(
        score=score_of(certain, (BEST_RATING - target) / span, WORST_SHARE),
        values=count,
        reason=f"{_counted(count, 'conversation')} got {mean:.2g} of {BEST_RATING} on average (at most "
        f"{BEST_RATING - certain * span:.2g} {SURELY}; goal: {target:g}).",
        advice="Read the conversations with the lowest scores, and what people wrote about them.",
    )


def _tools(measures: Measures, standards: Standards) -> list[Finding]:
    if not measures.tool_calls:
        return [Finding(score=None, values=0, reason="No tool was called.")]
    name = _most(measures.tool_errors)
    return [
        _of_share(
            measures.tool_failures,
            measures.tool_calls,
            f"{measures.tool_failures:,} of {_counted(measures.tool_calls, 'tool call')} failed",
            f", most often those of {name}" if name else "",
            wanted=standards.targets["tool_error_rate"],
            advice=f"Look at what the failed calls of {name or 'its tools'} say: an address, a right or what the "
            "model is told about them may be wrong.",
        )
    ]


def _completion(measures: Measures, standards: Standards) -> list[Finding]:
    stopped = "People stop answers that take long or lead nowhere: look at the cancelled runs."
    waited = "Runs expire where nobody answers their calls of tools, or no worker is free: look at those that did."
    return [
        _of_share(
            measures.cancelled + measures.expired,
            measures.runs,
            f"Of {_counted(measures.runs, 'run')} {measures.cancelled:,} were cancelled, {measures.expired:,} expired",
            wanted=standards.targets["unfinished_rate"],
            advice=waited if measures.expired > measures.cancelled else stopped,
        )
    ]


def _cost(measures: Measures, standards: Standards) -> list[Finding]:
    if measures.runs < MINIMUM_VALUES:
        return [Finding(score=None, values=0, reason=_too_few(measures.runs, "run"))]
    target, each = standards.targets["cost_per_run"], measures.cost / UNIT / measures.runs
    if target is None:
        words = f"A run cost {_money(each)} on average. Nobody said what it may cost, so this does not count."
        return [Finding(score=None, values=0, reason=words, advice=SAY_WHAT_IT_MAY_COST)]
    is_read = measures.prompt_tokens > measures.completion_tokens
    what = "what the model reads (instructions, memory, files)" if is_read else "its answers"
    return [
        Finding(
            score=score_of(each, target, WORST_TIMES * target),
            values=measures.runs,
            reason=f"A run cost {_money(each)} on average (goal: up to {_money(target)}).",
            advice=f"Choose a cheaper model, or shorten {what}: a run has {measures.tokens // measures.runs:,} tokens.",
        )
    ]


FINDERS: dict[Part, Callable[[Measures, Standards], list[Finding]]] = {
    Part.RELIABILITY: _reliability,
    Part.SPEED: _speed,
    Part.SATISFACTION: _satisfaction,
    Part.TOOLS: _tools,
    Part.COMPLETION: _completion,
    Part.COST: _cost,
}


def _of_share(some: int, every: int, words: str, most: str = "", *, wanted: float | None, advice: str) -> Finding:
    """Of what should be few among many.

    :param most: words about where most of it comes from.
    """
    if every < MINIMUM_VALUES or wanted is None:
        return Finding(score=None, values=every, reason=f"{words}: too few to count.")
    certain = certain_share(some, every)
    told = f"{_percent(some / every)}; at least {_percent(certain)} {SURELY}; goal: up to {_percent(wanted)}"
    return Finding(
        score=score_of(certain, wanted, WORST_SHARE),
        values=every,
        reason=f"{words} ({told}){most}." if some else f"{words}.",
        advice=advice,
    )


def _of_time(spread: Spread, title: str, wanted: float | None, advice: str) -> Finding:
    """Of the time that nearly all take: what counts is how long those take that are nearly all for certain."""
    count = spread.count
    if count < MINIMUM_VALUES or wanted is None:
        return Finding(score=None, values=count, reason=f"Times of {title}: {count}, too few to count.")
    shown = (spread.quantile(NEARLY_ALL) or 0) / SECOND
    certain = (spread.quantile(certain_share(NEARLY_ALL * count, count)) or 0) / SECOND
    told = f"at least {_seconds(certain)} {SURELY}; goal: up to {_seconds(wanted)}"
    return Finding(
        score=score_of(certain, wanted, WORST_TIMES * wanted),
        values=count,
        reason=f"{_percent(NEARLY_ALL)} of {count:,} {title} took up to {_seconds(shown)} ({told}).",
        advice=advice,
    )


def _most(counts: dict[str, int]) -> str:
    return min(counts, key=lambda word: (-counts[word], word), default="")


def _counted(number: int, word: str) -> str:
    """
    >>> _counted(1, "run"), _counted(2_000, "run")
    ('1 run', '2,000 runs')
    """
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _too_few(number: int, word: str) -> str:
    return f"{_counted(number, word)}: too few to count."


def _percent(share: float) -> str:
    """
    >>> _percent(0.0583), _percent(0.5)
    ('5.8 %', '50 %')
    """
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 1_000 else f"{seconds:,.0f} s"


def _money(amount: float) -> str:
    return f"{amount:.3g}" if amount < 1_000 else f"{amount:,.0f}"
