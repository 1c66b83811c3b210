"""Prompts themselves: what they are called and are for. What they say is in their versions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypedDict, Unpack

from django.db import IntegrityError, transaction

from assistants.kinds import AssistantType
from assistants.prompts.models import DESCRIPTION_LENGTH, LANGUAGE_LENGTH, NAME_LENGTH, Prompt, PromptVersion
from assistants.prompts.services.uses import refuse_used
from assistants.prompts.services.wording import checked_version
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import PROMPTS_WRITE
from sovereign.core.api.validation import NOT_TEXT
from sovereign.core.database import service, visible_row
from sovereign.core.errors import ApiError, not_found

MAXIMUM_PROMPTS = 10_000  # of a project
MAXIMUM_TAGS = 32
TAG_LENGTH = 64
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
FIELDS = ("name", "description", "type", "language", "tags")


class Described(TypedDict, total=False):
    """What is said of a prompt; see :class:`assistants.prompts.models.Prompt`."""

    name: str
    description: str
    type: str
    language: str
    tags: list[str]


def get_prompt(*, principal: Principal, prompt_id: str) -> Prompt:
    """:raises ApiError: 404, for an unknown prompt and for another project's alike."""
    return _found(visible_row(Prompt, principal, prompt_id), prompt_id)


def locked_prompt(*, principal: Principal, prompt_id: str) -> Prompt:
    """The same, its row locked until the transaction's end: what changes a prompt, or comes to use it, begins so."""
    return _found(visible_row(Prompt, principal, prompt_id, lock=True), prompt_id)


def newest_of(prompt: Prompt) -> PromptVersion:
    """The newest version; every prompt has one."""
    newest: PromptVersion = prompt.versions.order_by("-number")[0]
    return newest


@service
def create_prompt(
    *,
    principal: Principal,
    template: str,
    variables: Sequence[dict[str, Any]] = (),
    notes: str = "",
    **described: Unpack[Described],
) -> Prompt:
    """A prompt with its first version.

    :raises ApiError: 400, ``param`` names the field that is wrong; see ``template.check`` and ``variables.checked``.
    """
    principal.require(PROMPTS_WRITE)
    if Prompt.objects.visible_to(principal).count() >= MAXIMUM_PROMPTS:
        raise ApiError(f"A project has at most {MAXIMUM_PROMPTS:,} prompts.", code="too_many_prompts")
    maker = {"created_by_user": principal.user_id, "created_by_key": principal.key_id}
    prompt = Prompt(project_id=principal.project_id, **maker)
    apply_description(prompt, **described)
    content = checked_version(template, list(variables), notes)
    _save(prompt)
    PromptVersion.objects.create(prompt=prompt, number=1, **content, **maker)
    audit.record(principal, "prompt.created", prompt, name=prompt.name)
    return prompt


@service
def update_prompt(*, principal: Principal, prompt_id: str, **described: Unpack[Described]) -> Prompt:
    """Change what is given, and none of its versions. Raises like ``create_prompt``."""
    principal.require(PROMPTS_WRITE)
    prompt = locked_prompt(principal=principal, prompt_id=prompt_id)
    apply_description(prompt, **described)
    _save(prompt)
    audit.record(principal, "prompt.updated", prompt, name=prompt.name, fields=sorted(described))
    return prompt


@service
def delete_prompt(*, principal: Principal, prompt_id: str) -> None:
    """Delete a prompt with its versions. What was made with them keeps their words.

    :raises ApiError: 400 ``in_use``, an assistant has it.
    """
    principal.require(PROMPTS_WRITE)
    prompt = locked_prompt(principal=principal, prompt_id=prompt_id)
    refuse_used(principal, prompt)
    audit.record(principal, "prompt.deleted", prompt, name=prompt.name)
    prompt.delete()


def apply_description(prompt: Prompt, **described: Unpack[Described]) -> None:
    """Set the fields of a row and check all of them, without saving it.

    :raises ApiError: ``param`` names the field that is wrong.
    """
    for field in FIELDS:
        if field in described:
            setattr(prompt, field, described[field])  # type: ignore[literal-required]
    prompt.name = _text(prompt.name, "name", NAME_LENGTH)
    if not prompt.name:
        raise _wrong("name", f"a text of 1 to {NAME_LENGTH} characters.")
    prompt.description = _text(prompt.description, "description", DESCRIPTION_LENGTH)
    if prompt.type not in AssistantType.values:
        raise _wrong("type", f"one of {', '.join(AssistantType.values)}.")
    prompt.language = _text(prompt.language, "language", LANGUAGE_LENGTH)
    if prompt.language and not LANGUAGE.fullmatch(prompt.language):
        raise _wrong("language", "a language's code, such as en or pt-BR.")
    prompt.tags = _tags(prompt.tags)


def _tags(tags: Any) -> list[str]:
    if not isinstance(tags, list):
        raise _wrong("tags", "a list of texts.")
    trimmed = [_text(tag, f"tags[{place}]", TAG_LENGTH) for place, tag in enumerate(tags)]
    kept = [tag for tag in dict.fromkeys(trimmed) if tag]
    if len(kept) > MAXIMUM_TAGS:
        raise _wrong("tags", f"at most {MAXIMUM_TAGS} tags.")
    return kept


def _text(value: Any, param: str, length: int) -> str:
    if value is None:
        return ""
    text = value.strip() if isinstance(value, str) else None
    if text is None or len(text) > length or NOT_TEXT.search(text):
        raise _wrong(param, f"a text of at most {length} characters.")
    return text


def _save(prompt: Prompt) -> None:
    try:
        with transaction.atomic():
            prompt.save()
    except IntegrityError:
        raise ApiError(f"There is a prompt '{prompt.name}' already.", param="name", code="name_taken") from None


def _found(prompt: Prompt | None, prompt_id: str) -> Prompt:
    if prompt is None:
        raise not_found("prompt", prompt_id)
    return prompt


def _wrong(param: str, expected: str) -> ApiError:
    return ApiError(f"Invalid '{param}': {expected}", param=param, code="invalid_value")
