"""The tools that are carried out here and not by the application: one file each, by the contract's types.

A run's own are in its :class:`runs.tools.toolbox.Toolbox`.
"""

from __future__ import annotations

from functools import cache
from typing import cast

from django.utils.module_loading import import_string

from runs.tools.base import ServerTool

#: type → dotted path
REGISTRY = {
    "file_search": "runs.tools.file_search.FileSearch",
}


@cache
def tool_of(kind: str) -> type[ServerTool]:
    """:raises KeyError: no tool of this type is carried out here."""
    return cast(type[ServerTool], import_string(REGISTRY[kind]))
