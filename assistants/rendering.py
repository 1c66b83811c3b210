"""An assistant as the contract's object."""

from __future__ import annotations

from typing import Any

from assistants.models import Assistant


def render_assistant(assistant: Assistant) -> dict[str, Any]:
    return {
        "id": assistant.id,
        "object": "assistant",
        "created_at": int(assistant.created_at.timestamp()),
        "name": assistant.name,
        "description": assistant.description,
        "model": assistant.model,
        "instructions": assistant.instructions,
        "tools": assistant.tools,
        "top_p": assistant.top_p,
        "temperature": assistant.temperature,
        "reasoning_effort": assistant.reasoning_effort,
        "tool_resources": assistant.tool_resources,
        "metadata": assistant.metadata,
        "response_format": assistant.response_format,
    }


def render_deleted(identifier: str) -> dict[str, Any]:
    return {"id": identifier, "object": "assistant.deleted", "deleted": True}
