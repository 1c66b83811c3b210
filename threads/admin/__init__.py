"""Threads in the admin: to be read, searched, taken along, redacted and deleted."""

from threads.admin import threads

__all__ = ["threads"]
