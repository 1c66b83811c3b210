"""Labels: names such as ``production`` that move from one version of a prompt to another."""

from __future__ import annotations

import re

from assistants.prompts.models import LABEL_LENGTH, PromptLabel
from assistants.prompts.services.prompts import locked_prompt
from assistants.prompts.services.uses import refuse_label_used
from assistants.prompts.services.versions import find_version
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import PROMPTS_WRITE
from sovereign.core.database import service
from sovereign.core.errors import ApiError, not_found

MAXIMUM_LABELS = 32  # of a prompt
LABEL = re.compile(rf"[a-z][a-z0-9_.-]{{0,{LABEL_LENGTH - 1}}}")
RESERVED = ("newest", "latest", "draft")  # what is meant where no label is named


@service
def move_label(*, principal: Principal, prompt_id: str, name: str, version: str) -> PromptLabel:
    """Have a label point to a version, whether it is new or pointed to another one.

    :param version: as for ``get_version``.
    :raises ApiError: 404 for the prompt or the version; 400, no name of a label, or too many of them.
    """
    principal.require(PROMPTS_WRITE)
    prompt = locked_prompt(principal=principal, prompt_id=prompt_id)
    if not LABEL.fullmatch(name) or name in RESERVED or name.startswith("promptv_"):
        raise ApiError(
            f"Invalid 'name': a label has 1 to {LABEL_LENGTH} small letters, digits, '_', '.' and '-', the first of "
            f"them a letter; {', '.join(RESERVED)} are none.",
            param="name",
            code="invalid_value",
        )
    target = find_version(prompt, version)
    label = prompt.labels.select_related("version").filter(name=name).first()
    before = label.version.number if label is not None else None
    if label is None:
        if prompt.labels.count() >= MAXIMUM_LABELS:
            raise ApiError(f"A prompt has at most {MAXIMUM_LABELS} labels.", param="name", code="too_many_labels")
        label = PromptLabel(prompt=prompt, name=name)
    label.version = target
    label.moved_by_user, label.moved_by_key = principal.user_id, principal.key_id
    label.save()
    details = {"label": name, "before": before, "after": target.number}
    audit.record(principal, "prompt.label_moved", prompt, name=prompt.name, **details)
    return label


@service
def remove_label(*, principal: Principal, prompt_id: str, name: str) -> None:
    """:raises ApiError: 404; 400 ``in_use``, an assistant uses whatever has the label."""
    principal.require(PROMPTS_WRITE)
    prompt = locked_prompt(principal=principal, prompt_id=prompt_id)
    label = prompt.labels.select_related("version").filter(name=name).first()
    if label is None:
        raise not_found(f"label of the prompt '{prompt.name}'", name)
    refuse_label_used(principal, prompt, name)
    details = {"label": name, "before": label.version.number}
    audit.record(principal, "prompt.label_removed", prompt, name=prompt.name, **details)
    label.delete()
