"""The tools that are carried out here and not by the application: one file each, by the contract's types.

A run's own are in its :class:`runs.tools.toolbox.Toolbox`.
"""

from __future__ import annotations

from runs.tools.base import ServerTool
from runs.tools.file_search import FileSearch

REGISTRY: dict[str, type[ServerTool]] = {tool.type: tool for tool in (FileSearch,)}
