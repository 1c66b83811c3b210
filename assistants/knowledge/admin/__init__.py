"""The analyst's pages of files and vector stores."""

from assistants.knowledge.admin import files, stores

__all__ = ["files", "stores"]
