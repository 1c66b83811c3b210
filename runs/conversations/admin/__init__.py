"""Conversations in the admin: each by itself, and those of an assistant as they go on."""

from runs.conversations.admin import conversations

__all__ = ["conversations"]
