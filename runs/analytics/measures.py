"""What roll-ups hold of some runs, model calls, tools and opinions. Two of them added up are those of both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from runs.analytics.sketches import Distinct, Spread, add_counts


@dataclass(slots=True, kw_only=True)
class Measures:
    """Sums. Runs are counted once they are over, in the period in which they ended; cost is in nano-units.

    :ivar runs: that ended, however.
    :ivar prompt_tokens: these and what follows up to ``cost``: of all model calls, those of no run included.
    :ivar rated: scores of 1 to 5 that were given to conversations; ``rating_sum`` is their sum.
    :ivar users: the people who asked, and where an application asks for others, whom it names (``user_id`` in the
        metadata of run or thread), else its key.
    :ivar conversations: the threads that runs were on.
    :ivar response: milliseconds from a run's making to the end of its answer, of those that were answered.
    :ivar first_token: milliseconds from a run's making to its first message.
    :ivar answer_tokens: tokens that a run's model calls wrote, of runs that were answered.
    :ivar errors: runs that ended badly, by the code of what was wrong.
    :ivar tools: calls of tools by name; ``tool_errors`` those of them that failed.
    """

    runs: int = 0
    completed: int = 0
    incomplete: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    calls: int = 0
    failed_calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cost: int = 0
    tool_calls: int = 0
    tool_failures: int = 0
    thumbs_up: int = 0
    thumbs_down: int = 0
    rated: int = 0
    rating_sum: int = 0
    response: Spread = field(default_factory=Spread)
    first_token: Spread = field(default_factory=Spread)
    answer_tokens: Spread = field(default_factory=Spread)
    users: Distinct = field(default_factory=Distinct)
    conversations: Distinct = field(default_factory=Distinct)
    errors: dict[str, int] = field(default_factory=dict)
    tools: dict[str, int] = field(default_factory=dict)
    tool_errors: dict[str, int] = field(default_factory=dict)

    def add(self, other: Measures) -> None:
        for name in COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in SKETCHES:
            getattr(self, name).merge(getattr(other, name))
        for name in WORD_COUNTS:
            add_counts(getattr(self, name), getattr(other, name))

    @classmethod
    def total(cls, every: Iterable[Measures]) -> Measures:
        total = cls()
        for one in every:
            total.add(one)
        return total

    @property
    def answered(self) -> int:
        return self.completed + self.incomplete

    @property
    def judged(self) -> int:
        """Runs that were answered or failed: what was cancelled or expired says nothing of either."""
        return self.answered + self.failed

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


SPREADS = ("response", "first_token", "answer_tokens")
DISTINCTS = ("users", "conversations")
SKETCHES = (*SPREADS, *DISTINCTS)
WORD_COUNTS = ("errors", "tools", "tool_errors")
COUNTERS = tuple(one.name for one in fields(Measures) if one.name not in {*SKETCHES, *WORD_COUNTS})
