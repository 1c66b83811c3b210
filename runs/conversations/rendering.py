"""Conversations as objects of the API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Sum

from runs.conversations.models import Compression, Conversation
from runs.conversations.view import ContextView, view_of
from runs.models import Run
from sovereign.core.database import now
from threads.models import ThreadSummary
from threads.rendering import unix

ACTIVE, ENDED = "active", "ended"
#: What is done until there is a summary, by what is cut now.
MEANWHILE: dict[str | None, str] = {
    None: "",
    Compression.PRUNING.value: " Until it is, messages without room are left out.",
    Compression.SUMMARY.value: " Until it is, the summary before it is used.",
}


@dataclass(frozen=True, slots=True)
class Spent:
    """What the runs of a conversation have used so far."""

    runs: int = 0
    prompt: int = 0
    completion: int = 0

    def as_tokens(self) -> dict[str, int]:
        return {"prompt": self.prompt, "completion": self.completion, "total": self.prompt + self.completion}


def spent_by(conversations: Sequence[Conversation]) -> dict[str, Spent]:
    """By threads; one query."""
    rows = Run.objects.filter(thread_id__in=[conversation.thread_id for conversation in conversations])
    sums = (
        rows.order_by().values_list("thread_id").annotate(Count("id"), Sum("prompt_tokens"), Sum("completion_tokens"))
    )
    return {thread_id: Spent(*counts) for thread_id, *counts in sums}


def render_conversation(conversation: Conversation) -> dict[str, Any]:
    """One with what its model sees of it."""
    spent = spent_by([conversation]).get(conversation.thread_id, Spent())
    rendered = _rendered(conversation, spent)
    return {**rendered, "context": {**rendered["context"], **_render_view(view_of(conversation))}}


def render_listed(conversations: list[Conversation]) -> list[dict[str, Any]]:
    """A page of them, with their threads. What a model sees of each would take queries for each."""
    spent = spent_by(conversations)
    return [_rendered(conversation, spent.get(conversation.thread_id, Spent())) for conversation in conversations]


def _rendered(conversation: Conversation, spent: Spent) -> dict[str, Any]:
    return {
        "id": conversation.id,
        "object": "conversation",
        "created_at": unix(conversation.created_at),
        "last_activity_at": unix(conversation.last_activity_at),
        "ended_at": unix(conversation.ended_at),
        "end_reason": conversation.end_reason or None,
        "status": ENDED if conversation.is_over else ACTIVE,
        "thread_id": conversation.thread_id,
        "assistant_id": conversation.assistant_id,
        "title": conversation.thread.title or None,
        "metadata": conversation.thread.metadata,
        "variables": conversation.variables,
        "tokens": spent.as_tokens(),
        "satisfaction": render_satisfaction(conversation),
        "context": {"compression": conversation.compression, "window_tokens": conversation.window_tokens},
    }


def _render_view(view: ContextView) -> dict[str, Any]:
    return {
        "messages": view.messages,
        "opening": view.opening,
        "shown_from": view.shown_from,
        "cut": view.cut,
        "summarised_messages": view.summarised,
        "left_out_messages": view.left_out,
        "tokens_estimated": view.tokens,
    }


def render_satisfaction(conversation: Conversation) -> dict[str, Any] | None:
    if conversation.rated_at is None:
        return None
    return {
        "thumb": conversation.thumb or None,
        "score": conversation.score,
        "comment": conversation.comment or None,
        "rated_at": unix(conversation.rated_at),
    }


def render_summary(conversation: Conversation) -> dict[str, Any]:
    """What came of it so far, and what its model sees."""
    view = view_of(conversation)
    spent = spent_by([conversation]).get(conversation.thread_id, Spent())
    until = conversation.ended_at or now()
    rendered = _rendered(conversation, spent)
    newest = ThreadSummary.objects.filter(thread_id=conversation.thread_id).order_by("-up_to").first()
    return {
        **{name: rendered[name] for name in ("id", "created_at", "status", "tokens", "variables", "satisfaction")},
        "object": "conversation.summary",
        "messages": view.messages,
        "runs": spent.runs,
        "duration": max(0, int((until - conversation.created_at).total_seconds())),
        "context": {**rendered["context"], **_render_view(view)},
        "text": newest.text if newest else None,
        "text_created_at": unix(newest.created_at) if newest else None,
        "summary_error": _told(conversation, view),
    }


def _told(conversation: Conversation, view: ContextView) -> str | None:
    """Why the last summary was not made, as long as one is wanted."""
    if not conversation.summary_error or conversation.compression != Compression.SUMMARY:
        return None
    meanwhile = "" if conversation.is_over else MEANWHILE[view.cut]
    return f"The last summary could not be made: {conversation.summary_error}{meanwhile}"
