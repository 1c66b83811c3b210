"""Runs in the admin: what they did, what they wait for, and the tools that they used."""

from runs.admin.runs import RunAdmin
from runs.admin.tools import ToolUseAdmin

__all__ = ["RunAdmin", "ToolUseAdmin"]
