"""Threads and messages as the contract's objects."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from threads.models import Message, Thread


def unix(instant: datetime | None) -> int | None:
    return None if instant is None else int(instant.timestamp())


def render_thread(thread: Thread) -> dict[str, Any]:
    return {
        "id": thread.id,
        "object": "thread",
        "created_at": unix(thread.created_at),
        "metadata": thread.metadata,
        "tool_resources": thread.tool_resources,
    }


def render_message(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "object": "thread.message",
        "created_at": unix(message.created_at),
        "assistant_id": message.assistant_id,
        "thread_id": message.thread_id,
        "run_id": message.run_id,
        "status": message.status,
        "incomplete_details": message.incomplete_details,
        "completed_at": unix(message.completed_at),
        "incomplete_at": unix(message.incomplete_at),
        "role": message.role,
        "content": message.content,
        "attachments": message.attachments,
        "metadata": message.metadata,
    }
