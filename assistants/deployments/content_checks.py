"""The checks that need nothing but a look: what a version refers to is there, and can be used.

They read rows and ask the gateway what it knows; only files that are still being taken in have to be waited for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from assistants.catalog import entries
from assistants.catalog.models import Function, McpServer
from assistants.deployments.checks import EVERYWHERE, Check, Finding, failed, passed, pending, register
from assistants.kinds import Capability
from assistants.knowledge.models import File, IngestionStatus, StoreFile, VectorStore
from assistants.knowledge.services import stores
from assistants.models import Deployment, Retrieval
from assistants.prompting import weights
from assistants.prompting.weights import WHOLE
from assistants.prompts import template
from assistants.snapshots import Content
from inference import gateway
from sovereign.core.errors import ApiError

SHOWN = 3  # names of files or tools that a finding repeats


class ContentCheck:
    """A check that begins nothing."""

    name = ""
    title = ""
    environments = EVERYWHERE

    def begin(self, deployment: Deployment) -> Finding:
        return self.look(deployment)

    def look(self, deployment: Deployment) -> Finding:
        return self.find(Content.of_json(deployment.version.content), deployment.project_id)

    def find(self, content: Content, project_id: str) -> Finding:
        raise NotImplementedError


class ModelReachable(ContentCheck):
    name = "model"
    title = "Model"

    def find(self, content: Content, project_id: str) -> Finding:
        try:
            gateway.check_model(content.model, project_id=project_id)
        except ApiError as refused:
            return failed(self, f"{refused.message.rstrip('.')}.", "Choose a model that is served, and publish again.")
        answer = gateway.availability(content.model, project_id=project_id)
        if not answer.ready:
            fix = "Start an engine that serves it, or choose another model and publish again."
            return failed(self, answer.reason or f"No engine serves '{content.model}'.", fix)
        return passed(self, f"'{content.model}' is served.")


class ToolsResolvable(ContentCheck):
    name = "tools"
    title = "Tools"

    def find(self, content: Content, project_id: str) -> Finding:
        problems = [*_unavailable_tools(content), *_missing_functions(content, project_id)]
        problems += [*_problems_of_servers(content, project_id), *_unable_model(content, project_id)]
        if problems:
            return failed(self, _listed(problems), "Put them right, or take them from the assistant and publish again.")
        number = len(content.tools) + len(content.library_tools) + len(content.server_tools)
        return passed(self, f"{number} of {number} can be used." if number else "It has none.")


def _unavailable_tools(content: Content) -> Iterator[str]:
    """The contract's and this server's own tools that do not work on this server now."""
    kinds = [tool["type"] for tool in content.tools]
    kinds += [entry["type"] for entry in content.server_tools if entry["type"] != entries.MCP]
    for kind in dict.fromkeys(kinds):
        if reason := entries.unavailable(kind):
            yield f"'{kind}': {reason.rstrip('.')}."


def _missing_functions(content: Content, project_id: str) -> Iterator[str]:
    found = Function.objects.filter(project_id=project_id).in_bulk(content.functions) if content.functions else {}
    for function_id in content.functions:
        if function_id not in found:
            yield f"The function '{function_id}' is no longer in the library."


def _problems_of_servers(content: Content, project_id: str) -> Iterator[str]:
    wanted = [entry for entry in content.server_tools if entry["type"] == entries.MCP]
    ids = [entry["server_id"] for entry in wanted]
    servers = McpServer.objects.filter(project_id=project_id).in_bulk(ids) if ids else {}
    for entry in wanted:
        if problem := _problem_of_server(servers.get(entry["server_id"]), entry):
            yield problem


def _problem_of_server(server: McpServer | None, entry: dict[str, Any]) -> str:
    if server is None:
        return f"The MCP server '{entry['server_id']}' is no longer registered."
    if not server.enabled:
        return f"The MCP server '{server.label}' is switched off."
    offered = {tool.name for tool in server.offered(entry["tools"])}
    if missing := [name for name in entry["tools"] or [] if name not in offered]:
        return f"The MCP server '{server.label}' does not offer {_names(missing)}, or nobody has allowed it."
    return "" if offered else f"No tool of the MCP server '{server.label}' is allowed."


def _unable_model(content: Content, project_id: str) -> Iterator[str]:
    """Files can be searched before a model is asked; all other tools are called by it."""
    called = [tool for tool in content.tools if tool["type"] != "file_search" or content.retrieval == Retrieval.TOOL]
    if Capability.TOOLS not in content.capabilities or not [*called, *content.library_tools, *content.server_tools]:
        return
    answer = gateway.availability(content.model, project_id=project_id)
    if answer.ready and not answer.capabilities.tools:
        yield f"The model '{content.model}' calls no tools."


class KnowledgeIngested(ContentCheck):
    name = "knowledge"
    title = "Knowledge"

    def find(self, content: Content, project_id: str) -> Finding:
        store_ids = content.tool_resources.get("file_search", {}).get("vector_store_ids", [])
        file_ids = content.tool_resources.get("code_interpreter", {}).get("file_ids", [])
        found = VectorStore.objects.filter(project_id=project_id).in_bulk(store_ids)
        problems = [*_problems_of_stores(store_ids, found), *_missing_files(file_ids, project_id)]
        members = StoreFile.objects.filter(store__in=found).select_related("file").order_by("created_at", "pk")
        if broken := list(members.filter(status=IngestionStatus.FAILED)):
            problems.append(f"{_files(broken)} could not be read: {broken[0].error_message or broken[0].error_code}.")
        if problems:
            return failed(self, _listed(problems), "Take out or replace what is missing or broken, and publish again.")
        if waiting := list(members.filter(status=IngestionStatus.IN_PROGRESS)):
            return pending(self, f"{_files(waiting)} is still being taken in.")
        number = members.filter(status=IngestionStatus.COMPLETED).count()
        return passed(self, f"{number} files can be searched." if store_ids else "It searches no files.")


def _problems_of_stores(store_ids: Sequence[str], found: dict[str, VectorStore]) -> Iterator[str]:
    for store_id in store_ids:
        if store_id not in found:
            yield f"The vector store '{store_id}' does not exist any more."
        elif stores.is_expired(found[store_id]):
            yield f"The vector store '{found[store_id]}' has expired."


def _missing_files(file_ids: Sequence[str], project_id: str) -> Iterator[str]:
    found = File.objects.filter(project_id=project_id).in_bulk(file_ids) if file_ids else {}
    for file_id in file_ids:
        if file_id not in found:
            yield f"The file '{file_id}' does not exist any more."


class PromptsSound(ContentCheck):
    name = "prompts"
    title = "Prompts"

    def find(self, content: Content, project_id: str) -> Finding:
        problems = [
            f"The weights of the {group.kind} prompts with priority {group.priority} are {group.total} together, and "
            f"not {WHOLE}."
            for group in weights.groups(content.prompts)
            if group.is_uneven
        ]
        for prompt in content.prompts:
            try:
                template.check(prompt.template, prompt.variables)
            except ApiError as refused:
                problems.append(f"'{prompt.prompt_name}', version {prompt.number}: {refused.message}")
        if problems:
            return failed(self, _listed(problems), "Put the links of its prompts right, and publish again.")
        number = len(content.prompts)
        return passed(self, f"{number} of {number} can be filled in." if number else "It has none.")


def _files(members: Sequence[StoreFile]) -> str:
    return _names([member.file.filename for member in members])


def _names(names: Sequence[str]) -> str:
    """``'a', 'b', 'c' and 4 more``."""
    shown = ", ".join(f"'{name}'" for name in names[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown


def _listed(problems: Sequence[str]) -> str:
    more = f" And {len(problems) - SHOWN} more." if len(problems) > SHOWN else ""
    return " ".join(problems[:SHOWN]) + more


CONTENT_CHECKS: tuple[Check, ...] = (ModelReachable(), ToolsResolvable(), KnowledgeIngested(), PromptsSound())
for _check in CONTENT_CHECKS:
    register(_check)
