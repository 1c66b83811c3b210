"""Assistants that are made from others or from templates, and how they descend from each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from assistants.catalog.entries import unavailable
from assistants.models import NAME_LENGTH, Assistant, AssistantVersion, PromptLink
from assistants.prompts.models import PromptVersion
from assistants.services.assistants import create_assistant, get_assistant
from assistants.services.lifecycle import make_assistant
from assistants.services.versions import get_version
from assistants.snapshots import COLUMNS, Content
from assistants.templates import Template, templates
from inference import gateway
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_WRITE
from sovereign.core import errors
from sovereign.core.database import service

ALIKE = ("description", "metadata", "type", "tags", "suggestions", "visibility")  # what a clone has beside its content
LINK_FIELDS = ("prompt_id", "version_id", "label", "kind", "priority", "weight", "conditions", "is_enabled")
COPY = " (copy)"
MOST_GENERATIONS = 100
MOST_DESCENDANTS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """
    :ivar ancestors: the nearest first.
    :ivar descendants: by generation; those of one in the order in which they were made.
    :ivar is_whole: nothing was left out because there is too much.
    """

    assistant: Assistant
    ancestors: list[Assistant]
    descendants: list[Assistant]
    is_whole: bool


@service
def clone_assistant(
    *, principal: Principal, assistant_id: str, version: str | None = None, **changes: Any
) -> Assistant:
    """Make an assistant like another one: a draft with the same content and prompts, and the other one as its parent.

    :param version: id or number of a version; without it the draft is cloned.
    :param changes: fields that the clone has otherwise.
    :raises ApiError: like :func:`create_assistant`; 404, there is no such version.
    """
    principal.require(ASSISTANTS_WRITE)
    source = get_assistant(principal=principal, assistant_id=assistant_id)
    found = get_version(principal=principal, assistant_id=assistant_id, version=version) if version else None
    content: Any = source if found is None else Content.of_json(found.content)
    fields = {name: getattr(content, name) for name in COLUMNS} | {name: getattr(source, name) for name in ALIKE}
    fields["name"] = source.name and source.name[: NAME_LENGTH - len(COPY)] + COPY
    fields |= {"parent_id": source.id, "parent_version_id": found.id if found is not None else None}
    clone = create_assistant(principal=principal, **{**fields, **changes})
    _link_prompts(clone, _links_of_draft(source) if found is None else _links_of_version(found))
    audit.record(principal, "assistant.cloned", source, clone=clone.id, version=found.id if found is not None else None)
    return clone


@service
def start_from_template(*, principal: Principal, template: str, **changes: Any) -> Assistant:
    """Make an assistant as a template has it, without the tools that this server cannot run.

    :param changes: fields that it has otherwise; where there is no model among them it gets the default model.
    :raises ApiError: like :func:`create_assistant`; 404, there is no such template; 400, there is no default model.
    """
    fields = {**_available(get_template(template)), **changes}
    if fields.get("model") is None:
        fields["model"] = gateway.default_model(project_id=principal.project_id)
    if fields["model"] is None:
        raise errors.ApiError(
            "Missing required parameter: 'model'. This server has no default model.",
            param="model",
            code="missing_required_parameter",
        )
    return make_assistant(principal=principal, **fields)


def get_template(template_id: str) -> Template:
    """:raises ApiError: 404."""
    found = templates().get(template_id)
    if found is None:
        raise errors.not_found("template", template_id)
    return found


def lineage(*, principal: Principal, assistant_id: str) -> Lineage:
    """From whom an assistant descends, and who descends from it, as far as the principal sees them.

    :raises ApiError: 404.
    """
    assistant = get_assistant(principal=principal, assistant_id=assistant_id)
    visible = Assistant.objects.visible_to(principal)
    ancestors: list[Assistant] = []
    eldest: Assistant | None = assistant
    while eldest is not None and eldest.parent_id is not None and len(ancestors) < MOST_GENERATIONS:
        eldest = visible.filter(pk=eldest.parent_id).first()
        ancestors += [eldest] if eldest is not None else []
    descendants: list[Assistant] = []
    generation = [assistant.id]
    while generation and len(descendants) <= MOST_DESCENDANTS:
        found = visible.filter(parent_id__in=generation).order_by()  # sorted, SQLite would read all of the project
        children = sorted(found[: MOST_DESCENDANTS + 1], key=lambda child: (child.created_at, child.id))
        generation = [child.id for child in children]
        descendants += children
    is_whole = len(ancestors) < MOST_GENERATIONS and len(descendants) <= MOST_DESCENDANTS
    return Lineage(
        assistant=assistant,
        ancestors=ancestors,
        descendants=descendants[:MOST_DESCENDANTS],
        is_whole=is_whole,
    )


def _available(template: Template) -> dict[str, Any]:
    fields = template.fields
    kept = {name: [tool for tool in fields.get(name, ()) if not unavailable(tool["type"])]
            for name in ("tools", "server_tools")}  # fmt: skip
    return {**fields, **kept}


def _links_of_draft(source: Assistant) -> list[dict[str, Any]]:
    return list(PromptLink.objects.of(source.id).order_by("created_at", "id").values(*LINK_FIELDS))


def _links_of_version(version: AssistantVersion) -> list[dict[str, Any]]:
    """Fixed to what the prompts said then.

    :raises ApiError: 400 ``prompt_missing``.
    """
    prompts = Content.of_json(version.content).prompts
    there = set(
        PromptVersion.objects.filter(pk__in=[placed.version_id for placed in prompts]).values_list("pk", flat=True)
    )
    if gone := [placed.prompt_name for placed in prompts if placed.version_id not in there]:
        raise errors.ApiError(
            f"{str(version).capitalize()} had prompts that do not exist any more: {', '.join(gone)}.",
            param="version",
            code="prompt_missing",
        )
    names = ("prompt_id", "version_id", "kind", "priority", "weight", "conditions")
    return [{name: getattr(placed, name) for name in names} for placed in prompts]


def _link_prompts(clone: Assistant, links: list[dict[str, Any]]) -> None:
    for link in links:  # one by one: their order is that of their ids
        PromptLink.objects.create(project_id=clone.project_id, assistant=clone, **link)
