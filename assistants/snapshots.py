"""All that shapes an assistant's answers as one plain value: taken of the draft, and kept by each version."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import orjson

from assistants.catalog.models import Function
from assistants.kinds import every_capability
from assistants.models import Assistant, Retrieval
from assistants.prompting import PlacedPrompt, placed_prompts

#: what of the content are the assistant's own columns, and may be put back into them
COLUMNS = (
    "model",
    "instructions",
    "tools",
    "tool_resources",
    "temperature",
    "top_p",
    "reasoning_effort",
    "response_format",
    "retrieval",
    "server_tools",
    "functions",
    "personality",
    "context_memory_size",
    "capabilities",
    "default_max_tokens",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """
    :ivar library_tools: the library's functions that it has, as tools, in its order; those that its own tools have
        the names of are not among them.
    :ivar prompts: its prompts, each with the text that its link meant.
    :ivar knowledge: the vector stores and files as they were named, ``[{"id", "name", "files": [{"id", "name"}]}]``;
        of a version only. What stands in the files is not kept: it is searched as it is.
    """

    model: str
    instructions: str | None = None
    tools: list[dict[str, Any]] = field(default_factory=list)
    tool_resources: dict[str, Any] = field(default_factory=dict)
    temperature: float = 1.0
    top_p: float = 1.0
    reasoning_effort: str | None = None
    response_format: Any = "auto"
    retrieval: str = Retrieval.AUTO
    server_tools: list[dict[str, Any]] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    personality: str = ""
    context_memory_size: int | None = None
    capabilities: list[str] = field(default_factory=every_capability)
    default_max_tokens: int | None = None
    library_tools: list[dict[str, Any]] = field(default_factory=list)
    prompts: list[PlacedPrompt] = field(default_factory=list)
    knowledge: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, data: dict[str, Any]) -> Content:
        """What ``as_json`` gave, now or before a field was added or removed."""
        known = {item.name: data[item.name] for item in fields(cls) if item.name in data}
        return cls(**{**known, "prompts": [PlacedPrompt(**prompt) for prompt in known.get("prompts", [])]})

    def digest(self) -> str:
        """SHA-256 of the content in hexadecimal; the order of a schema's properties is content too."""
        return hashlib.sha256(orjson.dumps(self.as_json())).hexdigest()


def take(assistant: Assistant) -> Content:
    """The draft's content at the moment, without what is only told of its knowledge."""
    return Content(
        **{name: getattr(assistant, name) for name in COLUMNS},
        library_tools=_library_functions(assistant),
        prompts=placed_prompts(assistant.id),
    )


def _library_functions(assistant: Assistant) -> list[dict[str, Any]]:
    if not assistant.functions:
        return []
    found = Function.objects.filter(project_id=assistant.project_id).in_bulk(assistant.functions)
    own = {tool["function"]["name"] for tool in assistant.tools if tool["type"] == "function"}
    listed = [found[function_id] for function_id in assistant.functions if function_id in found]
    return [function.as_tool() for function in listed if function.name not in own]
