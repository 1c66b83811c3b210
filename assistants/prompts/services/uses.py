"""Who uses a prompt: what is used is not deleted, and a label that is meant is not taken away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from assistants.prompts.models import Prompt
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError

NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """
    :ivar assistant_id: ``None`` where the principal may not see the assistant.
    :ivar version: the number of the version that is meant whatever the newest is; ``None`` with a label or neither.
    """

    assistant_id: str | None
    assistant_name: str
    link_id: str | None
    kind: str
    label: str = ""
    version: int | None = None
    is_enabled: bool = True


#: Every use of a prompt of the principal's project, by the prompt's id. Filled by the rooms above.
finders: list[Callable[[Principal, str], list[Use]]] = []


def uses_of(principal: Principal, prompt: Prompt) -> list[Use]:
    return [use for find in finders for use in find(principal, prompt.id)]


def refuse_used(principal: Principal, prompt: Prompt) -> None:
    """:raises ApiError: 400 ``in_use``, somebody uses it; some of them are named."""
    _refuse(f"The prompt '{prompt.name}'", uses_of(principal, prompt))


def refuse_label_used(principal: Principal, prompt: Prompt, label: str) -> None:
    """As ``refuse_used``, for those that use the version which has a label."""
    meant = [use for use in uses_of(principal, prompt) if use.label == label]
    _refuse(f"The label '{label}' of '{prompt.name}'", meant)


def _refuse(what: str, uses: list[Use]) -> None:
    if not uses:
        return
    names = list(dict.fromkeys(use.assistant_name for use in uses))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    raise ApiError(f"{what} is used by {', '.join(names[:NAMED])}{more}. Take it away from them first.", code="in_use")
