"""Tools that clients see as calls of functions whose outputs are there already."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import orjson

from runs.tools.base import FUNCTION, Call, ServerTool, ToolFailed, Work, begun_function
from runs.tools.fitting import fitted
from sovereign.core.json_schema import SchemaProblem, check_value

MAXIMUM_OUTPUT = 64 * 1024  # bytes of UTF-8
MAXIMUM_ARGUMENTS = 256 * 1024  # bytes of UTF-8
CUT = "\n[The rest was left out: there was more than {} KiB.]"
UNREADABLE = "The arguments are not a JSON object: {}"


class FunctionTool(ServerTool):
    """A function that the server carries out. No client has to know of its kind.

    Subclasses say what it is and answer. What breaks the schema is told to the model, and answered by nobody.

    :ivar name: that the model is to know it by, unless another function has it already.
    :ivar parameters: JSON schema of the arguments, an object.
    """

    type: ClassVar[str] = FUNCTION
    shown: ClassVar[str] = "arguments"
    name: str
    description: str
    parameters: dict[str, Any]

    @abstractmethod
    async def answer(self, arguments: dict[str, Any]) -> str:
        """What the model is told.

        :raises ToolFailed: what it is told instead.
        """

    def definition(self, name: str) -> dict[str, Any]:
        function = {"name": name, "description": self.description, "parameters": self.parameters}
        return {"type": FUNCTION, FUNCTION: function}

    def arguments(self, text: str) -> dict[str, Any]:
        """The arguments as ``{"given": …}``, or the complaint about them as ``{"complaint": …}``."""
        try:
            given = _parsed(text)
            check_arguments(given, self.parameters)
        except ToolFailed as failure:
            return {"complaint": failure.message}
        return {"given": given}

    def begun(self, name: str, call_id: str) -> Call:
        return begun_function(name, call_id)

    async def carry_out(self, call: Call, arguments: dict[str, Any], work: Work) -> Call:
        if complaint := arguments.get("complaint"):
            raise ToolFailed(complaint)
        return with_output(call, await self.answer(arguments["given"]))

    def failed(self, call: Call, message: str) -> Call:
        return with_output(call, orjson.dumps({"error": message}).decode())

    def told(self, call: Call, *, position: int, earlier: Sequence[Call], room: int) -> str:
        return output_within(call, room)


def with_output(call: Call, output: str) -> Call:
    return {**call, FUNCTION: {**call[FUNCTION], "output": bounded(output)}}


def output_within(call: Call, room: int) -> str:
    """A call's output as a model is told it. ``room`` as of :meth:`ServerTool.told`."""
    return fitted(str(call[FUNCTION]["output"] or ""), room)


def bounded(output: str) -> str:
    """An output as it may be stored and told: no NUL, no half characters, not too long."""
    content = output.replace("\x00", "").encode(errors="replace")
    if len(content) <= MAXIMUM_OUTPUT:
        return content.decode()
    return content[:MAXIMUM_OUTPUT].decode(errors="ignore") + CUT.format(MAXIMUM_OUTPUT // 1024)


def check_arguments(given: dict[str, Any], parameters: dict[str, Any]) -> None:
    """:raises ToolFailed: the arguments break the schema; the message says where."""
    try:
        check_value(given, parameters)
    except SchemaProblem as problem:
        raise ToolFailed(f"The arguments are wrong. {problem}") from None


def _parsed(text: str) -> dict[str, Any]:
    if len(text.encode()) > MAXIMUM_ARGUMENTS:
        raise ToolFailed(f"The arguments are longer than {MAXIMUM_ARGUMENTS // 1024} KiB.")
    try:
        given = orjson.loads(text.strip() or "{}")
    except orjson.JSONDecodeError as error:
        raise ToolFailed(UNREADABLE.format(error)) from None
    if not isinstance(given, dict):
        raise ToolFailed(UNREADABLE.format(f"got {type(given).__name__}"))
    try:
        orjson.dumps(given)
    except orjson.JSONEncodeError:  # it reads what is deeper than it writes
        raise ToolFailed(UNREADABLE.format("it is nested too deeply")) from None
    return given
