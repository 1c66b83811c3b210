"""Prompts and occasions as the tests of choosing write them down."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from assistants.prompting import Occasion, PlacedPrompt

FRIDAY_NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def placed(name: str, template: str = "", **fields: Any) -> PlacedPrompt:
    """A primary prompt with its own name as its text; its link is called as it is."""
    given: dict[str, Any] = {
        "kind": "primary",
        "priority": 0,
        "weight": None,
        "conditions": {},
        "label": "",
        "variables": [],
        **fields,
    }
    return PlacedPrompt(
        link_id=f"link_{name}",
        prompt_id=f"prompt_{name}",
        prompt_name=name,
        version_id=f"promptv_{name}",
        number=1,
        template=template or f"I am {name}.",
        **given,
    )


def occasion(
    thread_id: str | None = "thread_1", *, at: datetime = FRIDAY_NOON, groups: tuple[str, ...] = (), **variables: str
) -> Occasion:
    return Occasion(thread_id=thread_id, instant=at, variables=variables, user_groups=groups)
