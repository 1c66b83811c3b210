"""What the rings with real processes need of the code interpreter."""

from __future__ import annotations

from typing import Any

from tests.support.fixtures import skip_ring
from tests.support.processes import Stack, Upstream, eventually

NAME = "code_interpreter"
TOOL: Any = {"type": NAME}


def await_interpreter(stack: Stack) -> None:
    """Until a worker says that it can run code; the ring is left out where none can."""

    def said() -> Any:
        told = stack.client.get("/health/providers")[NAME]
        return told if told["workers"] else None

    told = eventually(said, what="a worker says whether it can run code")
    if not told["usable"]:
        skip_ring(told["reason"])


def asking_for(upstream: Upstream, key: str, code: str, tags: str = "tokens=3") -> str:
    """A question to which the model has this code run, and answers as the tags say."""
    upstream.teach({f"@{key}": code})
    return f"Compute. [tool={NAME} with=code:@{key} key={key} {tags}]"


def work_of(stack: Stack, thread: str, run: str) -> dict[str, Any]:
    """What came of the only code of a run."""
    steps = stack.client.get(f"/v1/threads/{thread}/runs/{run}/steps?order=asc")["data"]
    (call,) = steps[0]["step_details"]["tool_calls"]
    work: dict[str, Any] = call[NAME]
    return work


def printed(work: dict[str, Any]) -> str:
    return "".join(output.get("logs", "") for output in work["outputs"])
