"""A run's frozen configuration: an assistant as it was resolved, with the run's own overrides."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from assistants.models import Retrieval
from assistants.resolution import SCHEMA_VERSION, ResolvedConfiguration
from runs.models import RunConfiguration

AUTO_TRUNCATION = {"type": "auto", "last_messages": None}
OVERRIDES = ("model", "instructions", "tools", "temperature", "top_p", "reasoning_effort", "response_format")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenConfiguration:
    """Everything about a run that never changes after it was made."""

    model: str
    instructions: str
    tools: list[dict[str, Any]]
    tool_resources: dict[str, Any]
    temperature: float
    top_p: float
    reasoning_effort: str | None
    response_format: Any
    tool_choice: Any
    parallel_tool_calls: bool
    truncation_strategy: dict[str, Any]
    max_prompt_tokens: int | None
    max_completion_tokens: int | None
    retrieval: str = Retrieval.AUTO
    server_tools: list[dict[str, Any]] = field(default_factory=list)
    own_resources: dict[str, Any] = field(default_factory=dict)  # of ``tool_resources``: what the request gave
    schema_version: int = SCHEMA_VERSION


def compose(resolved: ResolvedConfiguration, overrides: dict[str, Any]) -> FrozenConfiguration:
    """The resolved assistant with a request's overrides; ``None`` overrides nothing.

    ``instructions`` replace the assistant's, ``additional_instructions`` follow them; ``tool_resources`` replace those
    of the tools that they name. ``tools`` are all tools of the run: who gives them gets no others of the assistant's.
    """
    base = {name: getattr(resolved, name) for name in OVERRIDES}
    base.update({name: overrides[name] for name in OVERRIDES if overrides.get(name) is not None})
    if extra := overrides.get("additional_instructions"):
        base["instructions"] = f"{base['instructions']}\n\n{extra}" if base["instructions"] else extra
    own_resources = overrides.get("tool_resources") or {}
    parallel = overrides.get("parallel_tool_calls")
    truncation = overrides.get("truncation_strategy") or AUTO_TRUNCATION
    return FrozenConfiguration(
        **base,
        tool_resources={**resolved.tool_resources, **own_resources},
        own_resources=own_resources,
        tool_choice=overrides.get("tool_choice") or "auto",
        parallel_tool_calls=True if parallel is None else parallel,
        truncation_strategy={"type": truncation["type"], "last_messages": truncation.get("last_messages")},
        max_prompt_tokens=overrides.get("max_prompt_tokens"),
        max_completion_tokens=overrides.get("max_completion_tokens"),
        retrieval=resolved.retrieval,
        server_tools=resolved.server_tools if overrides.get("tools") is None else [],
    )


def freeze(project_id: str, configuration: FrozenConfiguration) -> RunConfiguration:
    """The stored row of this content: the one there is, or a new one."""
    data = asdict(configuration)
    digest = hashlib.sha256(orjson.dumps(data)).hexdigest()  # the order of a schema's properties is content too
    row, _ = RunConfiguration.objects.get_or_create(project_id=project_id, digest=digest, defaults={"data": data})
    return row
