"""One-use tickets for WebSockets: a browser cannot send a header there, and a key does not belong in a URL."""

from __future__ import annotations

from datetime import timedelta

from sovereign.accounts import tokens
from sovereign.accounts.models import WebSocketTicket
from sovereign.accounts.principals import Principal
from sovereign.core.database import now, service

TICKET_LIFETIME = timedelta(seconds=30)
KEPT = timedelta(hours=1)  # spent tickets, for whoever looks into an incident


@service
def issue_ticket(*, principal: Principal) -> tuple[WebSocketTicket, str]:
    """A ticket with exactly the principal's rights, and its text; the row has only a digest."""
    moment = now()
    WebSocketTicket.objects.filter(expires_at__lt=moment - KEPT).delete()
    text = tokens.new_ticket()
    ticket = WebSocketTicket.objects.create(
        digest=tokens.digest_of(text),
        project_id=principal.project_id,
        user_id=principal.user_id,
        key_id=principal.key_id,
        secret=principal.secret,
        role=principal.role,
        scopes=sorted(principal.scopes),
        environment=principal.environment,
        expires_at=moment + TICKET_LIFETIME,
    )
    return ticket, text


@service
def redeem_ticket(text: str) -> Principal | None:
    """Use a ticket up; ``None`` if it is unknown, used or too old. Of two that come at once one wins."""
    moment = now()
    digest = tokens.digest_of(text)
    unused = WebSocketTicket.objects.filter(digest=digest, used_at=None, expires_at__gt=moment)
    if not unused.update(used_at=moment):
        return None
    ticket = WebSocketTicket.objects.get(digest=digest)
    return Principal(
        project_id=ticket.project_id,
        user_id=ticket.user_id,
        key_id=ticket.key_id,
        secret=ticket.secret,
        role=ticket.role,
        scopes=frozenset(ticket.scopes),
        environment=ticket.environment,
    )
