"""Sharing a conversation read-only: what its owner's page asks for."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.urls import reverse

from sovereign.web.chat.answers import Asked, json_page
from threads.links import secrets, services
from threads.links.models import SharedLink
from threads.rendering import unix


@json_page("GET", "POST")
def links(asked: Asked, thread_id: str) -> dict[str, Any]:
    """The links that open the thread, the newest first. ``POST`` makes one, of what is said by now."""
    thread = asked.own_thread(thread_id)
    if asked.is_read:
        found = services.links_of(principal=asked.principal, thread=thread)
        return {"data": [_told(link) for link in found]}
    return {"data": _told(services.share(principal=asked.principal, thread_id=thread.pk))}


@json_page("DELETE")
def link(asked: Asked, thread_id: str, link_id: str) -> None:
    """Revoke it."""
    services.revoke(principal=asked.principal, thread_id=asked.own_thread(thread_id).pk, link_id=link_id)


def _told(link: SharedLink) -> dict[str, Any]:
    """``address`` is ``None`` where it cannot be shown again."""
    secret = secrets.shown(link.pk, link.digest)
    address = f"{settings.SOVEREIGN.base_url}{reverse('shared', args=[secret])}" if secret else None
    return {
        "id": link.pk,
        "address": address,
        "created_at": unix(link.created_at),
        "last_used": unix(link.last_used),
    }
