"""Prompts in a project's library, and at an assistant, for the tests of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assistants.prompts.models import Prompt
from assistants.prompts.services import add_version, create_prompt, move_label
from sovereign.accounts.principals import Principal


def a_prompt(principal: Principal, name: str, *templates: str, labels: Sequence[str] = (), **fields: Any) -> Prompt:
    """A prompt with these versions, the first of which has the labels. Its own name is its text where none is given."""
    first, *others = templates or (f"I am {name}.",)
    prompt = create_prompt(principal=principal, name=name, template=first, **fields)
    for label in labels:
        move_label(principal=principal, prompt_id=prompt.id, name=label, version="1")
    for template in others:
        add_version(principal=principal, prompt_id=prompt.id, template=template)
    return prompt
