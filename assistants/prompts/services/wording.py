"""What a version says, checked before it is kept: no run meets a template that cannot be read."""

from __future__ import annotations

from typing import Any

from assistants.prompts import template as language
from assistants.prompts import variables as declarations
from assistants.prompts.models import NOTES_LENGTH
from sovereign.core.api.validation import NOT_TEXT
from sovereign.core.errors import ApiError


def checked_version(template: str, variables: Any, notes: str) -> dict[str, Any]:
    """The columns of a version, its variables in their normal form.

    :raises ApiError: 400, ``invalid_template``, ``unknown_variable``, ``invalid_variable``, ``invalid_value``.
    """
    if not isinstance(template, str) or not template.strip():
        raise ApiError("Invalid 'template': a prompt has to say something.", param="template", code="invalid_template")
    declared = declarations.checked(variables)
    language.check(template, declared)
    notes = notes.strip()
    if len(notes) > NOTES_LENGTH or NOT_TEXT.search(notes):
        raise ApiError(
            f"Invalid 'notes': a text of at most {NOTES_LENGTH:,} characters.", param="notes", code="invalid_value"
        )
    return {"template": template, "variables": declared, "notes": notes}
