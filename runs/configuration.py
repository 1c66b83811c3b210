"""A run's frozen configuration: an assistant as it was resolved, with the run's own overrides."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import orjson

from assistants.kinds import Capability, every_capability
from assistants.models import Retrieval
from assistants.resolution import SCHEMA_VERSION, ResolvedConfiguration
from runs.models import RunConfiguration

AUTO_TRUNCATION = {"type": "auto", "last_messages": None}
SUMMARY = "summary"  # of a conversation's ways of compression, the one in which the model sees summaries
OVERRIDES = ("model", "instructions", "tools", "temperature", "top_p", "reasoning_effort", "response_format")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenConfiguration:
    """Everything about a run that never changes after it was made.

    :ivar capabilities: what the assistant may do; ``planning`` and ``rebuild`` leave the rest out of requests.
    :ivar prompts: the library's prompts that the instructions were made of.
    :ivar conversation: how a conversation's thread is cut: ``{"compression", "window_tokens"}``; ``None`` for runs of
        other threads, and where the request said itself how: then ``truncation_strategy`` is all.
    """

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
    capabilities: list[str] = field(default_factory=every_capability)
    prompts: list[dict[str, Any]] = field(default_factory=list)
    conversation: dict[str, Any] | None = None
    schema_version: int = SCHEMA_VERSION


def compose(
    resolved: ResolvedConfiguration, overrides: dict[str, Any], conversation: dict[str, Any] | None = None
) -> FrozenConfiguration:
    """The resolved assistant with a request's overrides; ``None`` overrides nothing.

    ``instructions`` replace the assistant's, ``additional_instructions`` follow them; ``tool_resources`` replace those
    of the tools that they name. ``tools`` are all tools of the run: who gives them gets no others of the assistant's.
    """
    content = resolved.content
    base = {name: getattr(content, name) for name in OVERRIDES}
    base |= {"instructions": resolved.instructions, "tools": resolved.tools}
    base.update({name: overrides[name] for name in OVERRIDES if overrides.get(name) is not None})
    if extra := overrides.get("additional_instructions"):
        base["instructions"] = f"{base['instructions']}\n\n{extra}" if base["instructions"] else extra
    own_resources = overrides.get("tool_resources") or {}
    parallel = overrides.get("parallel_tool_calls")
    truncation = overrides.get("truncation_strategy") or _memory(content.context_memory_size)
    most = overrides.get("max_completion_tokens")
    return FrozenConfiguration(
        **base,
        tool_resources={**content.tool_resources, **own_resources},
        own_resources=own_resources,
        tool_choice=overrides.get("tool_choice") or "auto",
        parallel_tool_calls=Capability.PARALLEL_TOOL_CALLS in content.capabilities and parallel is not False,
        truncation_strategy={"type": truncation["type"], "last_messages": truncation.get("last_messages")},
        max_prompt_tokens=overrides.get("max_prompt_tokens"),
        max_completion_tokens=content.default_max_tokens if most is None else most,
        retrieval=content.retrieval,
        server_tools=content.server_tools if overrides.get("tools") is None else [],
        capabilities=content.capabilities,
        prompts=resolved.prompts if overrides.get("instructions") is None else [],
        conversation=conversation if overrides.get("truncation_strategy") is None else None,
    )


def thaw(data: Mapping[str, Any]) -> FrozenConfiguration:
    """A stored configuration; of one from before a field was added, that field is what it meant then."""
    known = {item.name for item in fields(FrozenConfiguration)}
    return FrozenConfiguration(**{name: value for name, value in data.items() if name in known})


def with_model(configuration: FrozenConfiguration, model: str) -> FrozenConfiguration:
    return replace(configuration, model=model)


def _memory(messages: int | None) -> dict[str, Any]:
    """How a thread is cut for an assistant that remembers so many messages."""
    return AUTO_TRUNCATION if messages is None else {"type": "last_messages", "last_messages": messages}


def cut_of(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """What a stored configuration says of how its thread is cut, for :func:`threads.context.window`.

    Those of runs that began before there were conversations say nothing of them.
    """
    of_conversation = configuration.get("conversation") or {}
    return {
        "truncation": configuration["truncation_strategy"],
        "window_tokens": of_conversation.get("window_tokens"),
        "is_summed_up": of_conversation.get("compression") == SUMMARY,
    }


def has(configuration: Mapping[str, Any], capability: Capability) -> bool:
    """Of a stored configuration: those of runs that began before there were capabilities have all of them."""
    return capability in configuration.get("capabilities", Capability.values)


def freeze(project_id: str, configuration: FrozenConfiguration) -> RunConfiguration:
    """The stored row of this content: the one there is, or a new one."""
    data = asdict(configuration)
    digest = hashlib.sha256(orjson.dumps(data)).hexdigest()  # the order of a schema's properties is content too
    row, _ = RunConfiguration.objects.get_or_create(project_id=project_id, digest=digest, defaults={"data": data})
    return row
