"""Things that happen to assistants, as rows; and what roll-ups have to say of them, read from the rows one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from inference.models import UncountedCall, UsageRecord
from runs.analytics.cells import COLUMNS, unpack
from runs.analytics.measures import Measures
from runs.analytics.models import Rollup
from runs.analytics.windows import Period, following
from runs.conversations.models import Conversation
from runs.models import Feedback, Run, RunConfiguration, RunStep, ToolUse
from sovereign.accounts.models import Project
from sovereign.core.ids import new_id
from threads.models import Thread

#: a Saturday near the end of a month: the next hours are another day, week and month
BEGINNING = datetime(2026, 10, 31, 20, 58, tzinfo=UTC)
COLUMN_OF_END = {"completed": "completed_at", "incomplete": "completed_at", "failed": "failed_at"}
FIELDS = ("project_id", "assistant_id", "version_id", "environment", "model", "key_id")


def minute(number: int) -> datetime:
    return BEGINNING + timedelta(minutes=number)


class Fact(NamedTuple):
    """What a row says, of whom and when."""

    at: datetime
    whose: tuple[str, ...]  # FIELDS
    says: Measures


class History:
    """Makes rows as the product leaves them."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.configuration = RunConfiguration.objects.create(project=project, digest=new_id(""), data={})

    def thread(self, **fields: Any) -> Thread:
        return Thread.objects.create(project=self.project, **fields)

    def run(self, thread: Thread, *, begun: int = 0, ended: int = 1, status: str = "completed", **fields: Any) -> Run:
        times = {} if status == "expired" else {COLUMN_OF_END.get(status, "cancelled_at"): minute(ended)}
        return Run.objects.create(
            **{"assistant_id": "asst_a", "model": "tiny", "created_by_key": "key_1"}
            | {"created_at": minute(begun), "expires_at": minute(ended), "status": status}
            | times
            | fields,
            project=self.project,
            thread=thread,
            configuration=self.configuration,
        )

    def speak(self, run: Run, begun: int) -> None:
        """Begin a message."""
        RunStep.objects.create(
            run=run,
            position=run.steps.count(),
            type="message_creation",
            step_details={},
            status="completed",
            created_at=minute(begun),
        )

    def usage(self, run: Run | None, *, at: int = 1, **fields: Any) -> UsageRecord:
        row = UsageRecord.objects.create(
            **{"asked": "tiny", "model": "tiny-1", "outcome": "stop", "key_id": "key_1"} | fields,
            project_id=self.project.pk,
            assistant_id="asst_a",
            run_id=run.pk if run else None,
            thread_id=run.thread_id if run else None,
            created_at=minute(at),
            day=minute(at).date(),
        )
        UncountedCall.objects.create(call_id=row.pk, thread_id=row.thread_id)
        return row

    def tool(self, run: Run, *, at: int = 1, tool: str = "calculator", outcome: str = "ok") -> ToolUse:
        return ToolUse.objects.create(
            call_id=new_id("call_"),
            project=self.project,
            key_id="key_1",
            assistant_id="asst_a",
            run_id=run.pk,
            thread_id=run.thread_id,
            kind="builtin",
            tool=tool,
            outcome=outcome,
            milliseconds=5,
            created_at=minute(at),
        )

    def conversation(self, thread: Thread, **fields: Any) -> Conversation:
        return Conversation.objects.create(
            **{"assistant_id": "asst_a", "last_activity_at": BEGINNING, "created_at": minute(3)} | fields,
            project=self.project,
            thread=thread,
        )


class Facts(dict[Any, Fact]):
    """What the rows said when they were looked at: what is deleted since has said it all the same."""

    def look(self) -> None:
        for run in Run.objects.exclude(status__in=("queued", "in_progress", "requires_action", "cancelling")):
            self[run.pk] = _fact_of(run)
            for opinion in [key for key in self if key[:2] == ("opinion", run.pk)]:
                del self[opinion]
        for row in [*UsageRecord.objects.all(), *ToolUse.objects.all()]:
            if row.pk not in self:
                says = _usage(row) if isinstance(row, UsageRecord) else _tool(row)
                self[row.pk] = Fact(row.created_at, _whose(row), says)
        for said in Feedback.objects.exclude(rating=""):
            says = Measures(**{f"thumbs_{said.rating}": 1})
            self["opinion", said.run_id, said.pk] = Fact(said.created_at, _run_is(said.run), says)
        for conversation in Conversation.objects.all():
            self[conversation.pk] = _opinion(conversation)

    def rollups(self) -> dict[tuple[Any, ...], Measures]:
        """By period, start and whose they are."""
        found: defaultdict[tuple[Any, ...], Measures] = defaultdict(Measures)
        for fact in self.values():
            for period, start in _periods(fact.at):
                found[period, start, *fact.whose].add(fact.says)
        return _without_empty(found)


def stored_rollups() -> dict[tuple[Any, ...], Measures]:
    rows = Rollup.objects.values("period", "start", *FIELDS, *COLUMNS)
    return _without_empty({(row["period"], row["start"], *(row[name] for name in FIELDS)): unpack(row) for row in rows})


def _without_empty(found: dict[tuple[Any, ...], Measures]) -> dict[tuple[Any, ...], Measures]:
    return {key: measures for key, measures in found.items() if measures != Measures()}


def _periods(at: datetime) -> Iterator[tuple[str, datetime]]:
    """Which ones an instant lies in, by walking from a month's beginning and from a Monday."""
    for period in Period:
        start = datetime(2026, 9, 28, tzinfo=UTC) if period == Period.WEEK else datetime(2026, 10, 1, tzinfo=UTC)
        if period in (Period.MOMENT, Period.HOUR):
            start = BEGINNING.replace(hour=0, minute=0)
        while following(start, period) <= at:
            start = following(start, period)
        yield period.value, start


def _run_is(run: Run) -> tuple[str, ...]:
    is_trial = run.version_id and not run.deployment_id
    environment = "trial" if is_trial else run.environment
    parts = (run.assistant_id, run.version_id, environment, run.model, run.created_by_key)
    return (run.project_id, *(part or "" for part in parts))


def _whose(row: UsageRecord | ToolUse) -> tuple[str, ...]:
    run = Run.objects.filter(pk=row.run_id).first()
    if run is not None:
        return _run_is(run)
    return (row.project_id or "", row.assistant_id or "", "", "", getattr(row, "asked", ""), row.key_id or "")


def _fact_of(run: Run) -> Fact:
    at = run.completed_at or run.failed_at or run.cancelled_at or run.expires_at
    says = Measures(runs=1, **{run.status: 1})
    said_to_be = run.metadata.get("user_id") or run.thread.metadata.get("user_id")
    if run.created_by_user is not None:
        says.users.add(f"user:{run.created_by_user}")
    else:
        says.users.add(f"{run.created_by_key}:{said_to_be}" if said_to_be else f"key:{run.created_by_key}")
    says.conversations.add(run.thread_id)
    if run.status in ("completed", "incomplete"):
        says.response.add((at - run.created_at).total_seconds() * 1000)
        says.answer_tokens.add(run.completion_tokens)
    if run.status == "failed":
        says.errors[(run.last_error or {"code": "server_error"})["code"]] = 1
    words = run.steps.filter(type="message_creation").order_by("created_at").first()
    if words is not None:
        says.first_token.add((words.created_at - run.created_at).total_seconds() * 1000)
    return Fact(at, _run_is(run), says)


def _usage(row: UsageRecord) -> Measures:
    return Measures(
        calls=1,
        failed_calls=int(row.outcome in ("server_error", "rate_limit_exceeded")),
        prompt_tokens=row.prompt_tokens,
        cached_tokens=row.cached_tokens,
        completion_tokens=row.completion_tokens,
        reasoning_tokens=row.reasoning_tokens,
        cost=row.cost,
    )


def _tool(row: ToolUse) -> Measures:
    is_bad = row.outcome in ("error", "timeout", "interrupted")
    return Measures(
        tool_calls=1,
        tool_failures=int(is_bad),
        tools={row.tool: 1},
        tool_errors={row.tool: 1} if is_bad else {},
    )


def _opinion(row: Conversation) -> Fact:
    says = Measures(rated=int(row.score is not None), rating_sum=row.score or 0)
    if row.thumb:
        setattr(says, f"thumbs_{row.thumb}", 1)
    whose = (row.project_id, row.assistant_id, "", row.environment or "", "", row.created_by_key or "")
    return Fact(row.created_at, whose, says)
