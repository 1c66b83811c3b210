"""Code that takes all it can get is stopped, while other runs go on as if nothing was."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from assistants import services as assistants
from inference import gateway
from inference.chat import ChatRequest, Delta
from runs.models import Run
from runs.services import creation
from runs.tools import code_interpreter
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.runs.interpreting import TOOL, calls_code, finished, logs_of, sandbox, shown_logs
from tests.runs.support import Gate, Model, end, streamed_text, text, until, working
from threads import services as threads

__all__ = ["sandbox"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sandbox")]

OTHERS = 16
BEGUN = "print('begun', flush=True)\n"
ATTACKS = {
    "fork bomb": BEGUN + "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "10 GB": BEGUN + "x = bytearray(10 * 1024**3)\nx[::4096] = b'x' * len(x[::4096])",
    "endless loop": BEGUN + "while True: pass",
}
ENDINGS = {"fork bomb": "stopped", "10 GB": "emory", "endless loop": "may take 3 seconds"}


class Crowd(Model):
    """Has an attack run where one is asked for, and answers everybody else once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()

    async def stream(self, request: ChatRequest) -> AsyncIterator[Delta]:
        asked = [str(message["content"]) for message in request.messages if message["role"] == "user"][-1]
        if any(message["role"] == "tool" for message in request.messages):
            script = [*text("Stopped."), end()]
        elif code := ATTACKS.get(asked):
            script = [*calls_code(code), end("tool_calls")]
        else:
            await self.gate.opened.wait()
            script = [*text(*(f" t{number}" for number in range(50))), end()]
        for step in script:
            yield step


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch, registered: Any) -> Crowd:
    scripted = Crowd()
    for name in ("stream", "availability", "availabilities"):
        monkeypatch.setattr(gateway, name, getattr(scripted, name))
    return scripted


@pytest.fixture
def ask(principal: Principal, registered: Any) -> Callable[[str], Run]:
    """``ask(question)``: a run in a thread of its own."""
    assistant = assistants.create_assistant(principal=principal, model="tiny", instructions="x", tools=[TOOL])

    def begin(question: str) -> Run:
        thread = threads.create_thread(principal=principal, messages=[{"role": "user", "content": question}])
        return creation.create_run(principal=principal, thread_id=thread.id, assistant_id=assistant.id).run

    return begin


async def test_attacks_are_stopped_and_others_go_on(
    crowd: Crowd, ask: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_interpreter, "SECONDS", 3.0)
    attacks = {name: await in_database(ask, name) for name in ATTACKS}
    others = [await in_database(ask, "How are you?") for _ in range(OTHERS)]
    async with working(concurrency=OTHERS + len(ATTACKS)):
        for run in attacks.values():
            await until(lambda run=run: any(logs.startswith("begun") for logs in shown_logs(run.id)))
        crowd.gate.opened.set()
        for run in others:
            await finished(run)
        for run in attacks.values():
            await finished(run)
    for run in others:
        assert await in_database(streamed_text, run.id) == "".join(f" t{number}" for number in range(50))
    for name, run in attacks.items():
        (logs,) = await in_database(logs_of, run.id)
        assert ENDINGS[name] in logs
        assert await in_database(streamed_text, run.id) == "Stopped."
