"""An assistant as the contract's object, and as our own API's, which has its life too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assistants.kinds import AssistantType
from assistants.models import Assistant, ExternalUse, LifeStatus
from assistants.templates import Template


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


def render_whole(assistant: Assistant) -> dict[str, Any]:
    """The contract's object, and what the contract does not know."""
    return {
        **render_assistant(assistant),
        "type": assistant.type,
        "status": assistant.status,
        "visibility": assistant.visibility,
        "tags": assistant.tags,
        "suggestions": assistant.suggestions or [],
        "personality": assistant.personality,
        "context_memory_size": assistant.context_memory_size,
        "capabilities": assistant.capabilities,
        "default_max_tokens": assistant.default_max_tokens,
        "retrieval": assistant.retrieval,
        "server_tools": assistant.server_tools,
        "functions": assistant.functions,
        "offered_over_mcp": assistant.offered_over_mcp,
        "parent_id": assistant.parent_id,
        "parent_version_id": assistant.parent_version_id,
        "based_on": assistant.based_on,
        "created_by_user": assistant.created_by_user,
        "created_by_key": assistant.created_by_key,
        "updated_at": int(assistant.updated_at.timestamp()),
    }


def render_relative(assistant: Assistant) -> dict[str, Any]:
    """What a lineage tells of each of its assistants."""
    return {
        "id": assistant.id,
        "object": "assistant.relative",
        "name": assistant.name,
        "status": assistant.status,
        "parent_id": assistant.parent_id,
        "parent_version_id": assistant.parent_version_id,
        "created_at": int(assistant.created_at.timestamp()),
    }


def render_template(template: Template) -> dict[str, Any]:
    fields = {name: value for name, value in template.fields.items() if name != "name"}
    return {
        "id": template.id,
        "object": "assistant.template",
        "name": template.name,
        "about": template.about,
        "assistant": fields,
    }


def render_type(kind: AssistantType, number: int) -> dict[str, Any]:
    return {"id": kind.value, "object": "assistant.type", "name": kind.label, "assistants": number}


def render_status(status: LifeStatus, following: tuple[str, ...], number: int) -> dict[str, Any]:
    return {
        "id": status.value,
        "object": "assistant.status",
        "name": status.label,
        "following": list(following),
        "assistants": number,
    }


def render_popular(assistant: Assistant, uses: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": assistant.id,
        "object": "assistant.popularity",
        "name": assistant.name,
        "description": assistant.description,
        "type": assistant.type,
        "status": assistant.status,
        "uses": sum(uses.values()),
        **uses,
    }


def render_use(use: ExternalUse) -> dict[str, Any]:
    return {
        "id": use.id,
        "object": "assistant.use",
        "created_at": int(use.created_at.timestamp()),
        "assistant_id": use.assistant_id,
        "count": use.count,
        "source": use.source,
        "external": True,
    }
