"""A run's tools that are carried out here, by the names under which its model knows them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from runs.tools import REGISTRY, tool_of
from runs.tools.base import Call, ServerTool, Surroundings


class Toolbox:
    """Made anew for each model call from what is stored of the run.

    :param tools: the run's, in the contract's normal form. A tool has its type for a name, unless a function of the
        application has that name already.
    """

    def __init__(self, tools: Sequence[dict[str, Any]], surroundings: Surroundings) -> None:
        taken = {tool["function"]["name"] for tool in tools if tool["type"] == "function"}
        self._listed = tools
        self._tools: dict[str, ServerTool] = {}
        for tool in tools:
            if tool["type"] in REGISTRY:
                name = _free_name(tool["type"], taken)
                self._tools.setdefault(name, tool_of(tool["type"])(tool, surroundings))

    def named(self, name: str) -> ServerTool | None:
        """The tool that the model calls by this name; ``None`` for what the application carries out."""
        return self._tools.get(name)

    def of_type(self, kind: str) -> ServerTool | None:
        return next((tool for tool in self._tools.values() if tool.type == kind), None)

    def definitions(self, *, without: Collection[str] = ()) -> list[dict[str, Any]]:
        """The functions that the model is shown, in the order of the run's tools.

        :param without: types that it is not to call.
        """
        ours = {tool.type: tool.definition(name) for name, tool in self._tools.items() if tool.type not in without}
        listed = {tool["type"]: ours.get(tool["type"]) for tool in self._listed}
        shown = [tool if tool["type"] == "function" else listed.pop(tool["type"], None) for tool in self._listed]
        return [tool for tool in shown if tool is not None]

    def choice(self, choice: Any) -> Any:
        """The contract's ``tool_choice`` in terms of functions."""
        if isinstance(choice, dict) and choice["type"] in REGISTRY:
            return {"type": "function", "function": {"name": self._name_of(choice["type"])}}
        return choice

    def as_asked(self, call: Call, arguments: str) -> dict[str, Any]:
        """A call that was carried out here as the function call that the model made."""
        function = {"name": self._name_of(call["type"]), "arguments": arguments}
        return {"id": call["id"], "type": "function", "function": function}

    def _name_of(self, kind: str) -> str:
        return next((name for name, tool in self._tools.items() if tool.type == kind), kind)


def _free_name(kind: str, taken: Collection[str]) -> str:
    name = kind
    while name in taken:
        name = f"{name}_here"
    return name
