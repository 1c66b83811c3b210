"""Which prompts of the library an assistant has, and when it uses them. They are part of the draft."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, TypedDict, Unpack

from django.db.models import Prefetch, Q

from assistants.models import Assistant, PromptLink
from assistants.prompting import conditions, weights, with_meant_version
from assistants.prompting.weights import WHOLE
from assistants.prompts.models import Prompt
from assistants.prompts.services import get_prompt, locked_prompt
from assistants.prompts.services.uses import Use
from assistants.services.archived import refuse_archived
from assistants.services.assistants import UNNAMED, get_assistant, locked_assistant
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_READ, ASSISTANTS_WRITE, PROMPTS_READ
from sovereign.core.database import service
from sovereign.core.errors import SHOWN_ID, ApiError, not_found

MAXIMUM_LINKS = 64  # of an assistant
HIGHEST_PRIORITY = 1_000
NAMED = 8  # links that an error names

Kind = PromptLink.Kind


class Placing(TypedDict, total=False):
    """How an assistant has a prompt; see :class:`assistants.models.PromptLink`.

    ``version`` is a number, and with ``label`` the other of both is forgotten; ``None`` of both means the newest.
    """

    version: int | None
    label: str | None
    kind: str
    priority: int
    weight: int | None
    conditions: dict[str, Any]
    is_enabled: bool


@service
def link_prompt(*, principal: Principal, assistant_id: str, prompt_id: str, **placing: Unpack[Placing]) -> PromptLink:
    """Give an assistant a prompt of its project's library.

    :raises ApiError: 404 for either; 400, ``param`` names what is wrong; ``weights_do_not_add_up``, the weights of its
        kind and priority exceed 100; ``assistant_archived``.
    """
    assistant = _assistant_to_change(principal, assistant_id)
    prompt = _prompt_of(principal, prompt_id)
    if PromptLink.objects.of(assistant.id).count() >= MAXIMUM_LINKS:
        raise ApiError(f"An assistant has at most {MAXIMUM_LINKS} prompts.", param="prompt_id", code="too_many_prompts")
    link = PromptLink(project_id=assistant.project_id, assistant=assistant, prompt=prompt)
    apply_placing(link, **placing)
    _refuse_too_much(link)
    link.save(force_insert=True)
    _record(principal, "assistant.prompt_linked", assistant, link)
    return link_named(principal=principal, assistant_id=assistant.id, name=link.id)


@service
def update_link(*, principal: Principal, assistant_id: str, name: str, **placing: Unpack[Placing]) -> PromptLink:
    """Change what is given.

    :param name: as for :func:`link_named`. Raises like :func:`link_prompt`.
    """
    assistant = _assistant_to_change(principal, assistant_id)
    link = _named(assistant, name)
    if placing.get("label") is not None:
        locked_prompt(principal=principal, prompt_id=link.prompt_id)  # so that the label is there when this is done
    apply_placing(link, **placing)
    _refuse_too_much(link)
    link.save()
    _record(principal, "assistant.prompt_link_changed", assistant, link, fields=sorted(placing))
    return link_named(principal=principal, assistant_id=assistant.id, name=link.id)


@service
def unlink_prompt(*, principal: Principal, assistant_id: str, name: str) -> str:
    """Take a prompt away from an assistant; versions that have it keep it. Raises like :func:`update_link`.

    :returns: the id of the link that was.
    """
    assistant = _assistant_to_change(principal, assistant_id)
    link = _named(assistant, name)
    _record(principal, "assistant.prompt_unlinked", assistant, link)
    link_id: str = link.id
    link.delete()
    return link_id


@service
def order_links(*, principal: Principal, assistant_id: str, kind: str, names: Sequence[str]) -> None:
    """Have the prompts of a kind looked at one after another: each gets a priority of its own.

    Those that share the threads by weight keep sharing them, and stand together.

    :param names: the ids of all links of the kind, the first of them first.
    :raises ApiError: like :func:`link_prompt`; 409 ``order_conflict``, these are not all of them; 400
        ``weights_share_a_place``.
    """
    assistant = _assistant_to_change(principal, assistant_id)
    links = {link.id: link for link in PromptLink.objects.of(assistant.id).filter(kind=kind).select_related("prompt")}
    if sorted(names) != sorted(links):
        raise ApiError(
            "The prompts of the assistant have changed meanwhile: look at them again.",
            status=HTTPStatus.CONFLICT,
            code="order_conflict",
        )
    blocks = in_blocks([links[name] for name in names])
    for priority, block in enumerate(reversed(blocks)):
        PromptLink.objects.filter(pk__in=[link.pk for link in block]).exclude(priority=priority).update(
            priority=priority
        )
    assistant.save(update_fields=["updated_at"])
    audit.record(principal, "assistant.prompts_ordered", assistant, kind=kind, links=list(names))


def in_blocks(links: Sequence[PromptLink]) -> list[list[PromptLink]]:
    """Links of one kind in their order; those that share the threads by weight are one block.

    :raises ApiError: 400 ``weights_share_a_place``, another stands between those.
    """
    shared = {
        group.priority for group in weights.groups(links)
        if len(group.members) > 1 and any(link.weight is not None for link in group.members)
    }  # fmt: skip
    blocks: list[list[PromptLink]] = []
    begun: set[int] = set()
    for link in links:
        if blocks and link.priority in shared and blocks[-1][0].priority == link.priority:
            blocks[-1].append(link)
            continue
        if link.priority in begun:
            raise ApiError(
                f"'{link.prompt.name}' shares the threads with others by weight, and has its place with them. Give it "
                "another priority on its own page first.",
                code="weights_share_a_place",
            )
        begun |= {link.priority} & shared
        blocks.append([link])
    return blocks


def links_of(*, principal: Principal, assistant_id: str) -> Any:
    """The links of an assistant, each with its prompt and with the id of the version it means as ``meant``.

    :raises ApiError: 404.
    """
    assistant = get_assistant(principal=principal, assistant_id=assistant_id)
    return with_meant_version(PromptLink.objects.of(assistant.id)).select_related("prompt", "version")


def link_named(*, principal: Principal, assistant_id: str, name: str) -> PromptLink:
    """One of them.

    :param name: its own id, or that of its prompt.
    :raises ApiError: 404; 409 ``ambiguous_prompt``, several links have the prompt.
    """
    return _only(links_of(principal=principal, assistant_id=assistant_id), name)


def assistants_with(*, principal: Principal, prompt_id: str) -> Any:
    """The assistants that have a prompt and that the principal sees, each with those links as ``links_with_prompt``.

    :raises ApiError: 404 for the prompt; 403.
    """
    principal.require(ASSISTANTS_READ)
    prompt = get_prompt(principal=principal, prompt_id=prompt_id)
    links = with_meant_version(PromptLink.objects.filter(prompt=prompt)).select_related("prompt", "version")
    having = PromptLink.objects.filter(prompt=prompt).values("assistant_id")
    found = Assistant.objects.visible_to(principal).filter(pk__in=having)
    return found.prefetch_related(Prefetch("prompt_links", links.order_by("created_at", "id"), "links_with_prompt"))


def uses_of_prompt(principal: Principal, prompt_id: str) -> list[Use]:
    """For ``assistants.prompts.services.uses``: also of assistants that the principal does not see, without a name."""
    seen = set(
        Assistant.objects.visible_to(principal).values_list("pk", flat=True).filter(prompt_links__prompt=prompt_id)
    )
    links = PromptLink.objects.visible_to(principal).filter(prompt_id=prompt_id).select_related("assistant", "version")
    return [_use(link, link.assistant_id in seen) for link in links.order_by("created_at", "id")]


def apply_placing(link: PromptLink, **placing: Unpack[Placing]) -> None:
    """Set the fields of a row and check them, without saving it.

    :raises ApiError: ``param`` names the field that is wrong.
    """
    _apply_version(link, placing)
    link.kind = placing.get("kind", link.kind)
    if link.kind not in Kind.values:
        raise _invalid("kind", f"one of {', '.join(Kind.values)}")
    link.priority = _whole("priority", placing.get("priority", link.priority), -HIGHEST_PRIORITY, HIGHEST_PRIORITY)
    weight = placing.get("weight", link.weight)
    link.weight = None if weight is None else _whole("weight", weight, 0, WHOLE)
    link.conditions = conditions.checked(placing.get("conditions", link.conditions))
    link.is_enabled = placing.get("is_enabled", link.is_enabled)


def refuse_uneven_weights(assistant_id: str) -> None:
    """What a version must not have: weights that are not 100 together, and links that mean no version.

    :raises ApiError: 400 ``weights_do_not_add_up``, or ``unknown_label``.
    """
    links = list(with_meant_version(PromptLink.objects.of(assistant_id).filter(is_enabled=True)))
    if group := next((group for group in weights.groups(links) if group.is_uneven), None):
        raise _uneven(group)
    if lost := next((link for link in links if link.meant is None), None):
        raise _unknown_label(lost.prompt, lost.label)


def _refuse_too_much(changed: PromptLink) -> None:
    """Of a link that is about to be saved: its group may not have more than there is."""
    others = PromptLink.objects.of(changed.assistant_id).filter(is_enabled=True).select_related("prompt")
    for group in weights.groups([*others.exclude(pk=changed.pk), *([changed] if changed.is_enabled else [])]):
        if group.is_too_much and changed in group.members:
            raise _uneven(group)


def _uneven(group: weights.Group[PromptLink]) -> ApiError:
    shares = [(link, "none" if link.weight is None else f"{link.weight} %") for link in group.members[:NAMED]]
    told = ", ".join(f"'{link.prompt.name}' ({link.id}) has {share}" for link, share in shares)
    return ApiError(
        f"The weights of the {group.kind} prompts with priority {group.priority} are {group.total} together and have "
        f"to be {WHOLE}: {told}. One without a weight gets the rest; with another priority it needs none of theirs.",
        param="weight",
        code="weights_do_not_add_up",
    )


def _apply_version(link: PromptLink, placing: Placing) -> None:
    number, label = placing.get("version"), placing.get("label") or None
    if number is not None and label is not None:
        raise _invalid("label", "either a version or a label")
    if number is not None:
        link.version, link.label = link.prompt.versions.filter(number=number).first(), ""
        if link.version is None:
            raise _unknown_version(link.prompt, number)
    elif label is not None:
        if not link.prompt.labels.filter(name=label).exists():
            raise _unknown_label(link.prompt, label)
        link.version, link.label = None, label
    else:  # what is said to be nothing is nothing; what is not said stays
        link.version = None if "version" in placing else link.version
        link.label = "" if "label" in placing else link.label


def _assistant_to_change(principal: Principal, assistant_id: str) -> Assistant:
    principal.require(ASSISTANTS_WRITE)
    principal.require(PROMPTS_READ)
    assistant = locked_assistant(principal=principal, assistant_id=assistant_id)
    refuse_archived(assistant)
    return assistant


def _prompt_of(principal: Principal, prompt_id: str) -> Prompt:
    """Of the body: its row is locked, so that it is not deleted meanwhile."""
    try:
        return locked_prompt(principal=principal, prompt_id=prompt_id)
    except ApiError as error:
        raise ApiError(error.message, status=error.status, param="prompt_id", code=error.code) from None


def _named(assistant: Assistant, name: str) -> PromptLink:
    return _only(PromptLink.objects.of(assistant.id).select_related("prompt", "version"), name)


def _only(links: Any, name: str) -> PromptLink:
    found: list[PromptLink] = list(links.filter(Q(pk=name) | Q(prompt_id=name)).order_by("created_at", "id"))
    if not found:
        raise not_found("prompt of the assistant", name)
    if len(found) > 1:
        raise ApiError(
            f"The assistant has the prompt '{name[:SHOWN_ID]}' {len(found)} times. Say which one by the id of the "
            f"link: {', '.join(link.id for link in found[:NAMED])}.",
            status=HTTPStatus.CONFLICT,
            param="prompt_id",
            code="ambiguous_prompt",
        )
    return found[0]


def _record(principal: Principal, action: str, assistant: Assistant, link: PromptLink, **details: Any) -> None:
    assistant.save(update_fields=["updated_at"])
    audit.record(principal, action, assistant, link=link.id, prompt=link.prompt_id, kind=link.kind, **details)


def _use(link: PromptLink, is_seen: bool) -> Use:
    return Use(
        assistant_id=link.assistant_id if is_seen else None,
        assistant_name=str(link.assistant) if is_seen else UNNAMED,
        link_id=link.id if is_seen else None,
        kind=link.kind,
        label=link.label,
        version=link.version.number if link.version is not None else None,
        is_enabled=link.is_enabled,
    )


def _whole(param: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _invalid(param, f"a whole number from {least} to {most}")
    return value


def _unknown_version(prompt: Prompt, number: int) -> ApiError:
    return ApiError(f"The prompt '{prompt.name}' has no version {number}.", param="version", code="unknown_version")


def _unknown_label(prompt: Prompt, label: str) -> ApiError:
    shown = label[:SHOWN_ID]
    return ApiError(
        f"No version of the prompt '{prompt.name}' has the label '{shown}'.", param="label", code="unknown_label"
    )


def _invalid(param: str, expected: str) -> ApiError:
    return ApiError(f"Invalid '{param}': expected {expected}.", param=param, code="invalid_value")
