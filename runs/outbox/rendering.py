"""What a person is told of what they have waiting."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from runs.outbox.models import QueuedMessage
from threads.rendering import unix

BRIEF = ("id", "thread_id", "user_id", "preview", "assistant_id", "hold", "problem", "updated_at")


def render(message: QueuedMessage) -> dict[str, Any]:
    """All of it, to be changed."""
    return {
        "id": message.id,
        "content": message.content,
        "attachments": message.attachments,
        "preview": message.preview,
        "assistant_id": message.assistant_id,
        "environment": message.environment,
        "hold": message.hold,
        "problem": message.problem,
        "created_at": unix(message.created_at),
        "version": _version(message),
    }


def queues_of(thread_ids: Collection[str]) -> dict[str, dict[int, list[dict[str, Any]]]]:
    """What waits on threads, by person: how each message begins, and what keeps it."""
    told: dict[str, dict[int, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    waiting = QueuedMessage.objects.filter(thread__pk__any_of=list(thread_ids)).only(*BRIEF)
    for message in waiting.order_by("thread_id", "position", "id"):
        told[message.thread_id][message.user_id].append(
            {
                "id": message.id,
                "preview": message.preview,
                "assistant_id": message.assistant_id,
                "hold": message.hold,
                "problem": message.problem,
                "version": _version(message),
            }
        )
    return told


def _version(message: QueuedMessage) -> int:
    """Another one after every change: microseconds."""
    return int(message.updated_at.timestamp() * 1_000_000)
