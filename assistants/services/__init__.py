"""The only door for changing assistants; the API, the admin and commands all come through here."""

from assistants.services.assistants import (
    DEFAULTS,
    add_knowledge,
    create_assistant,
    delete_assistant,
    get_assistant,
    locked_assistant,
    named_assistant,
    names_using,
    update_assistant,
)
from assistants.services.cloning import Lineage, clone_assistant, get_template, lineage, start_from_template
from assistants.services.lifecycle import (
    TRANSITIONS,
    change_assistant,
    make_assistant,
    may_hide,
)
from assistants.services.uses import tell_use

__all__ = [
    "DEFAULTS",
    "TRANSITIONS",
    "Lineage",
    "add_knowledge",
    "change_assistant",
    "clone_assistant",
    "create_assistant",
    "delete_assistant",
    "get_assistant",
    "get_template",
    "lineage",
    "locked_assistant",
    "make_assistant",
    "may_hide",
    "named_assistant",
    "names_using",
    "start_from_template",
    "tell_use",
    "update_assistant",
]
