"""Making, changing and deleting assistants: the draft that ``/v1`` reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Q, TextField
from django.db.models.functions import Cast

from assistants.catalog import entries
from assistants.catalog.models import Function
from assistants.knowledge.models import VectorStore
from assistants.knowledge.services import members, resources, stores
from assistants.knowledge.services.filling import NewFile
from assistants.models import MAXIMUM_TOOLS, NAME_LENGTH, Assistant, Retrieval, Visibility, auto
from assistants.services import serving, traits
from inference import gateway
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_WRITE
from sovereign.core import errors
from sovereign.core.database import service, visible_row

ID_PREFIX = "asst"
UNNAMED = "a private assistant"

#: What an explicit ``null`` resets a field to.
DEFAULTS: dict[str, Any] = {
    "name": None,
    "description": None,
    "instructions": None,
    "tools": [],
    "tool_resources": {},
    "metadata": {},
    "temperature": 1.0,
    "top_p": 1.0,
    "reasoning_effort": None,
    "response_format": auto(),
    "retrieval": Retrieval.AUTO,
    "server_tools": [],
    "functions": [],
    "offered_over_mcp": False,
    **traits.DEFAULTS,
}


def get_assistant(*, principal: Principal, assistant_id: str) -> Assistant:
    """:raises ApiError: 404, for an unknown assistant and for another project's alike."""
    assistant = visible_row(Assistant, principal, assistant_id)
    if assistant is None:
        raise errors.not_found("assistant", assistant_id)
    return assistant


def locked_assistant(*, principal: Principal, assistant_id: str) -> Assistant:
    """The same, its row locked until the transaction's end: what changes an assistant begins with it."""
    assistant = visible_row(Assistant, principal, assistant_id, lock=True)
    if assistant is None:
        raise errors.not_found("assistant", assistant_id)
    return assistant


def named_assistant(*, principal: Principal, assistant_id: str) -> Assistant:
    """The assistant that a request's body names. Ids are opaque: only one of nobody is looked at more closely.

    :raises ApiError: 404 like :func:`get_assistant`; 400 where the unknown id does not even look like an assistant's.
    """
    try:
        return get_assistant(principal=principal, assistant_id=assistant_id)
    except errors.ApiError:
        if assistant_id.startswith(ID_PREFIX):
            raise
        shown = assistant_id[: errors.SHOWN_ID]
        raise errors.ApiError(
            f"Invalid 'assistant_id': '{shown}'. Expected an ID that begins with '{ID_PREFIX}'.",
            param="assistant_id",
            code="invalid_value",
        ) from None


@service
def create_assistant(*, principal: Principal, **fields: Any) -> Assistant:
    """Make an assistant.

    :param fields: the contract's fields, validated and normalised, and our own, which are checked here; only ``model``
        is required.
    :raises ApiError: 404 ``model_not_found``, 400 ``unsupported_model``; 404 for files, vector stores, functions and
        MCP servers that do not exist.
    """
    principal.require(ASSISTANTS_WRITE)
    gateway.check_model(fields["model"], project_id=principal.project_id)
    assistant = Assistant(
        project_id=principal.project_id,
        created_by_user=principal.user_id,
        created_by_key=principal.key_id,
        **_settled(principal, fields),
    )
    _complete_tool_resources(assistant)
    _refuse_too_many_tools(assistant)
    assistant.save(force_insert=True)
    audit.record(principal, "assistant.created", assistant)
    return assistant


@service
def update_assistant(*, principal: Principal, assistant_id: str, **fields: Any) -> Assistant:
    """Change the given fields only; ``None`` resets one to its default. Raises like :func:`create_assistant`."""
    principal.require(ASSISTANTS_WRITE)
    assistant = locked_assistant(principal=principal, assistant_id=assistant_id)
    if fields.get("model") and fields["model"] != assistant.model:
        gateway.check_model(fields["model"], project_id=principal.project_id)
    for name, value in _settled(principal, fields).items():
        setattr(assistant, name, value)
    _complete_tool_resources(assistant)
    _refuse_too_many_tools(assistant)
    assistant.save()
    audit.record(principal, "assistant.updated", assistant, fields=sorted(fields))
    return assistant


@service
def add_knowledge(
    *, principal: Principal, assistant_id: str, file_ids: Sequence[str], search_tool: dict[str, Any]
) -> Assistant:
    """Put files into the store that an assistant searches, and have it search there.

    A store is made where it has none (or where that one was deleted), and the tool is added that was not there.

    :param search_tool: ``file_search`` in its normal form.
    :raises ApiError: 404 for the assistant or the first unknown file; 400, its store is full or has expired.
    """
    principal.require(ASSISTANTS_WRITE)
    assistant = locked_assistant(principal=principal, assistant_id=assistant_id)
    held = assistant.tool_resources.get("file_search", {}).get("vector_store_ids", [])
    if VectorStore.objects.visible_to(principal).filter(pk__in=held[:1]).exists():
        files = [NewFile(file_id) for file_id in file_ids]
        members.attach_files(principal=principal, store_id=held[0], files=files)
    else:
        name = f"What {assistant} knows"[:NAME_LENGTH]
        store = stores.create_store(principal=principal, name=name, file_ids=file_ids)
        assistant.tool_resources = {**assistant.tool_resources, "file_search": {"vector_store_ids": [store.id]}}
    if all(tool["type"] != "file_search" for tool in assistant.tools):
        assistant.tools = [*assistant.tools, search_tool]
    assistant.save()
    audit.record(principal, "assistant.updated", assistant, fields=["tool_resources", "tools"])
    return assistant


@service
def delete_assistant(*, principal: Principal, assistant_id: str) -> None:
    """Delete an assistant with its versions and deployments. Its threads and runs stay.

    :raises ApiError: 404; 403 for who may not take it out of service.
    """
    principal.require(ASSISTANTS_WRITE)
    assistant = locked_assistant(principal=principal, assistant_id=assistant_id)
    serving.refuse_to_end(principal, assistant)
    serving.record_end(principal, assistant)
    audit.record(principal, "assistant.deleted", assistant)
    assistant.delete()


def names_using(project_id: str, identifier: str) -> list[str]:
    """The assistants of a project that have a function or an MCP server of the catalog, by its id.

    Those that somebody keeps to themselves are told without their names.
    """
    mentioned = f'"{identifier}"'
    written = Assistant.objects.filter(project_id=project_id).annotate(
        functions_text=Cast("functions", TextField()), entries_text=Cast("server_tools", TextField())
    )
    using = written.filter(Q(functions_text__contains=mentioned) | Q(entries_text__contains=mentioned))
    return [UNNAMED if assistant.visibility == Visibility.PRIVATE else str(assistant) for assistant in using]


def _settled(principal: Principal, fields: dict[str, Any]) -> dict[str, Any]:
    """What is stored of the fields. The store that tool resources ask for is made; it lasts until it is deleted."""
    settled = {name: DEFAULTS.get(name) if value is None else value for name, value in fields.items()}
    settled.update(traits.checked(settled))
    if wanted := settled.get("tool_resources"):
        settled["tool_resources"] = resources.settle(principal=principal, resources=wanted, expires_after_days=None)
    if "server_tools" in settled:
        settled["server_tools"] = entries.checked(settled["server_tools"], project_id=principal.project_id)
    if chosen := settled.get("functions"):
        settled["functions"] = _known_functions(principal, chosen)
    return settled


def _known_functions(principal: Principal, function_ids: Sequence[str]) -> list[str]:
    """:raises ApiError: 404, one of them is not in the project's library."""
    found = set(Function.objects.visible_to(principal).filter(pk__in=function_ids).values_list("pk", flat=True))
    if missing := next((function_id for function_id in function_ids if function_id not in found), None):
        raise errors.not_found("function", str(missing))
    return list(dict.fromkeys(function_ids))


def _refuse_too_many_tools(assistant: Assistant) -> None:
    """Its own tools and the library's functions are the tools of its runs, of which the contract has a limit."""
    number = len(assistant.tools) + len(assistant.functions)
    if assistant.functions and number > MAXIMUM_TOOLS:
        raise errors.ApiError(
            f"Invalid 'tools': {number} tools with the {len(assistant.functions)} functions of the library; at most "
            f"{MAXIMUM_TOOLS} are allowed.",
            param="tools",
            code="array_above_max_length",
        )


#: What a tool without resources has, as the recorded service answered.
EMPTY_RESOURCES: dict[str, dict[str, list[str]]] = {
    "code_interpreter": {"file_ids": []},
    "file_search": {"vector_store_ids": []},
}


def _complete_tool_resources(assistant: Assistant) -> None:
    """Every tool that takes resources has a list of them, be it an empty one; no other kind has an empty one."""
    kinds = {tool["type"] for tool in assistant.tools}
    empty = {kind: nothing for kind, nothing in EMPTY_RESOURCES.items() if kind in kinds}
    every = {**empty, **assistant.tool_resources}
    assistant.tool_resources = {kind: held for kind, held in every.items() if kind in kinds or any(held.values())}
