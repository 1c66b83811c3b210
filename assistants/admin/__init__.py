"""The analyst's pages of assistants."""

from assistants.admin import assistants

__all__ = ["assistants"]
