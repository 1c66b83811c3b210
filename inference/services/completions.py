"""Chat completions that are kept because whoever asked wanted that."""

from __future__ import annotations

from typing import Any

from inference.models import StoredCompletion
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import CHAT_WRITE
from sovereign.core.database import service, visible_row
from sovereign.core.errors import not_found

KIND = "chat completion"
MOST_KEPT = 10_000  # of one project
AT_ONCE = 100  # are forgotten


@service
def store_completion(*, principal: Principal, body: dict[str, Any], answer: dict[str, Any]) -> StoredCompletion:
    """Keep a chat and its answer; where a project has too many, its oldest are forgotten.

    :param body: the request as it was checked.
    :param answer: the ``chat.completion``; its id becomes the row's.
    """
    principal.require(CHAT_WRITE)
    request = {name: value for name, value in body.items() if name not in ("messages", "metadata")}
    completion: StoredCompletion = StoredCompletion.objects.create(
        id=answer["id"],
        project_id=principal.project_id,
        model=answer["model"],
        metadata=body.get("metadata") or {},
        request=request,
        messages=body["messages"],
        answer=answer,
    )
    newest_first = StoredCompletion.objects.visible_to(principal).order_by("-created_at", "-id")
    too_many = list(newest_first.values_list("pk", flat=True)[MOST_KEPT : MOST_KEPT + AT_ONCE])
    if too_many:
        StoredCompletion.objects.filter(pk__in=too_many).delete()
    return completion


def get_completion(*, principal: Principal, completion_id: str, lock: bool = False) -> StoredCompletion:
    """:raises ApiError: 404, for an unknown one and for another project's alike."""
    completion = visible_row(StoredCompletion, principal, completion_id, lock=lock)
    if completion is None:
        raise not_found(KIND, completion_id)
    return completion


@service
def update_completion(*, principal: Principal, completion_id: str, metadata: dict[str, str] | None) -> StoredCompletion:
    """Replace what the client noted about it; nothing else of it can change."""
    principal.require(CHAT_WRITE)
    completion = get_completion(principal=principal, completion_id=completion_id, lock=True)
    completion.metadata = metadata or {}
    completion.save(update_fields=["metadata"])
    audit.record(principal, "chat_completion.updated", completion)
    return completion


@service
def delete_completion(*, principal: Principal, completion_id: str) -> None:
    principal.require(CHAT_WRITE)
    completion = get_completion(principal=principal, completion_id=completion_id)
    audit.record(principal, "chat_completion.deleted", completion)
    completion.delete()
