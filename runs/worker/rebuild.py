"""From rows to the next model call: the only way an execution starts, after a claim, a submit or a crash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from inference import gateway
from inference.chat import Attribution, ChatRequest
from runs.fold import fold
from runs.models import Run, RunEvent, RunStep
from threads import context
from threads.models import Message

Step = RunStep.StepStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMessage:
    """A message another worker had begun, with the text that was committed."""

    step_id: str
    message_id: str
    text: str
    pieces: int  # of the model's output that the text was made of


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What to do next about a run."""

    run: Run
    request: ChatRequest
    open_message: OpenMessage | None = None
    broken_step_id: str | None = None
    completion_budget: int | None = None
    prompt_budget: int | None = None
    can_continue: bool = False


def rebuild(run_id: str) -> Assignment:
    """Read everything a run needs for its next model call.

    :raises Run.DoesNotExist: its thread was deleted.
    """
    run = Run.objects.select_related("configuration").get(pk=run_id)
    configuration = run.configuration.data
    steps = list(RunStep.objects.of_run(run.id).order_by("position"))
    unfinished = steps[-1] if steps and steps[-1].status == Step.IN_PROGRESS else None
    open_message = _open_message(run, unfinished)
    capabilities = gateway.availability(run.model, project_id=run.project_id).capabilities
    prompt_budget = _rest(configuration["max_prompt_tokens"], run.prompt_tokens)
    own_turns = _own_turns(run, steps)
    if open_message and open_message.text:
        own_turns.append({"role": "assistant", "content": open_message.text})
    messages = _messages(run, configuration, own_turns, capabilities.context_length, prompt_budget)
    committed = run.completion_tokens + (open_message.pieces if open_message else 0)
    completion_budget = _rest(configuration["max_completion_tokens"], committed)
    return Assignment(
        run=run,
        request=_request(
            run, configuration, messages, bool(open_message and open_message.text), steps, completion_budget
        ),
        open_message=open_message,
        broken_step_id=unfinished.id if unfinished and unfinished.type == RunStep.Type.TOOL_CALLS else None,
        completion_budget=completion_budget,
        prompt_budget=prompt_budget,
        can_continue=capabilities.continuation,
    )


def _rest(limit: int | None, spent: int) -> int | None:
    return None if limit is None else limit - spent


def _open_message(run: Run, step: RunStep | None) -> OpenMessage | None:
    if step is None or step.type != RunStep.Type.MESSAGE_CREATION:
        return None
    folded = fold(RunEvent.objects.after(run.id, 0))
    return OpenMessage(
        step_id=step.id,
        message_id=step.message_id,
        text=folded.text_of(step.message_id),
        pieces=folded.pieces[step.message_id],
    )


def _messages(
    run: Run,
    configuration: dict[str, Any],
    own_turns: list[dict[str, Any]],
    context_length: int | None,
    prompt_budget: int | None,
) -> list[dict[str, Any]]:
    """Instructions, as much of the thread as fits, and the run's own turns whole: their pairs cannot be split."""
    instructions = configuration["instructions"]
    reserved = len(instructions.encode()) + sum(
        len(orjson.dumps(sent)) for sent in (configuration["tools"], own_turns) if sent
    )
    history = context.window(
        thread_id=run.thread_id,
        before_run=run.id,
        truncation=configuration["truncation_strategy"],
        context_length=context_length,
        prompt_budget=prompt_budget,
        reserved=reserved,
    )
    system = [{"role": "system", "content": instructions}] if instructions else []
    return [*system, *history, *own_turns]


def _own_turns(run: Run, steps: list[RunStep]) -> list[dict[str, Any]]:
    """What this run has said and done so far, as chat messages."""
    texts = {message.id: message.text for message in Message.objects.of_thread(run.thread_id).filter(run_id=run.id)}
    turns: list[dict[str, Any]] = []
    for step in steps:
        if step.status != Step.COMPLETED:
            continue
        if step.type == RunStep.Type.MESSAGE_CREATION:
            turns.append({"role": "assistant", "content": texts.get(step.message_id, "")})
            continue
        if not (turns and turns[-1]["role"] == "assistant" and "tool_calls" not in turns[-1]):
            turns.append({"role": "assistant", "content": None})  # text and calls of one turn are one message
        turns[-1]["tool_calls"] = [_as_sent(call) for call in step.tool_calls]
        for call in step.tool_calls:
            output = call["function"]["output"]
            turns.append({"role": "tool", "tool_call_id": call["id"], "content": output or ""})
    return turns


def _as_sent(call: dict[str, Any]) -> dict[str, Any]:
    function = {name: call["function"][name] for name in ("name", "arguments")}
    return {"id": call["id"], "type": "function", "function": function}


def _request(
    run: Run,
    configuration: dict[str, Any],
    messages: list[dict[str, Any]],
    continues: bool,
    steps: list[RunStep],
    completion_budget: int | None,
) -> ChatRequest:
    tools = [tool for tool in configuration["tools"] if tool["type"] == "function"]
    # a forced choice holds for the first model call only (one that was cut is the same): the loop would never end
    first_call = not any(step.status == Step.COMPLETED and step.type == RunStep.Type.TOOL_CALLS for step in steps)
    choice = configuration["tool_choice"] if first_call or configuration["tool_choice"] == "none" else "auto"
    return ChatRequest(
        model=run.model,
        messages=messages,
        tools=tools,
        tool_choice=choice if tools else None,
        parallel_tool_calls=configuration["parallel_tool_calls"],
        temperature=configuration["temperature"],
        top_p=configuration["top_p"],
        max_tokens=completion_budget,
        response_format=None if configuration["response_format"] == "auto" else configuration["response_format"],
        reasoning_effort=configuration["reasoning_effort"],
        continues=continues,
        attribution=Attribution(
            project=run.project_id,
            key=run.created_by_key,
            user=None if run.created_by_user is None else str(run.created_by_user),
            assistant=run.assistant_id,
            thread=run.thread_id,
            run=run.id,
            purpose="run",
        ),
    )


def lacks_json_word(request: ChatRequest) -> bool:
    """Whether plain JSON mode is asked for without a word of it: models then write blanks without end."""
    wanted = request.response_format
    if not isinstance(wanted, dict) or wanted.get("type") != "json_object":
        return False
    return b"json" not in orjson.dumps([message["content"] for message in request.messages]).lower()
