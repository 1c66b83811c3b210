"""A run's tools that are carried out here, by the names under which its model knows them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain, count
from typing import Any, TypeVar

from runs.tools import CONTRACT_TOOLS, EXTENSIONS
from runs.tools.base import FUNCTION, ServerTool, Surroundings
from runs.tools.reserved import Reserved

NAME_LENGTH = 64
T = TypeVar("T", bound=ServerTool)


class Toolbox:
    """Made anew for each model call from what is stored of the run.

    :param tools: the run's, in the contract's normal form. A tool has its type for a name, unless a function of the
        application has that name already.
    :param server_tools: the entries of an assistant's ``server_tools``.
    """

    def __init__(
        self,
        tools: Sequence[dict[str, Any]],
        surroundings: Surroundings,
        *,
        server_tools: Sequence[dict[str, Any]] = (),
    ) -> None:
        self._taken = {tool[FUNCTION]["name"] for tool in tools if tool["type"] == FUNCTION}
        self._tools: dict[str, ServerTool] = {}
        self._reserved = Reserved({}, surroundings)
        self._shown: list[tuple[str, dict[str, Any]]] = []  # types and functions
        for tool in tools:
            kind = tool["type"]
            if kind not in CONTRACT_TOOLS:
                self._shown.append((kind, tool))
            elif self.of_type(kind) is None:
                self._add(kind, CONTRACT_TOOLS[kind](tool, surroundings))
        for entry in server_tools:
            if make := EXTENSIONS.get(entry["type"]):
                for made in make(entry, surroundings):
                    self._add(made.name, made)

    def _add(self, wanted: str, tool: ServerTool) -> None:
        name = _free_name(wanted, self._taken)
        self._taken.add(name)
        self._tools[name] = tool
        self._shown.append((tool.type, tool.definition(name)))

    def named(self, name: str) -> ServerTool | None:
        """The tool that the model calls by this name; ``None`` for what the application carries out."""
        return self._reserved if name == Reserved.name else self._tools.get(name)

    def all(self) -> list[ServerTool]:
        return [*self._tools.values()]

    def of_type(self, kind: str) -> ServerTool | None:
        """The tool whose calls have a type of their own."""
        return next((tool for tool in self._tools.values() if tool.type == kind), None)

    def of_class(self, kind: type[T]) -> T | None:
        return next(iter(self.all_of_class(kind)), None)

    def all_of_class(self, kind: type[T]) -> list[T]:
        return [tool for tool in self._tools.values() if isinstance(tool, kind)]

    def name_of(self, tool: ServerTool) -> str:
        """The name that the model knows it by."""
        return next(name for name, other in self._tools.items() if other is tool)

    def definitions(self, *, without: Collection[str] = ()) -> list[dict[str, Any]]:
        """The functions that the model is shown, in the order of the run's tools.

        :param without: types that it is not to call.
        """
        return [function for kind, function in self._shown if kind not in without]

    def choice(self, choice: Any) -> Any:
        """The contract's ``tool_choice`` in terms of functions."""
        if isinstance(choice, dict) and choice["type"] in CONTRACT_TOOLS:
            name = next(name for name, tool in self._tools.items() if tool.type == choice["type"])
            return {"type": FUNCTION, FUNCTION: {"name": name}}
        return choice


def _free_name(wanted: str, taken: Collection[str]) -> str:
    base = wanted[:NAME_LENGTH]
    numbered = (f"{base[: NAME_LENGTH - 6]}_here{number}" for number in count(2))
    return next(name for name in chain((base, f"{base[: NAME_LENGTH - 5]}_here"), numbered) if name not in taken)
