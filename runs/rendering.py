"""Runs, steps and events as the contract's objects.

A run is rendered from three parts: its head (never changes), its frozen configuration, and its changing fields. An
event of a run stores the changing fields alone, so the log does not repeat instructions and tools a dozen times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from runs import events
from runs.models import Run, RunEvent, RunStep
from runs.states import TERMINAL, Status
from threads.rendering import unix

CONFIGURED = ("model", "instructions", "tools")
CONFIGURED_LATER = ("temperature", "top_p", "reasoning_effort", "max_completion_tokens", "max_prompt_tokens")
CONFIGURED_LAST = ("response_format", "tool_choice", "parallel_tool_calls")
FILE_SEARCH = "file_search"


@dataclass(frozen=True, slots=True)
class RunHead:
    """What every event of a run is rendered over."""

    id: str
    thread_id: str
    assistant_id: str | None
    created_at: int | None
    metadata: dict[str, str]
    configuration: dict[str, Any]


def head_of(run: Run) -> RunHead:
    """Needs ``run.configuration``: select it with the run."""
    return RunHead(run.id, run.thread_id, run.assistant_id, unix(run.created_at), run.metadata, run.configuration.data)


def changing_fields(run: Run) -> dict[str, Any]:
    """The fields of a run that its events store; those without a value are left out."""
    over = run.status in TERMINAL
    fields = {
        "status": str(run.status),
        "started_at": unix(run.started_at),
        "expires_at": None if over else unix(run.expires_at),
        "cancelled_at": unix(run.cancelled_at),
        "failed_at": unix(run.failed_at),
        "completed_at": unix(run.completed_at),
        "required_action": run.required_action,
        "last_error": run.last_error,
        "incomplete_details": run.incomplete_details,
        "usage": usage_of(run) if over else None,
        "status_details": run.waiting_reason or None if run.status == Status.QUEUED else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def usage_of(run: Run) -> dict[str, Any]:
    return usage(run.prompt_tokens, run.completion_tokens, run.cached_tokens, run.reasoning_tokens)


def usage(prompt: int, completion: int, cached: int, reasoning: int) -> dict[str, Any]:
    """The contract's usage (``prompt_token_details`` is singular there)."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_token_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def render_run(head: RunHead, changing: dict[str, Any]) -> dict[str, Any]:
    configuration = head.configuration
    return {
        "id": head.id,
        "object": "thread.run",
        "created_at": head.created_at,
        "assistant_id": head.assistant_id,
        "thread_id": head.thread_id,
        "status": changing["status"],
        "started_at": changing.get("started_at"),
        "expires_at": changing.get("expires_at"),
        "cancelled_at": changing.get("cancelled_at"),
        "failed_at": changing.get("failed_at"),
        "completed_at": changing.get("completed_at"),
        "required_action": changing.get("required_action"),
        "last_error": changing.get("last_error"),
        **{name: configuration[name] for name in CONFIGURED},
        "tool_resources": configuration.get("own_resources", {}),  # the assistant's are its own
        "metadata": head.metadata,
        **{name: configuration[name] for name in CONFIGURED_LATER},
        "truncation_strategy": configuration["truncation_strategy"],
        "incomplete_details": changing.get("incomplete_details"),
        "usage": changing.get("usage"),
        **{name: configuration[name] for name in CONFIGURED_LAST},
        "status_details": changing.get("status_details"),
    }


def render_run_row(run: Run) -> dict[str, Any]:
    return render_run(head_of(run), changing_fields(run))


def render_step(run: Run, step: RunStep) -> dict[str, Any]:
    """A step with all that is known: see :func:`without_contents`."""
    in_progress = step.status == RunStep.StepStatus.IN_PROGRESS
    return {
        "id": step.id,
        "object": "thread.run.step",
        "created_at": unix(step.created_at),
        "run_id": run.id,
        "assistant_id": run.assistant_id,
        "thread_id": run.thread_id,
        "type": step.type,
        "status": step.status,
        "cancelled_at": unix(step.cancelled_at),
        "completed_at": unix(step.completed_at),
        "expires_at": unix(step.expires_at) if in_progress else None,
        "expired_at": unix(step.expired_at),
        "failed_at": unix(step.failed_at),
        "last_error": step.last_error,
        "step_details": step.step_details,
        "usage": None if in_progress else step.usage,
        "metadata": step.metadata,
    }


def has_contents(payload: dict[str, Any]) -> bool:
    """Whether a step, or its event, holds passages that a file search found."""
    calls = (payload.get("step_details") or {}).get("tool_calls", ())
    return any(call["type"] == FILE_SEARCH and call[FILE_SEARCH].get("results") for call in calls)


def without_contents(payload: dict[str, Any]) -> dict[str, Any]:
    """A step without the texts of what was found: clients have to ask for them."""
    if not has_contents(payload):
        return payload
    details = payload["step_details"]
    calls = [_without_contents(call) if call["type"] == FILE_SEARCH else call for call in details["tool_calls"]]
    return {**payload, "step_details": {**details, "tool_calls": calls}}


def _without_contents(call: dict[str, Any]) -> dict[str, Any]:
    results = [
        {name: value for name, value in result.items() if name != "content"}
        for result in call[FILE_SEARCH].get("results", [])
    ]
    return {**call, FILE_SEARCH: {**call[FILE_SEARCH], "results": results}}


def render_event(head: RunHead, event: RunEvent, *, contents: bool = False) -> bytes:
    """An event's payload as JSON on a single line.

    :param contents: with the texts that a file search found.
    """
    payload = payload_of(head, event.type, event.data)
    return orjson.dumps(payload if contents else without_contents(payload))


def payload_of(head: RunHead, type: str, data: dict[str, Any]) -> dict[str, Any]:
    """What an event says, with all that is known."""
    if type == events.MESSAGE_DELTA:
        return {"id": data["id"], "object": type, "delta": {"content": data["content"]}}
    if type == events.STEP_DELTA:
        details = {"type": "tool_calls", "tool_calls": data["tool_calls"]}
        return {"id": data["id"], "object": type, "delta": {"step_details": details}}
    if type.startswith(events.RUN_PREFIX) and not type.startswith(events.STEP_PREFIX):
        return render_run(head, data)
    return data  # threads, messages and steps are stored as they are sent
