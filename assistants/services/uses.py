"""Use of an assistant elsewhere, as applications tell it: it counts for popularity, and for nothing that costs."""

from __future__ import annotations

from assistants.models import ExternalUse
from assistants.services.assistants import get_assistant
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_WRITE
from sovereign.core.database import service

MOST_AT_ONCE = 1_000_000


@service
def tell_use(*, principal: Principal, assistant_id: str, count: int = 1, source: str = "") -> ExternalUse:
    """Note that an assistant was used ``count`` times by something that is not this server.

    :param source: what used it, in the application's words.
    :raises ApiError: 404, 403.
    """
    principal.require(ASSISTANTS_WRITE)
    assistant = get_assistant(principal=principal, assistant_id=assistant_id)
    use = ExternalUse.objects.create(
        project_id=principal.project_id,
        assistant=assistant,
        count=count,
        source=source,
        told_by_user=principal.user_id,
        told_by_key=principal.key_id,
    )
    audit.record(principal, "assistant.used_elsewhere", assistant, count=count, source=source)
    return use
