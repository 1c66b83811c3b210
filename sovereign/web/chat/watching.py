"""How a thread stands now, for a page that no WebSocket tells."""

from __future__ import annotations

from typing import Any

from runs.streaming.watcher import look_at
from sovereign.web.chat.answers import Asked, json_page


@json_page("GET")
def watch(asked: Asked, thread_id: str) -> Any:
    """``{"thread": …}`` as the socket of one of the person's own threads tells it."""
    thread = asked.own_thread(thread_id)
    return {"thread": look_at([thread.id])[thread.id].to(asked.principal.user_id)}
