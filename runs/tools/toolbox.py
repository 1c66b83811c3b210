"""A run's tools that are carried out here, by the names under which its model knows them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from runs.tools import REGISTRY
from runs.tools.base import Call, ServerTool, Surroundings


class Toolbox:
    """Made anew for each model call from what is stored of the run.

    :param tools: the run's, in the contract's normal form. A tool has its type for a name, unless a function of the
        application has that name already.
    """

    def __init__(self, tools: Sequence[dict[str, Any]], surroundings: Surroundings) -> None:
        taken = {tool["function"]["name"] for tool in tools if tool["type"] == "function"}
        self._tools: dict[str, ServerTool] = {}
        self._shown: list[tuple[str, dict[str, Any]]] = []  # types and functions
        for tool in tools:
            kind, function = tool["type"], tool
            if kind in REGISTRY and self.of_type(kind) is None:
                name = _free_name(kind, taken)
                self._tools[name] = REGISTRY[kind](tool, surroundings)
                function = self._tools[name].definition(name)
            if function["type"] == "function":
                self._shown.append((kind, function))

    def named(self, name: str) -> ServerTool | None:
        """The tool that the model calls by this name; ``None`` for what the application carries out."""
        return self._tools.get(name)

    def of_type(self, kind: str) -> ServerTool | None:
        return next((tool for tool in self._tools.values() if tool.type == kind), None)

    def definitions(self, *, without: Collection[str] = ()) -> list[dict[str, Any]]:
        """The functions that the model is shown, in the order of the run's tools.

        :param without: types that it is not to call.
        """
        return [function for kind, function in self._shown if kind not in without]

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
