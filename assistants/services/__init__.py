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

__all__ = [
    "DEFAULTS",
    "add_knowledge",
    "create_assistant",
    "delete_assistant",
    "get_assistant",
    "locked_assistant",
    "named_assistant",
    "names_using",
    "update_assistant",
]
