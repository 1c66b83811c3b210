"""From rows to the next model call: the only way an execution starts, after a claim, a submit or a crash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from inference import gateway
from inference.chat import Capabilities, ChatRequest
from runs.fold import fold
from runs.models import Run, RunEvent, RunStep
from runs.services.again import tries_of
from runs.services.recorder import Made
from runs.worker.conversation import Conversation
from runs.worker.errands import Errand
from runs.worker.planning import Plan, attribution_of, plan
from runs.worker.turn import OpenMessage
from threads.context import Past

Step = RunStep.StepStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What to do next about a run.

    :ivar sources: the files that the answer may cite, by their marks.
    :ivar made: what code has made, and no message shows yet.
    :ivar broken_step_id: a step whose calls were cut.
    :ivar errand: what has to be carried out before the next model call.
    """

    run: Run
    request: ChatRequest
    plan: Plan
    sources: Mapping[str, str]
    made: Made
    open_message: OpenMessage | None = None
    broken_step_id: str | None = None
    errand: Errand | None = None
    completion_budget: int | None = None
    prompt_budget: int | None = None
    can_continue: bool = False


def rebuild(run_id: str) -> Assignment:
    """Read everything a run needs for its next model call.

    :raises Run.DoesNotExist: its thread was deleted.
    :raises InferenceError: the run cannot go on.
    """
    run = Run.objects.select_related("configuration", "thread").get(pk=run_id)
    configuration = run.configuration.data
    steps = list(RunStep.objects.of_run(run.id).order_by("position"))
    unfinished = steps[-1] if steps and steps[-1].status == Step.IN_PROGRESS else None
    open_message = _open_message(run, unfinished)
    capabilities = gateway.availability(run.model, project_id=run.project_id).capabilities
    planned = plan(run, steps, capabilities)
    committed = run.completion_tokens + (open_message.pieces if open_message else 0)
    conversation = conversation_of(run, steps, planned, capabilities, spent_prompt=run.prompt_tokens)
    completion_budget = rest(configuration["max_completion_tokens"], committed)
    return Assignment(
        run=run,
        request=request_of(conversation, planned, open_message, completion_budget),
        plan=planned,
        sources=conversation.sources(),
        made=conversation.made(),
        open_message=open_message,
        broken_step_id=_broken(unfinished),
        errand=_errand(unfinished, steps),
        completion_budget=completion_budget,
        prompt_budget=conversation.prompt_budget,
        can_continue=capabilities.continuation,
    )


def conversation_of(
    run: Run,
    steps: list[RunStep],
    planned: Plan,
    capabilities: Capabilities,
    *,
    spent_prompt: int,
    past: Past | None = None,
) -> Conversation:
    """What the model is sent after these steps.

    :param spent_prompt: the tokens of the run's prompts so far.
    :param past: the thread as it was then, where it is not asked about now.
    """
    configuration = run.configuration.data
    return Conversation(
        run=run,
        configuration=configuration,
        steps=steps,
        toolbox=planned.toolbox,
        tools=planned.tools,
        context_length=capabilities.context_length,
        prompt_budget=rest(configuration["max_prompt_tokens"], spent_prompt),
        past=past,
        tries=tries_of(run),
        can_continue=capabilities.continuation,
    )


def rest(limit: int | None, spent: int) -> int | None:
    """What is left of a budget; ``None`` for no limit."""
    return None if limit is None else limit - spent


def _open_message(run: Run, step: RunStep | None) -> OpenMessage | None:
    if step is None or step.type != RunStep.Type.MESSAGE_CREATION:
        return None
    folded = fold(RunEvent.objects.after(run.id, 0))
    return OpenMessage(
        step_id=step.id,
        message_id=step.message_id,
        text=folded.text_of(step.message_id),
        parts=folded.parts_before_text(step.message_id),
        pieces=folded.pieces[step.message_id],
        citations=len(folded.annotations_of(step.message_id)),
    )


def _broken(step: RunStep | None) -> str | None:
    return step.id if step and step.type == RunStep.Type.TOOL_CALLS and not step.asked else None


def _errand(step: RunStep | None, steps: Sequence[RunStep]) -> Errand | None:
    if step is None or not step.asked:
        return None
    before = [entry for earlier in steps if earlier is not step for entry in earlier.asked.values()]
    return Errand(step_id=step.id, calls=step.tool_calls, asked=step.asked, before=before)


def request_of(
    conversation: Conversation, planned: Plan, opened: OpenMessage | None, completion_budget: int | None
) -> ChatRequest:
    """The model call.

    :param opened: the beginning of its answer, that another worker did not end.
    """
    run, configuration = conversation.run, conversation.configuration
    begun = conversation.begun(opened.text if opened else "")
    return ChatRequest(
        model=run.model,
        messages=conversation.messages(begun),
        tools=planned.tools,
        tool_choice=planned.choice if planned.tools else None,
        parallel_tool_calls=configuration["parallel_tool_calls"],
        temperature=configuration["temperature"],
        top_p=configuration["top_p"],
        max_tokens=completion_budget,
        response_format=None if configuration["response_format"] == "auto" else configuration["response_format"],
        reasoning_effort=configuration["reasoning_effort"],
        continues=bool(begun),
        attribution=attribution_of(run),
    )


def lacks_json_word(request: ChatRequest) -> bool:
    """Whether plain JSON mode is asked for without a word of it: models then write blanks without end."""
    wanted = request.response_format
    if not isinstance(wanted, dict) or wanted.get("type") != "json_object":
        return False
    return b"json" not in orjson.dumps([message["content"] for message in request.messages]).lower()
