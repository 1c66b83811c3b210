"""What a thread's code leaves for its later runs, in one worker and in several: its session, and links to its files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from assistants import services as assistants
from assistants.models import Assistant
from runs.models import Run
from runs.sandbox.sessions import Sandbox
from runs.tools.code_interpreter import FRESH
from runs.tools.interpreter import hosting
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.runs.interpreting import TOOL, content_of, finished, logs_of, runs_code, sandbox, told_by
from tests.runs.support import Model, answer_of, end, text, working

__all__ = ["sandbox"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sandbox")]

LINK = "sandbox:/mnt/data/r.csv"
RunCode = Callable[..., Awaitable[Run]]


@pytest.fixture
def coder(principal: Principal, registered: Any) -> Assistant:
    return assistants.create_assistant(principal=principal, model="tiny", instructions="Be brief.", tools=[TOOL])


@pytest.fixture
def run_code(model: Model, begin: Callable[..., Run], coder: Assistant) -> RunCode:
    """A run on the thread that has this code run, and is over."""

    async def run_code(*codes: str, answer: str = "Done.") -> Run:
        runs_code(model, *codes, answer=(answer,))
        return await finished(await in_database(begin, assistant_id=coder.id))

    return run_code


@pytest_asyncio.fixture
async def elsewhere(sandbox: None) -> AsyncIterator[Sandbox]:
    """The sandbox of another worker."""
    other = Sandbox(spare=False)
    yield other
    await other.close()


async def test_a_session_that_another_worker_went_past_is_not_gone_on_with(
    model: Model, run_code: RunCode, elsewhere: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working():
        await run_code("x = 1")
        with monkeypatch.context() as other_worker:
            other_worker.setattr(hosting, "sandbox", lambda: elsewhere)
            await run_code("x = 2")
            assert told_by(model)[0].endswith(FRESH)
        await run_code("print('x' in globals())", "x = 3")
        first, second = told_by(model)
        assert first == f"False\n\n{FRESH}"
        assert FRESH not in second
        last = await run_code("print(x)")
    assert await in_database(logs_of, last.id) == ["3\n"]
    assert FRESH not in told_by(model)[0]


async def test_code_that_was_not_run_leaves_the_session_as_it_is(model: Model, run_code: RunCode) -> None:
    async with working():
        await run_code("x = 1", " ")
        last = await run_code("print(x)")
    assert await in_database(logs_of, last.id) == ["1\n"]


async def test_a_file_of_an_earlier_run_is_linked_again(
    model: Model, run_code: RunCode, begin: Callable[..., Run], coder: Assistant
) -> None:
    async with working():
        await run_code("open('/mnt/data/r.csv', 'w').write('old')\nNone")
        await run_code("open('/mnt/data/r.csv', 'w').write('newer')\nNone")
        model.answers(*text(f"Again: {LINK}"), end())
        run = await finished(await in_database(begin, assistant_id=coder.id))
    message = await in_database(answer_of, run.id)
    (annotation,) = message.content[0]["text"]["annotations"]
    assert (annotation["type"], annotation["text"]) == ("file_path", LINK)
    assert await in_database(content_of, annotation["file_path"]["file_id"]) == b"newer"
    assert message.attachments == [], "it is attached to the message that it was made for"
