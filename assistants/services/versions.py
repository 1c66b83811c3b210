"""The versions of an assistant: the draft is published, what was published never changes, and comes back."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from assistants import snapshots
from assistants.catalog.models import McpServer
from assistants.differences import Change, difference
from assistants.models import Assistant, AssistantVersion, LifeStatus, PromptLink
from assistants.prompting import PlacedPrompt, with_meant_version
from assistants.prompts.models import PromptLabel
from assistants.services import links, missing, places
from assistants.services.archived import refuse_archived as refuse_archived
from assistants.services.assistants import get_assistant, locked_assistant
from assistants.snapshots import Content
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_WRITE
from sovereign.core import errors
from sovereign.core.database import service

DIGITS = 9  # of a number that may be one of a version's
DRAFT = "draft"  # the name of what may be published


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What one content of an assistant has in place of another's.

    :ivar before: a version, or ``"draft"``; ``None`` is nothing at all, which the first version is compared with.
    :ivar after: the same.
    """

    before: AssistantVersion | str | None
    after: AssistantVersion | str
    changes: list[Change]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """
    :ivar ancestors: the parent first, then that one's parent, to the first version; without contents, as all here.
    :ivar children: by number; more than one where an older version was restored, and published again.
    """

    version: AssistantVersion
    ancestors: list[AssistantVersion]
    children: list[AssistantVersion]


@service
def publish(
    *,
    principal: Principal,
    assistant_id: str,
    notes: str = "",
    expected_version: int | None = None,
    as_written: bool = False,
) -> AssistantVersion:
    """Make a version of the draft as it is. An assistant that was a draft is active from then on.

    :param expected_version: the number of the newest version that the caller knows of; 0 for none.
    :param as_written: that the instructions name variables, which nothing fills in there, is meant.
    :raises ApiError: 409 ``version_conflict``, somebody published meanwhile; 400 ``nothing_to_publish``, the newest
        version is the same; 400 ``unknown_variable``; 400, it is archived or its prompts' weights do not add up.
    """
    principal.require(ASSISTANTS_WRITE)
    assistant = locked_assistant(principal=principal, assistant_id=assistant_id)
    newest = newest_version(assistant)
    number = newest.number if newest is not None else 0
    if expected_version is not None and expected_version != number:
        raise _conflict(assistant, expected_version, number)
    content = snapshots.take_for_version(assistant)
    if newest is not None and _holds(newest, content):
        raise errors.ApiError(
            f"Nothing has changed since version {number} was published.",
            param="assistant_id",
            code="nothing_to_publish",
        )
    if not as_written:
        places.refuse(content.words)
    return _published(principal, assistant, content, number=number + 1, notes=notes)


@service
def version_of_draft(*, principal: Principal, assistant: Assistant) -> AssistantVersion:
    """The newest version if the draft is still that; else the draft is published now.

    :raises ApiError: like :func:`publish`; 403 only where it has to be published.
    """
    assistant = locked_assistant(principal=principal, assistant_id=assistant.id)
    newest = newest_version(assistant)
    content = snapshots.take_for_version(assistant)
    if newest is not None and _holds(newest, content):
        return newest
    principal.require(ASSISTANTS_WRITE)
    places.refuse(content.words)
    return _published(principal, assistant, content, number=newest.number + 1 if newest else 1, notes="")


def get_version(*, principal: Principal, assistant_id: str, version: str) -> AssistantVersion:
    """A version by its id, or by its number.

    :raises ApiError: 404, also where the assistant is unknown.
    """
    assistant = get_assistant(principal=principal, assistant_id=assistant_id)
    is_number = version.isascii() and version.isdigit() and len(version) <= DIGITS
    named = {"number": int(version)} if is_number else {"pk": version}
    found: AssistantVersion | None = AssistantVersion.objects.of(assistant.id).filter(**named).first()
    if found is None:
        raise errors.not_found("version", version)
    return found


def lineage(*, principal: Principal, assistant_id: str, version: str) -> Lineage:
    """:raises ApiError: 404."""
    found = get_version(principal=principal, assistant_id=assistant_id, version=version)
    every = AssistantVersion.objects.of(found.assistant_id).defer("content").order_by("number").in_bulk()
    ancestors: list[AssistantVersion] = []
    above = found.parent_id
    while above is not None:  # a parent is older than its child: there is no circle
        ancestors.append(every[above])
        above = every[above].parent_id
    children = [child for child in every.values() if child.parent_id == found.id]
    return Lineage(version=found, ancestors=ancestors, children=children)


def compare(*, principal: Principal, assistant_id: str, version: str, against: str | None = None) -> Difference:
    """What ``version`` has in place of ``against``: of a version what it brought, of the draft what has changed since.

    :param version: a number, an id, or ``"draft"``.
    :param against: the same; its parent where nothing is said, for the draft the version that it came from.
    :raises ApiError: 404, one of them is unknown.
    """
    assistant = get_assistant(principal=principal, assistant_id=assistant_id)

    def named(name: str) -> AssistantVersion | str:
        return DRAFT if name == DRAFT else get_version(principal=principal, assistant_id=assistant_id, version=name)

    def content(of: AssistantVersion | str | None) -> Content:
        if isinstance(of, AssistantVersion):
            return Content.of_json(of.content)
        return Content(model="") if of is None else snapshots.take_for_version(assistant)

    after = named(version)
    before = named(against) if against is not None else _parent(assistant, after)
    changes = difference(content(before), content(after), _server_names(assistant))
    return Difference(before=before, after=after, changes=changes)


@service
def restore(*, principal: Principal, assistant_id: str, version: str) -> Assistant:
    """Make the draft what a version was. What of the draft was not published is lost.

    Prompts have the texts that they had in the version: by the label, or as the newest, where that is still the same
    text; else the link is fixed to it. Links that it had not are switched off. What is shared and was not kept (files
    in stores, functions of the library) is as it is now.

    :raises ApiError: 404; 400 ``version_not_restorable``, with everything in it that is gone; 400, it is archived.
    """
    principal.require(ASSISTANTS_WRITE)
    assistant = locked_assistant(principal=principal, assistant_id=assistant_id)
    refuse_archived(assistant)
    wanted = get_version(principal=principal, assistant_id=assistant_id, version=version)
    content = Content.of_json(wanted.content)
    missing.refuse(principal, wanted, content)
    for name in snapshots.COLUMNS:
        setattr(assistant, name, getattr(content, name))
    if content.says_name and content.name is not None:
        assistant.name = content.name or None
    assistant.based_on = wanted.id
    assistant.save()
    _restore_links(assistant, content)
    audit.record(principal, "assistant.restored", assistant, version=wanted.id, number=wanted.number)
    return assistant


def newest_version(assistant: Assistant) -> AssistantVersion | None:
    newest: AssistantVersion | None = AssistantVersion.objects.of(assistant.id).order_by("-number").first()
    return newest


def parent_of_draft(assistant: Assistant) -> AssistantVersion | None:
    """The version that the draft came from. That of another assistant is none: it may be deleted with it."""
    if assistant.based_on is None:
        return None
    parent: AssistantVersion | None = AssistantVersion.objects.of(assistant.id).filter(pk=assistant.based_on).first()
    return parent


def _holds(version: AssistantVersion, content: Content) -> bool:
    """Whether the version is this content; also one that was published before contents had all of their fields."""
    digest = content.digest()
    return version.digest == digest or Content.of_json(version.content).digest() == digest


def _parent(assistant: Assistant, of: AssistantVersion | str) -> AssistantVersion | None:
    if isinstance(of, AssistantVersion):
        return of.parent
    return parent_of_draft(assistant) or newest_version(assistant)


def _server_names(assistant: Assistant) -> dict[str, str]:
    return dict(McpServer.objects.filter(project_id=assistant.project_id).values_list("pk", "label"))


def _restore_links(assistant: Assistant, content: Content) -> None:
    """The links keep their ids, by which a thread's chance is decided."""
    had = PromptLink.objects.of(assistant.id)
    had.filter(is_enabled=True).exclude(pk__in=[prompt.link_id for prompt in content.prompts]).update(is_enabled=False)
    there = {link.id: link for link in with_meant_version(had)}
    for prompt in content.prompts:
        fixed = {"prompt_id": prompt.prompt_id, "is_enabled": True, **_meaning(prompt, there.get(prompt.link_id))}
        settings = {name: getattr(prompt, name) for name in ("kind", "priority", "weight", "conditions")}
        PromptLink.objects.update_or_create(
            pk=prompt.link_id, assistant=assistant, defaults={**fixed, **settings, "project_id": assistant.project_id}
        )


def _meaning(prompt: PlacedPrompt, link: Any) -> dict[str, Any]:
    """How a link is to mean the version's text: as it did, where that is still this text; else for good.

    :param link: the draft's, with ``meant``, if it is still there.
    """
    labelled = PromptLabel.objects.filter(prompt_id=prompt.prompt_id, name=prompt.label, version_id=prompt.version_id)
    if prompt.label and labelled.exists():
        return {"version_id": None, "label": prompt.label}
    if not prompt.label and link is not None and not link.label and link.meant == prompt.version_id:
        return {}
    return {"version_id": prompt.version_id, "label": ""}


def _published(
    principal: Principal, assistant: Assistant, content: Content, *, number: int, notes: str
) -> AssistantVersion:
    refuse_archived(assistant)
    links.refuse_uneven_weights(assistant.id)
    version = AssistantVersion.objects.create(
        project_id=assistant.project_id,
        assistant=assistant,
        number=number,
        parent=parent_of_draft(assistant),
        content=content.as_json(),
        digest=content.digest(),
        notes=notes,
        published_by_user=principal.user_id,
        published_by_key=principal.key_id,
    )
    assistant.based_on = version.id
    if assistant.status == LifeStatus.DRAFT:
        assistant.status = LifeStatus.ACTIVE
    assistant.save(update_fields=["based_on", "status"])
    audit.record(principal, "assistant.published", assistant, version=version.id, number=number)
    return version


def _conflict(assistant: Assistant, expected: int, number: int) -> errors.ApiError:
    is_now = f"version {number} is the newest" if number else "no version has been published"
    return errors.ApiError(
        f"Somebody else changed the versions of '{assistant.id}': {is_now}, and not version {expected}. Look at what "
        "has changed, and publish again.",
        status=HTTPStatus.CONFLICT,
        param="expected_version",
        code="version_conflict",
    )
