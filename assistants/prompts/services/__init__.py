"""Every change of the library of prompts, and what is asked of it."""

from assistants.prompts.services.differences import Difference, difference
from assistants.prompts.services.labels import move_label, remove_label
from assistants.prompts.services.previews import Preview, preview
from assistants.prompts.services.prompts import (
    create_prompt,
    delete_prompt,
    get_prompt,
    locked_prompt,
    newest_of,
    update_prompt,
)
from assistants.prompts.services.uses import Use, uses_of
from assistants.prompts.services.versions import add_version, find_version, get_version

__all__ = [
    "Difference",
    "Preview",
    "Use",
    "add_version",
    "create_prompt",
    "delete_prompt",
    "difference",
    "find_version",
    "get_prompt",
    "get_version",
    "locked_prompt",
    "move_label",
    "newest_of",
    "preview",
    "remove_label",
    "update_prompt",
    "uses_of",
]
