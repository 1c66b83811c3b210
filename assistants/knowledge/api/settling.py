"""Answers about files that were put into a store a moment ago: they wait until the files are done, for a moment.

Most files are done in less time than a client takes to be told ``in_progress``, to pause and to ask again. No thread is
held meanwhile, nobody waits where nobody works, and a client that asks without pause gets fewer answers, not more work.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.response import Response

from assistants.knowledge.ingestion import presence
from assistants.knowledge.models import IngestionStatus
from inference.api.answering import json_response
from sovereign.accounts.principals import Principal
from sovereign.core import bus
from sovereign.core.api.polling import POLL_AFTER_MS
from sovereign.core.asgi import LaterResponse
from sovereign.core.database import in_database

YOUNG = 2.0  # seconds since a file, or a batch, was put there
PATIENCE = POLL_AFTER_MS / 1_000  # seconds that an answer waits: no longer than who is not done is told to pause
LOOK = 0.05  # seconds; wake-ups may be lost
AT_ONCE = 16  # answers of a process that wait; the others are given as they are

_places = threading.BoundedSemaphore(AT_ONCE)


def when_settled(store_id: str, principal: Principal, answer: Callable[[], Response]) -> HttpResponseBase:
    """The answer, or a later one where that may say more.

    :param answer: about files of the store, or a batch of them; it may be made again.
    """
    response = answer()
    if not _is_moving(response.data) or not presence.is_at_work_on(store_id):
        return response
    return LaterResponse(partial(_later, principal.project_id, response, answer))


async def _later(project_id: str, response: Response, answer: Callable[[], Response]) -> HttpResponse:
    if _places.acquire(blocking=False):
        try:
            response = await _settled(project_id, answer)
        finally:
            _places.release()
    final = json_response(response.data)
    for name in response.headers.keys() - final.headers.keys():
        final[name] = response[name]
    return final


async def _settled(project_id: str, answer: Callable[[], Response]) -> Response:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    with _woken_by(project_id) as woken:
        while True:
            woken.clear()
            response = await in_database(answer)
            rest = deadline - loop.time()
            if rest <= 0 or not _is_moving(response.data):
                return response
            await bus.signalled(woken, min(rest, LOOK))


@contextmanager
def _woken_by(project_id: str) -> Iterator[asyncio.Event]:
    """Set whenever a file of the project is done, as far as one is told."""
    woken = asyncio.Event()
    unsubscribe = bus.subscribe(bus.FILES_SETTLED, lambda told: woken.set() if told["project"] == project_id else None)
    try:
        yield woken
    finally:
        unsubscribe()


def _is_moving(shown: dict[str, Any]) -> bool:
    """Whether anything of it was put there a moment ago and is not done."""
    entries = shown["data"] if shown["object"] == "list" else [shown]
    young = timezone.now().timestamp() - YOUNG
    return any(entry["status"] == IngestionStatus.IN_PROGRESS and entry["created_at"] > young for entry in entries)
