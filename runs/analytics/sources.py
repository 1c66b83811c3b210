"""The tables whose rows are counted: each keeps with its rows whether the roll-ups hold them, and what of them.

Of model calls a table of their own has those that are not counted yet.

Taking a row, marking it and what it gives stand in one class, so that a table is one thing to read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple

from django.db.models import F, Min, Model, Q, QuerySet
from django.db.models.functions import Coalesce

from inference.models import UncountedCall
from runs.analytics import calls
from runs.analytics.calls import SUMMED, CallSums
from runs.analytics.measures import Measures
from runs.analytics.models import NOBODY, Counted, Rollup
from runs.analytics.sketches import add_counts
from runs.analytics.windows import Period, floor
from runs.conversations.models import UNCOUNTED, Conversation
from runs.models import Feedback, Run, RunStep, ToolUse
from runs.outcomes import Outcome
from runs.states import TERMINAL, Status
from sovereign.core.database import now
from threads.models import Thread

ANSWERED = frozenset({Status.COMPLETED, Status.INCOMPLETE})
FAILED_TOOLS = frozenset({Outcome.ERROR, Outcome.TIMEOUT, Outcome.INTERRUPTED})
OTHER_ERROR = "server_error"  # of a failed run that does not say what was wrong
MILLISECOND = timedelta(milliseconds=1)


class Dimensions(NamedTuple):
    """What a roll-up may be asked by; columns of ``Rollup``."""

    project_id: str
    assistant_id: str = NOBODY
    version_id: str = NOBODY
    environment: str = NOBODY
    model: str = NOBODY
    key_id: str = NOBODY


Runs = Mapping[str, Dimensions]  # by id: of those that other rows are about, and that are there still


class Tally(dict[tuple[datetime, Dimensions], Measures]):
    """What some rows give, by the five minutes they belong to."""

    def of(self, instant: datetime, whose: Dimensions) -> Measures:
        key = floor(instant, Period.MOMENT), whose
        if (found := self.get(key)) is None:
            found = self[key] = Measures()
        return found


class Source(ABC):
    """A table.

    :cvar columns: what is read of a row.
    :cvar weight: how many rows take as long as one of other tables.
    """

    model: ClassVar[type[Model]]
    columns: ClassVar[tuple[str, ...]]
    weight: ClassVar[int] = 1

    @abstractmethod
    def unmarked(self) -> QuerySet[Any]:
        """Those that are not counted yet, or not as they are now; an index has them and no others."""

    def of_thread(self, thread_id: str) -> Q:
        """Those that a thread takes with it, or whose runs it does."""
        return Q(thread_id=thread_id)

    def take(self, limit: int, thread_id: str | None = None) -> list[Any]:
        """Rows to be counted, locked; of those that somebody else has locked another pass takes care.

        Of a thread that is about to be deleted there is no other pass, and they are waited for.
        """
        rows = self.unmarked() if thread_id is None else self.unmarked().filter(self.of_thread(thread_id))
        locked = rows.order_by("pk").select_for_update(skip_locked=thread_id is None, no_key=True)
        return list(locked.values_list(*self.columns, named=True)[:limit])

    def mark(self, rows: list[Any]) -> None:
        self.model._default_manager.filter(pk__any_of=[row.id for row in rows]).update(is_counted=True)

    def summed(self, rows: list[Any]) -> list[Any]:
        """What is counted of them: each, or sums of them."""
        return rows

    def prepare(self, rows: Collection[Any]) -> Any:
        """What is asked of other tables, once for all rows."""
        return None

    @abstractmethod
    def count(self, row: Any, tally: Tally, runs: Runs, prepared: Any) -> None:
        """Add what the row gives. What may be odd about it comes out before anything is added."""


class Prepared(NamedTuple):
    """Of runs, by their ids: when their first message began, and the metadata of their threads."""

    first_messages: Mapping[str, datetime]
    threads: Mapping[str, dict[str, Any]]


class RunSource(Source):
    """Runs that are over, in the period of their end."""

    model = Run
    columns = (
        *("id", "project_id", "assistant_id", "version_id", "deployment_id", "environment", "replay_of", "model"),
        *("created_by_user", "created_by_key", "thread_id", "metadata", "status", "last_error", "completion_tokens"),
        *("created_at", "ended_at"),
    )

    def unmarked(self) -> QuerySet[Any]:
        ended_at = Coalesce("completed_at", "failed_at", "cancelled_at", "expires_at")
        return Run.objects.filter(is_counted=False, status__in=sorted(TERMINAL)).annotate(ended_at=ended_at)

    def prepare(self, rows: Collection[Any]) -> Prepared:
        messages = RunStep.objects.filter(
            run__pk__any_of=[row.id for row in rows], type=RunStep.Type.MESSAGE_CREATION
        ).order_by()
        of_keys = {row.thread_id for row in rows if row.created_by_user is None}
        return Prepared(
            dict(messages.values_list("run_id").annotate(first=Min("created_at"))),
            dict(Thread.objects.filter(pk__any_of=of_keys).values_list("pk", "metadata")),
        )

    def count(self, row: Any, tally: Tally, runs: Runs, prepared: Prepared) -> None:
        user = _user_of(row, prepared.threads.get(row.thread_id, {}))
        errors = [str((row.last_error or {}).get("code") or OTHER_ERROR)] if row.status == Status.FAILED else []
        found = tally.of(row.ended_at, dimensions_of(row))
        found.users.add(user)
        found.conversations.add(row.thread_id)
        found.runs += 1
        setattr(found, row.status, getattr(found, row.status) + 1)
        add_counts(found.errors, errors)
        if row.status in ANSWERED:
            found.response.add((row.ended_at - row.created_at) / MILLISECOND)
            found.answer_tokens.add(row.completion_tokens)
        if row.id in prepared.first_messages:
            found.first_token.add((prepared.first_messages[row.id] - row.created_at) / MILLISECOND)


class CallSource(Source):
    """Model calls, in the period of their end, beside their runs: the database adds them up."""

    model = UncountedCall
    weight = 10

    def unmarked(self) -> QuerySet[Any]:
        return UncountedCall.objects.all()

    def take(self, limit: int, thread_id: str | None = None) -> list[str]:
        return calls.take(limit, thread_id)

    def mark(self, rows: list[str]) -> None:
        """Taking them did it."""

    def summed(self, rows: list[str]) -> list[CallSums]:
        return calls.add_up(rows)

    def count(self, row: CallSums, tally: Tally, runs: Runs, prepared: None) -> None:
        found = tally.of(row.moment, dimensions_of(row))
        for name in SUMMED:
            setattr(found, name, getattr(found, name) + getattr(row, name))


class ToolSource(Source):
    """Calls of tools that were carried out here, in the period of their end, beside their runs."""

    model = ToolUse
    columns = ("id", "project_id", "assistant_id", "run_id", "key_id", "tool", "outcome", "created_at")

    def unmarked(self) -> QuerySet[Any]:
        return ToolUse.objects.filter(is_counted=False)

    def count(self, row: Any, tally: Tally, runs: Runs, prepared: None) -> None:
        found = tally.of(row.created_at, runs.get(row.run_id) or _of_nothing_known(row))
        found.tool_calls += 1
        add_counts(found.tools, [row.tool])
        if row.outcome in FAILED_TOOLS:
            found.tool_failures += 1
            add_counts(found.tool_errors, [row.tool])


class FeedbackSource(Source):
    """Thumbs for answers, in the period in which they were given first: what was counted before is taken back."""

    model = Feedback
    columns = ("id", "run_id", "rating", "counted", "created_at")

    def unmarked(self) -> QuerySet[Any]:
        return Feedback.objects.exclude(rating=F("counted"))

    def of_thread(self, thread_id: str) -> Q:
        return Q(run_id__in=Run.objects.filter(thread_id=thread_id).order_by().values("pk"))

    def mark(self, rows: list[Any]) -> None:
        counted = Feedback.objects.filter(pk__any_of=[row.id for row in rows])
        counted.update(counted=F("rating"))
        counted.filter(rating="").delete()

    def count(self, row: Any, tally: Tally, runs: Runs, prepared: None) -> None:
        found = tally.of(row.created_at, runs[row.run_id])
        _count_thumb(found, row.counted, -1)
        _count_thumb(found, row.rating, 1)


class ConversationSource(Source):
    """What people think of conversations, in the period in which those began: likewise.

    They think it of the run that was the newest when they said so: its version, its model. What is taken back is taken
    from where it went.
    """

    model = Conversation
    columns = (
        *("id", "project_id", "assistant_id", "environment", "created_by_key", "created_at"),
        *("thumb", "counted_thumb", "score", "counted_score", "rated_run_id", "counted_run_id"),
    )

    def unmarked(self) -> QuerySet[Any]:
        return Conversation.objects.filter(UNCOUNTED)

    def mark(self, rows: list[Any]) -> None:
        Conversation.objects.filter(pk__any_of=[row.id for row in rows]).update(
            counted_thumb=F("thumb"), counted_score=F("score"), counted_run_id=F("rated_run_id")
        )

    def prepare(self, rows: Collection[Any]) -> Runs:
        return _runs_named({run_id for row in rows for run_id in (row.rated_run_id, row.counted_run_id) if run_id})

    def count(self, row: Any, tally: Tally, runs: Runs, prepared: Runs) -> None:
        of_none = Dimensions(
            row.project_id,
            row.assistant_id,
            environment=row.environment or NOBODY,
            key_id=row.created_by_key or NOBODY,
        )
        opinions = (
            (row.counted_run_id, row.counted_thumb, row.counted_score, -1),
            (row.rated_run_id, row.thumb, row.score, 1),
        )
        for run_id, thumb, score, sign in opinions:
            if thumb or score is not None:
                _count_opinion(tally.of(row.created_at, prepared.get(run_id, of_none)), thumb, score, sign)


SOURCES: tuple[Source, ...] = (RunSource(), CallSource(), ToolSource(), FeedbackSource(), ConversationSource())


def is_anything_unmarked() -> bool:
    """A look at an index of each table, which is empty where there is nothing to do.

    The order names the index: Postgres, whose statistics are older than the last counting, would else read the table.
    """
    return any(source.unmarked().order_by("pk").values_list("pk").first() is not None for source in SOURCES)


def counted_until() -> datetime | None:
    """Until when the roll-ups hold everything; ``None`` where nothing was ever counted."""
    if not is_anything_unmarked():
        return now()
    return Counted.objects.values_list("at", flat=True).first()


def runs_of(rows: Iterable[Any]) -> Runs:
    """Those that the rows are about."""
    return _runs_named({row.run_id for row in rows if getattr(row, "run_id", None)})


def _runs_named(ids: Collection[str]) -> Runs:
    columns = ("id", "project_id", "assistant_id", "version_id", "deployment_id", "environment", "replay_of", "model")
    found = Run.objects.filter(pk__any_of=ids).order_by().values_list(*columns, "created_by_key", named=True)
    return {row.id: dimensions_of(row) for row in found}


def dimensions_of(run: Any) -> Dimensions:
    """Of a run, or of something with its columns."""
    is_tried = run.replay_of is not None or (run.version_id is not None and run.deployment_id is None)
    return Dimensions(
        run.project_id or NOBODY,
        run.assistant_id or NOBODY,
        run.version_id or NOBODY,
        Rollup.TRIAL if is_tried else run.environment or NOBODY,
        run.model,
        run.created_by_key or NOBODY,
    )


def _of_nothing_known(row: Any) -> Dimensions:
    """Of a row whose run is gone."""
    return Dimensions(row.project_id, row.assistant_id or NOBODY, key_id=row.key_id or NOBODY)


def _user_of(run: Any, thread_metadata: Mapping[str, Any]) -> str:
    """Who asked, as exactly as it is known."""
    if run.created_by_user is not None:
        return f"user:{run.created_by_user}"
    named = run.metadata.get("user_id") or thread_metadata.get("user_id")
    return f"{run.created_by_key}:{named}" if named else f"key:{run.created_by_key}"


def _count_opinion(measures: Measures, thumb: str, score: int | None, sign: int) -> None:
    _count_thumb(measures, thumb, sign)
    if score is not None:
        measures.rated += sign
        measures.rating_sum += sign * score


def _count_thumb(measures: Measures, thumb: str, sign: int) -> None:
    if thumb:
        name = f"thumbs_{thumb}"
        setattr(measures, name, getattr(measures, name) + sign)
