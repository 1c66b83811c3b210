"""Versions of a prompt: each stays as it was made, and is known by its number or by a label."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from assistants.prompts.models import Prompt, PromptVersion
from assistants.prompts.services.prompts import get_prompt, locked_prompt, newest_of
from assistants.prompts.services.wording import checked_version
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import PROMPTS_WRITE
from sovereign.core.database import service
from sovereign.core.errors import ApiError, not_found

MAXIMUM_VERSIONS = 10_000  # of a prompt
LONGEST_NUMBER = 9  # digits


def get_version(*, principal: Principal, prompt_id: str, version: str) -> PromptVersion:
    """
    :param version: a number, an id, the name of a label, or ``newest``.
    :raises ApiError: 404.
    """
    return find_version(get_prompt(principal=principal, prompt_id=prompt_id), version)


def find_version(prompt: Prompt, version: str) -> PromptVersion:
    """As ``get_version``, of a prompt that is at hand."""
    if version == "newest":
        return newest_of(prompt)
    rows = prompt.versions.select_related("prompt")
    is_number = version.isascii() and version.isdigit() and len(version) <= LONGEST_NUMBER
    found: PromptVersion | None = (
        rows.filter(number=int(version)).first()
        if is_number
        else rows.filter(pk=version).first() or rows.filter(labels__name=version).first()
    )
    if found is None:
        raise not_found(f"version of the prompt '{prompt.name}'", version)
    return found


@service
def add_version(
    *,
    principal: Principal,
    prompt_id: str,
    template: str | None = None,
    variables: list[dict[str, Any]] | None = None,
    notes: str = "",
    expected_version: int | None = None,
    based_on: str | None = None,
) -> PromptVersion:
    """A new version, from now on the newest; labels stay where they are.

    :param template: ``None`` as well as for ``variables``: as the version had it that this one is based on.
    :param expected_version: the number that the newest has, where it has been looked at.
    :param based_on: the version that it was made of, as for ``get_version``; ``None`` for the newest.
    :raises ApiError: 409 ``version_conflict``, somebody else was faster; 400 ``nothing_changed``, or as
        ``create_prompt``.
    """
    principal.require(PROMPTS_WRITE)
    prompt = locked_prompt(principal=principal, prompt_id=prompt_id)
    newest = newest_of(prompt)
    if expected_version is not None and expected_version != newest.number:
        raise _conflict(expected_version, newest.number)
    parent = newest if based_on is None else find_version(prompt, based_on)
    content = checked_version(
        parent.template if template is None else template,
        parent.variables if variables is None else variables,
        notes,
    )
    if (content["template"], content["variables"]) == (newest.template, newest.variables):
        raise ApiError(f"Version {newest.number} says the same already.", param="template", code="nothing_changed")
    if newest.number >= MAXIMUM_VERSIONS:
        raise ApiError(f"A prompt has at most {MAXIMUM_VERSIONS:,} versions.", code="too_many_versions")
    version: PromptVersion = prompt.versions.create(
        number=newest.number + 1,
        parent=parent,
        created_by_user=principal.user_id,
        created_by_key=principal.key_id,
        **content,
    )
    prompt.save(update_fields=["updated_at"])
    audit.record(principal, "prompt.version_added", prompt, name=prompt.name, number=version.number)
    return version


def _conflict(expected: int, newest: int) -> ApiError:
    return ApiError(
        f"Version {expected} is not the newest any more: that is {newest} by now. Look at it and send yours again.",
        status=HTTPStatus.CONFLICT,
        param="expected_version",
        code="version_conflict",
    )
