"""What a version names and what is not there any more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from assistants.catalog.entries import MCP
from assistants.catalog.models import Function, McpServer
from assistants.knowledge.models import File, VectorStore
from assistants.knowledge.services import stores
from assistants.models import AssistantVersion
from assistants.prompts.models import PromptVersion
from assistants.snapshots import Content
from inference import gateway
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import FILES_READ, STORES_READ
from sovereign.core.errors import ApiError

TOLD = 8  # in a message; all of them are beside it


@dataclass(frozen=True, slots=True)
class Missing:
    """:ivar kind: ``model``, ``vector store``, ``file``, ``function``, ``MCP server`` or ``prompt``."""

    kind: str
    id: str
    name: str

    def __str__(self) -> str:
        shown = f"'{self.name}' ({self.id})" if self.name != self.id else f"'{self.id}'"
        return f"the {self.kind} {shown}"


def refuse(principal: Principal, version: AssistantVersion, content: Content) -> None:
    """
    :raises ApiError: 400 ``version_not_restorable`` where something is gone, all of it in ``missing``; 403, the
        principal may not read what the version names.
    """
    found = [gone for look in LOOKS for gone in look(principal, content)]
    if not found:
        return
    more = [f"{len(found) - TOLD} more"] if len(found) > TOLD else []
    raise ApiError(
        f"Version {version.number} cannot be restored, since it names what is not there any more: "
        f"{', '.join([*map(str, found[:TOLD]), *more])}.",
        param="version",
        code="version_not_restorable",
        details={"missing": [asdict(gone) for gone in found]},
    )


def _model(principal: Principal, content: Content) -> Iterator[Missing]:
    try:
        gateway.check_model(content.model, project_id=principal.project_id)
    except ApiError:
        yield Missing("model", content.model, content.model)


def _stores(principal: Principal, content: Content) -> Iterator[Missing]:
    if not (ids := content.tool_resources.get("file_search", {}).get("vector_store_ids", [])):
        return
    principal.require(STORES_READ)
    found = list(VectorStore.objects.visible_to(principal).filter(pk__in=ids))
    usable = {store.pk for store in found if not stores.is_expired(store)}
    yield from _absent("vector store", ids, usable, _names_of(content))


def _files(principal: Principal, content: Content) -> Iterator[Missing]:
    if not (ids := content.tool_resources.get("code_interpreter", {}).get("file_ids", [])):
        return
    principal.require(FILES_READ)
    yield from _absent("file", ids, _known(File, principal, ids), _names_of(content))


def _functions(principal: Principal, content: Content) -> Iterator[Missing]:
    yield from _absent("function", content.functions, _known(Function, principal, content.functions), {})


def _servers(principal: Principal, content: Content) -> Iterator[Missing]:
    ids = [entry["server_id"] for entry in content.server_tools if entry["type"] == MCP]
    yield from _absent("MCP server", ids, _known(McpServer, principal, ids), {})


def _prompts(principal: Principal, content: Content) -> Iterator[Missing]:
    texts = {prompt.version_id: prompt.prompt_id for prompt in content.prompts}
    known = PromptVersion.objects.filter(pk__in=texts, prompt__project_id=principal.project_id)
    there = {texts[version_id] for version_id in known.values_list("pk", flat=True)}
    names = {prompt.prompt_id: prompt.prompt_name for prompt in content.prompts}
    yield from _absent("prompt", list(names), there, names)


#: what is looked for, in the order in which it is told
LOOKS: tuple[Callable[[Principal, Content], Iterator[Missing]], ...] = (
    _model,
    _stores,
    _files,
    _functions,
    _servers,
    _prompts,
)


def _known(model: Any, principal: Principal, ids: Collection[str]) -> set[str]:
    return set(model.objects.visible_to(principal).filter(pk__in=ids).values_list("pk", flat=True)) if ids else set()


def _absent(kind: str, ids: Collection[str], there: Collection[str], names: dict[str, str]) -> Iterator[Missing]:
    return (Missing(kind, held, names.get(held, held)) for held in ids if held not in there)


def _names_of(content: Content) -> dict[str, str]:
    return {held["id"]: held["name"] for held in content.knowledge}
