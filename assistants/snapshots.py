"""All that shapes an assistant's answers as one plain value: taken of the draft, and kept by each version."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import orjson

from assistants.catalog.models import Function
from assistants.kinds import every_capability
from assistants.knowledge.models import File, StoreFile, VectorStore
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

#: of a prompt, what only tells where it came from: it may change while all answers stay the same
TOLD_OF_PROMPT = ("prompt_name", "label")
NAME_VARIABLE = "assistant_name"  # by which a prompt says it, which only then shapes answers
NAMED_FILES = 500  # of a store in a version, which is read for every run: of a larger one, the rest is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """
    :ivar name: the assistant's, which prompts may say; ``None`` where it was kept before contents had it.
    :ivar library_tools: the library's functions that it has, as tools, in its order; those that its own tools have
        the names of are not among them.
    :ivar prompts: its prompts, each with the text that its link meant.
    :ivar knowledge: the vector stores and the code interpreter's files as they were named, ``[{"id", "name", "files":
        [{"id", "name"}], "number", "digest"}]``: the first of a store's files by id, how many there were, and SHA-256
        of all their ids; of a version only. What stands in the files is not kept: it is searched as it is.
    """

    model: str
    name: str | None = None
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

    @property
    def words(self) -> dict[str, str]:
        """What it says itself, by the fields: no templates, unlike what its prompts say."""
        return {"instructions": self.instructions or "", "personality": self.personality}

    @property
    def says_name(self) -> bool:
        """Whether a prompt may say the assistant's name."""
        return any(NAME_VARIABLE in prompt.template for prompt in self.prompts)

    def digest(self) -> str:
        """SHA-256 of what shapes answers, in hexadecimal: names of files, stores and prompts do not.

        The order of a schema's properties is content too.
        """
        data = self.as_json()
        name = data.pop("name") or ""
        if self.says_name:
            data["name"] = name
        for prompt in data["prompts"]:
            for name in TOLD_OF_PROMPT:
                del prompt[name]
        data["knowledge"] = [[held["id"], held["digest"]] for held in self.knowledge]
        return _sha256(orjson.dumps(data))


def take(assistant: Assistant) -> Content:
    """The draft's content at the moment, without what is only told of its knowledge."""
    return Content(
        **{name: getattr(assistant, name) for name in COLUMNS},
        name=assistant.name or "",
        library_tools=_library_functions(assistant),
        prompts=placed_prompts(assistant.id),
    )


def take_for_version(assistant: Assistant) -> Content:
    """The draft's content as a version keeps it: what it knows is named. Four queries at most beside ``take``."""
    return replace(take(assistant), knowledge=_knowledge(assistant))


def _knowledge(assistant: Assistant) -> list[dict[str, Any]]:
    """What is there of the stores and files that it has; those that are gone are not named."""
    resources = assistant.tool_resources
    stores = VectorStore.objects.filter(project_id=assistant.project_id)
    files = File.objects.filter(project_id=assistant.project_id)
    found_stores = _in_order(stores, resources.get("file_search", {}).get("vector_store_ids", []))
    found_files = _in_order(files, resources.get("code_interpreter", {}).get("file_ids", []))
    return [
        *(_held(store.id, str(store), _files_of(store)) for store in found_stores),
        *(_held(file.id, file.filename, []) for file in found_files),
    ]


def _in_order(rows: Any, ids: list[str]) -> list[Any]:
    found = rows.in_bulk(ids) if ids else {}
    return [found[row_id] for row_id in ids if row_id in found]


def _files_of(store: VectorStore) -> list[tuple[str, str]]:
    """Id and name of every file in it, read or not yet read."""
    members = StoreFile.objects.filter(store=store).order_by("file_id")
    return list(members.values_list("file_id", "file__filename"))


def _held(held_id: str, name: str, files: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "id": held_id,
        "name": name,
        "files": [{"id": file_id, "name": filename} for file_id, filename in files[:NAMED_FILES]],
        "number": len(files),
        "digest": _sha256("\n".join(file_id for file_id, _ in files).encode()),
    }


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _library_functions(assistant: Assistant) -> list[dict[str, Any]]:
    if not assistant.functions:
        return []
    found = Function.objects.filter(project_id=assistant.project_id).in_bulk(assistant.functions)
    own = {tool["function"]["name"] for tool in assistant.tools if tool["type"] == "function"}
    listed = [found[function_id] for function_id in assistant.functions if function_id in found]
    return [function.as_tool() for function in listed if function.name not in own]
