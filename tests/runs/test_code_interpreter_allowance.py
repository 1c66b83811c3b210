"""How much code a project may run in a day."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runs.models import ToolUse
from runs.tools.base import ToolFailed
from runs.tools.interpreter import allowance
from sovereign.accounts.models import Project
from tests.threads.test_listing_plans import plan_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def limited(project: Project, settings: Any) -> Project:
    """Code may run for 30 seconds; each kind of tool has taken 10."""
    settings.SOVEREIGN = replace(settings.SOVEREIGN, interpreter_seconds_per_day=30)
    for kind in ("code_interpreter", "fetch", "mcp"):
        use(project, kind, 10_000)
    return project


def use(project: Project, kind: str, milliseconds: int) -> None:
    name = f"{kind} {milliseconds}"
    ToolUse.objects.create(
        call_id=name, project_id=project.id, kind=kind, tool=kind, outcome="ok", milliseconds=milliseconds
    )


def test_only_code_counts(limited: Project) -> None:
    assert allowance.seconds_left(limited.id) == 20.0
    use(limited, "code_interpreter", 20_000)
    with pytest.raises(ToolFailed, match="30 seconds in the last 24 hours"):
        allowance.seconds_left(limited.id)


def test_what_other_tools_did_is_not_looked_at(limited: Project) -> None:
    with CaptureQueriesContext(connection) as captured:
        allowance.seconds_left(limited.id)
    sql = next(query["sql"] for query in captured.captured_queries if "SUM(" in query["sql"])
    assert "tool_use_of_kind" in plan_of(sql)
