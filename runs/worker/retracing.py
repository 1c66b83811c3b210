"""What a run's model was sent, call by call, long after: by the same code that sent it, from the rows that are left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from inference import gateway
from inference.chat import ChatRequest
from runs.models import Run, RunStep
from runs.services.past import deleted_before, ended_at, past_of, redacted_since
from runs.tools.mcp import McpTool
from runs.worker.conversation import is_beforehand
from runs.worker.planning import plan
from runs.worker.rebuild import conversation_of, request_of, rest
from threads import context

Step = RunStep.StepStatus
GONE = (
    "{} of the thread's messages from before the answer {} been deleted. What they said is not here; if that was after "
    "the answer, the model was sent it."
)
UNSERVED = (
    "The model is not served now, and nothing says how much it takes: how much of the thread fitted is reckoned with "
    f"{context.DEFAULT_CONTEXT_LENGTH:,} tokens."
)
DIED = (
    "A worker died while it answered. What another one went on with is not shown: the beginning of the answer was the "
    "end of its prompt."
)
REDACTED = (
    "{} of the thread's messages from before the answer {} been redacted since: the model was sent what they said."
)
LISTED = "The tools of MCP servers are described as the servers list them now."


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A model call of a run.

    :ivar before: the run's steps when it was made.
    :ivar steps: what came of it; nothing, where it failed, or was not made yet.
    """

    before: list[RunStep]
    steps: list[RunStep]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraced:
    """
    :ivar request: what the engine's adapter was given; the engine puts it into its model's own template.
    :ivar doubts: in sentences, why it may not be the very same; none where it is.
    """

    request: ChatRequest
    doubts: list[str]


def turns_of(run: Run) -> list[Turn]:
    """The model calls of a run, in order; the last one may have come to nothing. One query."""
    steps = list(RunStep.objects.of_run(run.pk).order_by("position"))
    turns = list(_turns(steps))
    is_called = run.started_at is not None
    if is_called and (not steps or (_is_to_be_told(steps[-1]) and (not turns or turns[-1].steps))):
        turns.append(Turn(before=steps, steps=[]))
    return turns


def _turns(steps: Sequence[RunStep]) -> Iterator[Turn]:
    own: list[RunStep] = []
    begun = 0
    for place, step in enumerate(steps):
        if is_beforehand(step):
            continue
        if own and not _goes_on(own, step):
            yield Turn(before=list(steps[:begun]), steps=own)
            own = []
        if not own:
            begun = place
        own.append(step)
    if own:
        yield Turn(before=list(steps[:begun]), steps=own)


def _goes_on(own: Sequence[RunStep], step: RunStep) -> bool:
    """Whether a step came of the same call: the text that a model writes before its calls is a step of its own."""
    return own[-1].type == RunStep.Type.MESSAGE_CREATION and step.type == RunStep.Type.TOOL_CALLS


def _is_to_be_told(step: RunStep) -> bool:
    """Whether a model has to hear what came of a step."""
    return is_beforehand(step) or (step.type == RunStep.Type.TOOL_CALLS and step.status == Step.COMPLETED)


def retrace(run: Run, turn: Turn) -> Retraced:
    """Needs ``run.configuration`` and ``run.thread``.

    :raises InferenceError: it cannot be told any more, with a sentence why.
    """
    available = gateway.availability(run.model, project_id=run.project_id)
    capabilities = available.capabilities
    planned = plan(run, turn.before, capabilities)
    usages = [step.usage for step in turn.before if step.usage]
    conversation = conversation_of(
        run,
        turn.before,
        planned,
        capabilities,
        spent_prompt=sum(usage["prompt_tokens"] for usage in usages),
        past=past_of(run, _asked_at(run, turn)),
    )
    written = sum(usage["completion_tokens"] for usage in usages)
    budget = rest(run.configuration.data["max_completion_tokens"], written)
    request = request_of(conversation, planned, None, budget)
    is_reckoned = not available.ready and capabilities.context_length is None
    doubts = list(_doubts(run, is_reckoned, bool(planned.toolbox.all_of_class(McpTool))))
    return Retraced(request=request, doubts=doubts)


def _asked_at(run: Run, turn: Turn) -> datetime | None:
    return turn.steps[0].created_at if turn.steps else ended_at(run) or run.started_at


def _doubts(run: Run, is_reckoned: bool, has_listed_tools: bool) -> Iterator[str]:
    if deleted := deleted_before(run):
        yield GONE.format(deleted, "have" if deleted > 1 else "has")
    if redacted := redacted_since(run):
        yield REDACTED.format(redacted, "have" if redacted > 1 else "has")
    if is_reckoned:
        yield UNSERVED
    if run.crash_count:
        yield DIED
    if has_listed_tools:
        yield LISTED
