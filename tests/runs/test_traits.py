"""What an assistant's traits change: each of them in the request that an engine gets, byte for byte as it came."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assistants import services as assistants
from assistants.knowledge.models import VectorStore
from assistants.knowledge.services import files
from assistants.models import Assistant
from inference.pictures import UNSEEN
from runs.models import Run
from runs.services import creation
from runs.worker.turn_writer import UNWANTED
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.inference.conftest import Upstream, upstream
from tests.inference.helpers import ready_engine
from tests.knowledge.searching import add_file, make_store
from tests.knowledge.uploading import folder
from tests.runs.support import WEATHER, Model, call, end, ended, names, working
from threads import services as threads
from threads.models import Thread

__all__ = ["folder", "upstream"]

pytestmark = pytest.mark.django_db(transaction=True)

PNG = b"\x89PNG\r\n\x1a\n and more"
DATA = f"data:image/png;base64,{b64encode(PNG).decode()}"
SEARCH = {
    "type": "file_search",
    "file_search": {"ranking_options": {"ranker": "default_2024_08_21", "score_threshold": 0.0, "hybrid_search": None}},
}
Sent = Callable[..., Any]


@pytest.fixture
def sent(principal: Principal, upstream: Upstream) -> Sent:
    """``await sent(fields of the assistant, said=…, **of the run)``: the body that the engine gets, and the run."""

    async def send(fields: dict[str, Any], *, said: list[Any] | None = None, **request: Any) -> tuple[Any, Run]:
        await in_database(ready_engine, upstream.url, "tiny", capabilities={"vision": True})
        run = await in_database(_begun, principal, fields, said or ["Hello?"], request)
        async with working():
            done = await ended(run.id)
        assert done.status == "completed", done.last_error
        return upstream.requests[-1].body, done

    return send


def _begun(principal: Principal, fields: dict[str, Any], said: list[Any], request: dict[str, Any]) -> Run:
    messages = [{"role": ("user", "assistant")[place % 2], "content": content} for place, content in enumerate(said)]
    thread = threads.create_thread(principal=principal, messages=messages)
    assistant = assistants.create_assistant(principal=principal, model="tiny", **fields)
    return creation.create_run(principal=principal, thread_id=thread.id, assistant_id=assistant.id, **request).run


async def test_the_personality_follows_the_instructions(sent: Sent) -> None:
    body, _ = await sent({"instructions": "Be brief.", "personality": "Dry."})
    assert body["messages"][0] == {"role": "system", "content": "Be brief.\n\nDry."}
    body, _ = await sent({"personality": "Dry."})
    assert body["messages"][0] == {"role": "system", "content": "Dry."}
    body, _ = await sent({"instructions": "Be brief."})
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_a_runs_own_instructions_stand_alone_and_additional_ones_come_last(sent: Sent) -> None:
    traits = {"instructions": "Be brief.", "personality": "Dry."}
    body, _ = await sent(traits, instructions="Be long.")
    assert body["messages"][0]["content"] == "Be long."
    body, _ = await sent(traits, additional_instructions="And kind.")
    assert body["messages"][0]["content"] == "Be brief.\n\nDry.\n\nAnd kind."


SAID = ["One?", "One.", "Two?", "Two.", "Three?"]


@pytest.mark.parametrize(("size", "shown"), [(None, SAID), (1, SAID[-1:]), (3, SAID[-3:]), (9, SAID)])
async def test_the_memory_is_the_newest_messages(sent: Sent, size: int | None, shown: list[str]) -> None:
    body, run = await sent({"context_memory_size": size}, said=SAID)
    assert [message["content"] for message in body["messages"]] == shown
    strategy = {"type": "auto" if size is None else "last_messages", "last_messages": size}
    assert (await in_database(lambda: run.configuration.data))["truncation_strategy"] == strategy


async def test_a_runs_own_truncation_is_taken_in_place_of_the_memory(sent: Sent) -> None:
    own = {"type": "last_messages", "last_messages": 2}
    body, _ = await sent({"context_memory_size": 4}, said=SAID, truncation_strategy=own)
    assert [message["content"] for message in body["messages"]] == SAID[-2:]
    body, _ = await sent({"context_memory_size": 1}, said=SAID, truncation_strategy={"type": "auto"})
    assert [message["content"] for message in body["messages"]] == SAID


async def test_the_default_of_tokens_is_the_most_that_is_asked_for(sent: Sent) -> None:
    body, run = await sent({"default_max_tokens": 300})
    assert body["max_tokens"] == 300
    assert (await in_database(lambda: run.configuration.data))["max_completion_tokens"] == 300
    body, _ = await sent({"default_max_tokens": 300}, max_completion_tokens=280)
    assert body["max_tokens"] == 280
    body, _ = await sent({})
    assert body.get("max_tokens") not in (280, 300)


async def test_who_calls_no_tools_is_shown_none(sent: Sent) -> None:
    tools = {"tools": [WEATHER], "server_tools": [{"type": "calculator"}]}
    body, _ = await sent(tools)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["weather", "calculator"]
    for request in ({}, {"tool_choice": "auto"}, {"tools": [WEATHER]}):
        body, _ = await sent({**tools, "capabilities": ["parallel_tool_calls", "vision"]}, **request)
        assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(body)


async def test_who_calls_one_tool_at_a_time_says_so_to_the_engine(sent: Sent) -> None:
    body, run = await sent({"tools": [WEATHER]})
    assert "parallel_tool_calls" not in body  # as many as it likes
    for request in ({}, {"parallel_tool_calls": True}):
        body, run = await sent({"tools": [WEATHER], "capabilities": ["tools", "vision"]}, **request)
        assert body["parallel_tool_calls"] is False
        assert (await in_database(lambda run=run: run.configuration.data))["parallel_tool_calls"] is False


async def test_who_does_not_see_is_told_that_there_was_an_image(sent: Sent, principal: Principal, folder: Path) -> None:
    stored = await in_database(
        lambda: files.store_file(principal=principal, purpose="vision", filename="a.png", chunks=[PNG])
    )
    said = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_file", "image_file": {"file_id": stored.id, "detail": "high"}},
        {"type": "image_url", "image_url": {"url": DATA, "detail": "auto"}},
    ]
    body, _ = await sent({}, said=[said])
    kinds = [part["type"] for part in body["messages"][-1]["content"]]
    assert kinds == ["text", "image_url", "image_url"]
    body, _ = await sent({"capabilities": ["tools", "parallel_tool_calls"]}, said=[said])
    parts = body["messages"][-1]["content"]
    assert parts == [said[0], *[{"type": "text", "text": UNSEEN}] * 2]
    assert DATA not in str(body)


async def test_files_are_searched_for_who_calls_no_tools(
    principal: Principal, project: Project, model: Model, thread: Thread
) -> None:
    def begin() -> Run:
        store = make_store(project)
        VectorStore.objects.filter(pk=store.pk).update(expires_after_days=None)
        add_file(store, "greetings.md", ["Hello is a greeting."])
        assistant = assistants.create_assistant(
            principal=principal,
            model="tiny",
            tools=[SEARCH, WEATHER],
            capabilities=[],
            tool_resources={"file_search": {"vector_store_ids": [store.id]}},
        )
        return creation.create_run(principal=principal, thread_id=thread.id, assistant_id=assistant.id).run

    run = await in_database(begin)
    model.answers(end())
    async with working():
        assert (await ended(run.id)).status == "completed"
    (request,) = model.requests
    assert request.tools == []
    assert "Hello is a greeting." in request.messages[-1]["content"]


@pytest.mark.parametrize("name", ["weather", "calculator", "never_heard_of"])
async def test_a_call_that_nobody_offered_is_not_done(
    principal: Principal, model: Model, thread: Thread, name: str
) -> None:
    """A text that a model reads may make it call what it was not shown."""

    def begin() -> Run:
        fields = {"tools": [WEATHER], "server_tools": [{"type": "calculator"}], "capabilities": ["vision"]}
        assistant = assistants.create_assistant(principal=principal, model="tiny", **fields)
        return creation.create_run(principal=principal, thread_id=thread.id, assistant_id=assistant.id).run

    run = await in_database(begin)
    model.answers(*call(0, name, '{"expression": "1+1"}'), end("tool_calls"))
    async with working():
        done = await ended(run.id)
    assert (done.status, done.last_error["message"]) == ("failed", UNWANTED)
    assert not [event for event in await in_database(names, run.id) if event.startswith("run.step")]


async def test_a_run_that_began_before_there_were_capabilities_has_all(
    principal: Principal, tooled: Assistant, model: Model, thread: Thread
) -> None:
    def begin() -> Run:
        run = creation.create_run(principal=principal, thread_id=thread.id, assistant_id=tooled.id).run
        del run.configuration.data["capabilities"]
        run.configuration.save()
        return run

    run = await in_database(begin)
    model.answers(end())
    async with working():
        assert (await ended(run.id)).status == "completed"
    assert [tool["function"]["name"] for tool in model.requests[0].tools] == ["weather"]
    assert model.requests[0].parallel_tool_calls is True
