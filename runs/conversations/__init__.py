"""Conversations: an assistant, a thread and variables, that are talked to one message at a time."""
