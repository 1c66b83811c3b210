"""The tools that are carried out here and not by the application: one file each.

Those of the contract have a type of their own in steps; of the others clients see calls of functions. A run's own are
in its :class:`runs.tools.toolbox.Toolbox`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from runs.tools import mcp
from runs.tools.base import ServerTool, Surroundings
from runs.tools.calculator import Calculator
from runs.tools.code_interpreter import CodeInterpreter
from runs.tools.current_time import CurrentTime
from runs.tools.fetch import Fetch
from runs.tools.file_search import FileSearch
from runs.tools.functions import FunctionTool
from runs.tools.search_threads import SearchThreads

#: By the type of a tool of the contract.
CONTRACT_TOOLS: dict[str, type[ServerTool]] = {tool.type: tool for tool in (FileSearch, CodeInterpreter)}

Factory = Callable[[dict[str, Any], Surroundings], Sequence[FunctionTool]]


def _alone(tool: type[FunctionTool]) -> Factory:
    return lambda entry, surroundings: [tool(entry, surroundings)]


#: By the type of an entry of an assistant's ``server_tools``: what it gives a run.
EXTENSIONS: dict[str, Factory] = {
    **{tool.kind: _alone(tool) for tool in (CurrentTime, Calculator, Fetch, SearchThreads)},
    mcp.McpTool.kind: mcp.tools,
}
