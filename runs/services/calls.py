"""What may be written about a step's tool calls once their model call is over. Each takes a run's recorder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from assistants.knowledge.services.files import keep_for_good
from inference.chat import Usage
from runs.asked import KEPT, Entry, State, is_done, waiting
from runs.models import RunStep
from runs.outcomes import Outcome
from runs.services import approvals, uses
from runs.services.recorder import Recorder, usage_json
from runs.states import Status
from sovereign.core.database import now

Step = RunStep.StepStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a call that was carried out here.

    :ivar seconds: that it took.
    """

    call: dict[str, Any]
    outcome: Outcome
    seconds: float


def settle(recorder: Recorder, *, step_id: str, asked: Mapping[str, Entry], spent: Usage) -> None:
    """Note a model call's tool calls before any of them is carried out: a worker that dies leaves them to another.

    Where all are the client's, the run rests, and no worker holds it.

    :param asked: an entry for each call that is to be carried out here.
    :param spent: by the model call.
    """
    step = RunStep.objects.get(pk=step_id)
    step.step_details = {"type": "tool_calls", "tool_calls": recorder.folded().tool_calls.get(step_id, [])}
    step.usage = usage_json(spent)
    step.asked = dict(asked)
    step.save(update_fields=["step_details", "usage", "asked"])
    if not asked:
        _wait(recorder, step)


def start(recorder: Recorder, *, step_id: str, call_id: str) -> None:
    """Note that a call begins: it may not be one that can be made twice, and it counts from now on."""
    step = RunStep.objects.get(pk=step_id)
    step.asked[call_id] |= {"state": State.STARTED, "started_at": now().timestamp()}
    step.save(update_fields=["asked"])


def finish(recorder: Recorder, *, step_id: str, result: Result) -> None:
    """Note what came of a call, and that it was made."""
    step, made = RunStep.objects.get(pk=step_id), dict(result.call)
    entry = step.asked[made["id"]]
    if result.outcome == Outcome.INTERRUPTED:
        result = replace(result, seconds=uses.seconds_since_start(entry))
    entry |= {"state": State.DONE, "seconds": round(result.seconds, 3), "outcome": result.outcome}
    if kept := made.pop(KEPT, None):
        entry[KEPT] = kept
    calls = [made if call["id"] == made["id"] else call for call in step.tool_calls]
    step.step_details = {"type": "tool_calls", "tool_calls": calls}
    step.save(update_fields=["step_details", "asked"])
    keep_for_good(recorder.run.project_id, [*(kept or {}).get("files", {}).values(), *_images(made)])
    uses.note(recorder.run, step, made["id"], result.outcome, result.seconds)


def close(recorder: Recorder, *, step_id: str) -> None:
    """All that could be carried out here is: the step is over, or it is the client's turn."""
    step = RunStep.objects.get(pk=step_id)
    if any(waiting(step.tool_calls, step.asked)):
        _wait(recorder, step)
    else:
        recorder.close_step(step, Step.COMPLETED)


def take_outputs(recorder: Recorder, step: RunStep, outputs: Mapping[str, str]) -> None:
    """Fill a client's outputs in, by the ids of their calls. The step is over, unless it answered for calls of ours.

    :raises ApiError: 400, an output does not answer its request for approval.
    """
    for call in step.step_details["tool_calls"]:
        call_id = call["id"]
        if entry := step.asked.get(call_id):
            if call_id in outputs:
                step.asked[call_id] = approvals.answered(call_id, entry, outputs[call_id])
        elif call["type"] == "function":
            call["function"]["output"] = outputs[call_id]
    if all(is_done(entry) for entry in step.asked.values()):
        recorder.close_step(step, Step.COMPLETED)
    else:
        step.save(update_fields=["step_details", "asked"])


def _wait(recorder: Recorder, step: RunStep) -> None:
    """Hand the step's calls to the client."""
    calls = [_as_handed_out(call, step.asked.get(call["id"])) for call in waiting(step.tool_calls, step.asked)]
    recorder.move(
        Status.REQUIRES_ACTION,
        required_action={"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}},
        lease_owner=None,
        lease_expires_at=None,
    )


def _as_handed_out(call: dict[str, Any], entry: Entry | None) -> dict[str, Any]:
    function = (
        approvals.as_function(entry) if entry else {name: call["function"][name] for name in ("name", "arguments")}
    )
    return {"id": call["id"], "type": "function", "function": function}


def _images(call: Mapping[str, Any]) -> list[str]:
    """The ids of the images that code has shown."""
    outputs = call.get("code_interpreter", {}).get("outputs", ())
    return [output["image"]["file_id"] for output in outputs if output["type"] == "image"]
