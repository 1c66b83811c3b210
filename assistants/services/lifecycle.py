"""The life of an assistant: what our own API and the admin may do to it, which ``/v1`` neither knows nor is held to."""

from __future__ import annotations

from typing import Any

from assistants.models import Assistant, LifeStatus
from assistants.services import serving, traits
from assistants.services.archived import refuse_archived
from assistants.services.assistants import create_assistant, locked_assistant, update_assistant
from sovereign.accounts import audit
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_PROMOTE, ASSISTANTS_WRITE
from sovereign.core import errors
from sovereign.core.database import service

#: What may follow each status: the one table of it.
TRANSITIONS: dict[str, tuple[str, ...]] = {
    LifeStatus.DRAFT: (LifeStatus.ACTIVE, LifeStatus.ARCHIVED),
    LifeStatus.ACTIVE: (LifeStatus.INACTIVE, LifeStatus.ARCHIVED),
    LifeStatus.INACTIVE: (LifeStatus.ACTIVE, LifeStatus.ARCHIVED),
    LifeStatus.ARCHIVED: (LifeStatus.DRAFT, LifeStatus.INACTIVE),
}
RESTING = (LifeStatus.INACTIVE, LifeStatus.ARCHIVED)  # runs in environments are refused
MOST_ANCESTORS = 1_000


@service
def make_assistant(*, principal: Principal, **fields: Any) -> Assistant:
    """Make an assistant that may have a status and a parent from the beginning.

    :raises ApiError: like :func:`create_assistant`; 400 ``invalid_status_change``; 404 for an unknown parent.
    """
    if _status_in(fields, LifeStatus.DRAFT) in RESTING:
        raise errors.ApiError(
            "Invalid 'status': a new assistant is 'draft' or 'active'.", param="status", code="invalid_status_change"
        )
    if fields.get("parent_id") is not None:
        _refuse_unfit_parent(principal, None, fields["parent_id"])
    return create_assistant(principal=principal, **fields)


@service
def change_assistant(*, principal: Principal, assistant_id: str, **fields: Any) -> Assistant:
    """Change the given fields, those of its life among them; ``None`` resets one to its default.

    :raises ApiError: like :func:`update_assistant`; 400 ``assistant_archived``, ``invalid_status_change`` or
        ``circular_lineage``; 404 for an unknown parent; 403 for who may not hide it or take it out of service.
    """
    principal.require(ASSISTANTS_WRITE)
    if fields.get("parent_id") is not None:
        _one_lineage_at_a_time(principal)
    assistant = locked_assistant(principal=principal, assistant_id=assistant_id)
    before = assistant.status
    after = _status_in(fields, before)
    if after == before:
        refuse_archived(assistant)
    _refuse_change_of_status(before, after)
    if after in RESTING:
        serving.refuse_to_end(principal, assistant)
    if fields.get("visibility", assistant.visibility) != assistant.visibility and not may_hide(principal, assistant):
        raise errors.forbidden(ASSISTANTS_PROMOTE)
    if fields.get("parent_id") is not None:
        _refuse_unfit_parent(principal, assistant, fields["parent_id"])
    changed = update_assistant(principal=principal, assistant_id=assistant_id, **fields)
    if after != before:
        audit.record(principal, "assistant.status_changed", changed, before=before, after=after)
    return changed


def _status_in(fields: dict[str, Any], otherwise: str) -> str:
    status: str = traits.checked({"status": fields.get("status", otherwise)})["status"]
    return status


def _refuse_change_of_status(before: str, after: str) -> None:
    if after != before and after not in TRANSITIONS[before]:
        allowed = " or ".join(f"'{status}'" for status in TRANSITIONS[before])
        raise errors.ApiError(
            f"Invalid 'status': '{before}' cannot become '{after}', only {allowed}.",
            param="status",
            code="invalid_status_change",
        )


def may_hide(principal: Principal, assistant: Assistant) -> bool:
    """Who sees an assistant is said by who made it, and by administrators."""
    is_theirs = principal.user_id is not None and assistant.created_by_user == principal.user_id
    is_its = principal.key_id is not None and assistant.created_by_key == principal.key_id
    return is_theirs or is_its or principal.allows(ASSISTANTS_PROMOTE)


def _one_lineage_at_a_time(principal: Principal) -> None:
    """Two changes of parents at once could close a circle that neither of them sees."""
    Project.objects.select_for_update(no_key=True).get(pk=principal.project_id)


def _refuse_unfit_parent(principal: Principal, assistant: Assistant | None, parent_id: str) -> None:
    """:raises ApiError: 404, the principal sees no such assistant; 400 ``circular_lineage``."""
    if not Assistant.objects.visible_to(principal).filter(pk=parent_id).exists():
        raise errors.ApiError(
            f"No assistant found with id '{parent_id[: errors.SHOWN_ID]}'.", status=404, param="parent_id"
        )
    if assistant is None:  # nothing was made of it yet
        return
    ancestor: str | None = parent_id
    for _ in range(MOST_ANCESTORS):
        if ancestor == assistant.id:
            break
        ancestor = Assistant.objects.filter(pk=ancestor).values_list("parent_id", flat=True).first()
        if ancestor is None:
            return
    raise errors.ApiError(
        f"Invalid 'parent_id': '{parent_id}' is the assistant itself or was made from it.",
        param="parent_id",
        code="circular_lineage",
    )
