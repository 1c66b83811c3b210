"""The function in which applications are asked for approvals: a model that calls it itself asks nobody."""

from __future__ import annotations

from typing import Any

from assistants.catalog.models import APPROVAL_FUNCTION, no_parameters
from runs.tools.base import ToolFailed
from runs.tools.functions import FunctionTool


class Reserved(FunctionTool):
    """No model is shown it. Models call what they were not shown, and an application would believe the call."""

    kind = "unknown"
    name = APPROVAL_FUNCTION
    description = ""
    parameters = no_parameters()

    async def answer(self, arguments: dict[str, Any]) -> str:
        raise ToolFailed("There is no such tool.")
