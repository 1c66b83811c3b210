"""The five objects as the contract has them: every key, in the recorded order."""

from __future__ import annotations

from typing import Any

from tests.conformance.matching import Count, Id, Instant, Text

ASSISTANT_ID, THREAD_ID, MESSAGE_ID = Id("asst_"), Id("thread_"), Id("msg_")
RUN_ID, STEP_ID, CALL_ID = Id("run_"), Id("step_"), Id("call_")

PARAMETERLESS = {"type": "object", "properties": {}}
TOOL = {"type": "function", "function": {"name": "look_up"}}
TOOL_SHOWN = {
    "type": "function",
    "function": {"name": "look_up", "description": None, "parameters": PARAMETERLESS, "strict": False},
}
USAGE = {
    "prompt_tokens": Count(),
    "completion_tokens": Count(),
    "total_tokens": Count(),
    "prompt_token_details": {"cached_tokens": Count()},
    "completion_tokens_details": {"reasoning_tokens": Count()},
}


def assistant(**fields: Any) -> dict[str, Any]:
    """One of which only the model was given."""
    return {
        "id": ASSISTANT_ID,
        "object": "assistant",
        "created_at": Instant(),
        "name": None,
        "description": None,
        "model": Text(),
        "instructions": None,
        "tools": [],
        "top_p": 1.0,
        "temperature": 1.0,
        "reasoning_effort": None,
        "tool_resources": {},
        "metadata": {},
        "response_format": "auto",
        **fields,
    }


def thread(**fields: Any) -> dict[str, Any]:
    return {
        "id": THREAD_ID,
        "object": "thread",
        "created_at": Instant(),
        "metadata": {},
        "tool_resources": {},
        **fields,
    }


def message(thread_id: str, **fields: Any) -> dict[str, Any]:
    """A user's."""
    return {
        "id": MESSAGE_ID,
        "object": "thread.message",
        "created_at": Instant(),
        "assistant_id": None,
        "thread_id": thread_id,
        "run_id": None,
        "status": "completed",
        "incomplete_details": None,
        "completed_at": Instant(),
        "incomplete_at": None,
        "role": "user",
        "content": [text("Hello")],
        "attachments": [],
        "metadata": {},
        **fields,
    }


def text(value: Any) -> dict[str, Any]:
    return {"type": "text", "text": {"value": value, "annotations": []}}


def run(thread_id: Any, assistant_id: str, **fields: Any) -> dict[str, Any]:
    """A queued one, of an assistant without instructions or tools."""
    return {
        "id": RUN_ID,
        "object": "thread.run",
        "created_at": Instant(),
        "assistant_id": assistant_id,
        "thread_id": thread_id,
        "status": "queued",
        "started_at": None,
        "expires_at": Instant(),
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "required_action": None,
        "last_error": None,
        "model": Text(),
        "instructions": "",
        "tools": [],
        "tool_resources": {},
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "reasoning_effort": None,
        "max_completion_tokens": None,
        "max_prompt_tokens": None,
        "truncation_strategy": {"type": "auto", "last_messages": None},
        "incomplete_details": None,
        "usage": None,
        "response_format": "auto",
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "status_details": None,
        **fields,
    }


def completed_run(thread_id: str, assistant_id: str, **fields: Any) -> dict[str, Any]:
    ended = {"status": "completed", "started_at": Instant(), "expires_at": None, "completed_at": Instant()}
    return run(thread_id, assistant_id, **ended, usage=USAGE, **fields)


def step(run_of: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A completed message step of ``run_of``."""
    return {
        "id": STEP_ID,
        "object": "thread.run.step",
        "created_at": Instant(),
        "run_id": run_of["id"],
        "assistant_id": run_of["assistant_id"],
        "thread_id": run_of["thread_id"],
        "type": "message_creation",
        "status": "completed",
        "cancelled_at": None,
        "completed_at": Instant(),
        "expires_at": None,
        "expired_at": None,
        "failed_at": None,
        "last_error": None,
        "step_details": {"type": "message_creation", "message_creation": {"message_id": MESSAGE_ID}},
        "usage": USAGE,
        "metadata": {},
        **fields,
    }


def deleted(identifier: str, kind: str) -> dict[str, Any]:
    return {"id": identifier, "object": f"{kind}.deleted", "deleted": True}


def page(data: list[Any], *, more: bool) -> dict[str, Any]:
    """A list's envelope around the given objects."""
    ends = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"object": "list", "data": data, "first_id": ends[0], "last_id": ends[1], "has_more": more}
