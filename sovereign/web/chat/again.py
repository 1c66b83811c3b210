"""*Continue* and *Retry* of an answer that ended badly."""

from __future__ import annotations

from typing import Any

from runs.rendering import render_run_row
from runs.services import again
from sovereign.core.api.validation import StrictChoice, StrictSerializer, StrictString
from sovereign.web.chat.answers import Asked, json_page

HOW = {"continue": again.continue_answer, "retry": again.retry}


class AgainRequest(StrictSerializer):
    run = StrictString(max_length=64)
    how = StrictChoice(choices=list(HOW))


@json_page("POST", spends=True)
def begin(asked: Asked, thread_id: str) -> Any:
    """``{"run": …}``, the contract's, that goes on with another one of the thread or answers its question anew."""
    thread, given = asked.own_thread(thread_id), AgainRequest.checked(asked.body)

    def act() -> dict[str, Any]:
        begun = HOW[given["how"]](principal=asked.principal, thread_id=thread.id, run_id=given["run"])
        return {"run": render_run_row(begun.run)}

    return asked.once(act)
