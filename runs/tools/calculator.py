"""``calculator``: models guess at numbers; this one counts."""

from __future__ import annotations

from typing import Any

from runs.tools import arithmetic
from runs.tools.base import ToolFailed
from runs.tools.functions import FunctionTool


class Calculator(FunctionTool):
    kind = name = "calculator"
    description = (
        "Calculate an expression. Numbers, + - * / // % ** and parentheses, pi and e, and the functions "
        f"{', '.join(arithmetic.FUNCTIONS)} (angles in radians). Results are exact where that is possible."
    )
    parameters = {
        "type": "object",
        "properties": {"expression": {"type": "string", "description": "E.g. (1 + 0.19) * 84.5"}},
        "required": ["expression"],
        "additionalProperties": False,
    }

    async def answer(self, arguments: dict[str, Any]) -> str:
        try:
            return arithmetic.shown(arithmetic.value_of(arguments["expression"]))
        except arithmetic.Incalculable as refusal:
            raise ToolFailed(str(refusal)) from None
