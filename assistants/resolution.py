"""What an assistant means at the moment a run is made: the only resolver there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from assistants.catalog.models import Function
from assistants.models import Assistant, Retrieval

SCHEMA_VERSION = 1  # raised when the meaning of a stored configuration changes


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedConfiguration:
    """An assistant's settings with everything looked up, before a run's own overrides.

    :ivar tools: its own, and after them the functions that it has of the project's library.
    :ivar server_tools: entries as ``assistants.catalog.entries`` describes them, which ``/v1`` does not know.
    """

    assistant_id: str
    model: str
    instructions: str
    tools: list[dict[str, Any]]
    tool_resources: dict[str, Any]
    temperature: float
    top_p: float
    reasoning_effort: str | None
    response_format: Any
    retrieval: str = Retrieval.AUTO
    server_tools: list[dict[str, Any]] = field(default_factory=list)
    version_id: str | None = None
    deployment_id: str | None = None
    environment: str | None = None


def resolve(
    *, assistant: Assistant, environment: str | None, thread_id: str | None, variables: Mapping[str, str] | None
) -> ResolvedConfiguration:
    """The configuration a run of ``assistant`` gets.

    Without a deployment in the caller's environment it is the live assistant, which is OpenAI's behaviour and the
    default. ``thread_id`` and ``variables`` are what a deployment and its prompt templates decide by.
    """
    return ResolvedConfiguration(
        assistant_id=assistant.id,
        model=assistant.model,
        instructions=assistant.instructions or "",
        tools=[*assistant.tools, *_library_functions(assistant)],
        tool_resources=assistant.tool_resources,
        temperature=assistant.temperature,
        top_p=assistant.top_p,
        reasoning_effort=assistant.reasoning_effort,
        response_format=assistant.response_format,
        retrieval=assistant.retrieval,
        server_tools=assistant.server_tools,
        environment=environment,
    )


def _library_functions(assistant: Assistant) -> list[dict[str, Any]]:
    """The library's functions that it has, in its order. One of its own with the same name goes before them."""
    if not assistant.functions:
        return []
    found = Function.objects.filter(project_id=assistant.project_id).in_bulk(assistant.functions)
    own = {tool["function"]["name"] for tool in assistant.tools if tool["type"] == "function"}
    listed = [found[function_id] for function_id in assistant.functions if function_id in found]
    return [function.as_tool() for function in listed if function.name not in own]
