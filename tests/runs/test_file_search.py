"""``file_search`` in a run: its step, what the model is told, what the answer cites, and who sees the texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants import services as assistants
from assistants.knowledge.models import VectorStore
from assistants.models import Assistant
from inference.chat import Usage
from runs.models import Run
from runs.services import control
from runs.tools import passages
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.knowledge.searching import add_file, make_store
from tests.runs.support import (
    WEATHER,
    Model,
    answer_of,
    asked_calls,
    call,
    end,
    ended,
    names,
    outputs_for,
    payloads,
    steps_of,
    streamed_text,
    text,
    until,
    working,
)
from threads.models import Thread

pytestmark = pytest.mark.django_db(transaction=True)

CONTENT = "step_details.tool_calls[*].file_search.results[*].content"
CAKE = "The favourite food of Filip Carola is cake. The favourite drink of Filip Carola is tea."
RANKING = {"ranker": "default_2024_08_21", "score_threshold": 0.0}
SEARCH = {"type": "file_search", "file_search": {"ranking_options": {**RANKING, "hybrid_search": None}}}
ASKED = call(0, "file_search", '{"query": "favourite ', 'food of Filip"}')


@pytest.fixture
def store(project: Project) -> VectorStore:
    made = make_store(project)
    VectorStore.objects.filter(pk=made.pk).update(expires_after_days=None)
    add_file(made, "foods.md", [CAKE, "Bananas are yellow."], attributes={"year": 2026})
    return made


@pytest.fixture
def searcher(principal: Principal, store: VectorStore, registered: Any) -> Assistant:
    """An assistant that searches a store."""
    return assistants.create_assistant(
        principal=principal,
        model="tiny",
        instructions="Be brief.",
        tools=[SEARCH],
        tool_resources={"file_search": {"vector_store_ids": [store.id]}},
    )


def file_of(store: VectorStore) -> str:
    member = store.files.get()
    return str(member.file_id)


async def test_a_search_and_its_citation_in_the_contracts_order(
    model: Model, begin: Callable[..., Run], searcher: Assistant, store: VectorStore
) -> None:
    run = await in_database(begin, assistant_id=searcher.id)
    model.answers(*ASKED, end("tool_calls", Usage(20, 5)))
    model.answers(*text("Filip likes cake【1", ":0†foo", "ds.md】."), end("stop", Usage(30, 6)))
    async with working():
        over = await ended(run.id)
    assert over.status == "completed"
    assert await in_database(names, run.id) == [
        "run.created",
        "run.queued",
        "run.in_progress",
        "run.step.created",
        "run.step.in_progress",
        "run.step.delta",
        "run.step.completed",
        "run.step.created",
        "run.step.in_progress",
        "message.created",
        "message.in_progress",
        "message.delta",
        "message.completed",
        "run.step.completed",
        "run.completed",
    ]
    assert (over.prompt_tokens, over.completion_tokens) == (50, 11)
    searched, message = await in_database(steps_of, run.id)
    assert (searched.usage["total_tokens"], message.usage["total_tokens"]) == (25, 36)
    file_id = await in_database(file_of, store)
    mark = "【1:0†foods.md】"
    citation = {"type": "file_citation", "text": mark, "start_index": 16, "end_index": 16 + len(mark)}
    (part,) = (await in_database(answer_of, run.id)).content
    assert part["text"] == {
        "value": f"Filip likes cake{mark}.",
        "annotations": [{**citation, "file_citation": {"file_id": file_id}}],
    }
    deltas = await in_database(payloads, run.id, "message.delta")
    (cited,) = [part for part in (d["delta"]["content"][0]["text"] for d in deltas) if part.get("annotations")]
    assert cited == {
        "value": mark,
        "annotations": [{"index": 0, **citation, "file_citation": {"file_id": file_id, "quote": ""}}],
    }


async def test_the_calls_first_delta_and_its_results(
    model: Model, begin: Callable[..., Run], searcher: Assistant, store: VectorStore
) -> None:
    run = await in_database(begin, assistant_id=searcher.id)
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("Cake."), end())
    async with working():
        await ended(run.id)
    (created, _) = await in_database(payloads, run.id, "run.step.created")
    assert created["step_details"] == {"type": "tool_calls", "tool_calls": []}
    (delta,) = await in_database(payloads, run.id, "run.step.delta")
    (begun,) = delta["delta"]["step_details"]["tool_calls"]
    shown = {"id": begun["id"], "type": "file_search"}
    assert begun == {"index": 0, **shown, "file_search": {"ranking_options": RANKING, "results": []}}
    assert begun["id"].startswith("call_")
    (done, _) = await in_database(payloads, run.id, "run.step.completed")
    (found,) = done["step_details"]["tool_calls"]
    results = found["file_search"]["results"]
    assert found == {**shown, "file_search": {**found["file_search"], "ranking_options": RANKING}}
    assert results[0] == {
        "file_id": await in_database(file_of, store),
        "file_name": "foods.md",
        "score": results[0]["score"],
        "attributes": {"year": 2026},
        "content": [{"type": "text", "text": CAKE}],
    }
    assert 0 < results[0]["score"] <= 1


async def test_the_model_is_told_what_was_found(model: Model, begin: Callable[..., Run], searcher: Assistant) -> None:
    run = await in_database(begin, assistant_id=searcher.id)
    model.answers(*text("Let me look."), *ASKED, end("tool_calls"))
    model.answers(*text("Cake."), end())
    async with working():
        await ended(run.id)
    first, second = model.requests
    (tool,) = first.tools
    assert tool["function"]["name"] == "file_search"
    assert list(tool["function"]["parameters"]["properties"]) == ["query"]
    system, said, asked, told = second.messages
    assert (system["role"], said["content"]) == ("system", "Hello?")
    (function,) = asked["tool_calls"]
    assert asked["content"] == "Let me look."
    assert function["function"]["name"] == "file_search"
    assert json.loads(function["function"]["arguments"]) == {"query": "favourite food of Filip"}
    assert (told["role"], told["tool_call_id"]) == ("tool", function["id"])
    # the search is the run's second step: the first is the text before it
    assert told["content"].startswith(f"{passages.HEAD}\n\n【2:0†foods.md】\n{CAKE}")


@pytest.mark.parametrize("choice", ["required", {"type": "file_search"}])
async def test_a_forced_search_is_forced_once(
    model: Model, begin: Callable[..., Run], searcher: Assistant, choice: Any
) -> None:
    run = await in_database(begin, assistant_id=searcher.id, tool_choice=choice)
    model.answers(*ASKED, end("stop"))
    model.answers(*text("Cake."), end())
    async with working():
        await ended(run.id)
    named = {"type": "function", "function": {"name": "file_search"}}
    assert [request.tool_choice for request in model.requests] == [named if choice != "required" else choice, "auto"]


async def test_without_a_store_the_search_finds_nothing_and_says_so(
    model: Model, begin: Callable[..., Run], principal: Principal
) -> None:
    alone = await in_database(assistants.create_assistant, principal=principal, model="tiny", tools=[SEARCH])
    run = await in_database(begin, assistant_id=alone.id)
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("I do not know."), end())
    async with working():
        assert (await ended(run.id)).status == "completed"
    (searched, _) = await in_database(steps_of, run.id)
    assert searched.tool_calls[0]["file_search"]["results"] == []
    assert searched.tool_calls[0]["file_search"]["note"] == "There is no vector store to search."
    assert model.requests[1].messages[-1]["content"] == "Nothing was found. There is no vector store to search."


async def test_the_threads_store_is_searched_too(
    model: Model, begin: Callable[..., Run], searcher: Assistant, thread: Thread, project: Project
) -> None:
    other = await in_database(make_store, project)
    await in_database(add_file, other, "more.txt", ["The favourite food of Filip is not soup."])
    resources = {"file_search": {"vector_store_ids": [other.id]}}
    await in_database(lambda: Thread.objects.filter(pk=thread.pk).update(tool_resources=resources))
    run = await in_database(begin, assistant_id=searcher.id)
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("Cake."), end())
    async with working():
        await ended(run.id)
    (searched, _) = await in_database(steps_of, run.id)
    found = {result["file_name"] for result in searched.tool_calls[0]["file_search"]["results"]}
    assert found == {"foods.md", "more.txt"}


async def test_a_search_moves_the_expiry_of_the_store(
    model: Model, begin: Callable[..., Run], searcher: Assistant, store: VectorStore
) -> None:
    before = store.last_active_at
    run = await in_database(begin, assistant_id=searcher.id)
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("Cake."), end())
    async with working():
        await ended(run.id)
    await in_database(store.refresh_from_db)
    assert store.last_active_at > before


async def test_arguments_that_are_no_json_are_the_query(
    model: Model, begin: Callable[..., Run], searcher: Assistant
) -> None:
    run = await in_database(begin, assistant_id=searcher.id)
    model.answers(*call(0, "file_search", "favourite food of Filip"), end("tool_calls"))
    model.answers(*call(0, "file_search", '{"question": "bananas"}'), end("tool_calls"))
    model.answers(*call(0, "file_search", '{"query": " "}'), end("tool_calls"))
    model.answers(*text("Cake."), end())
    async with working():
        await ended(run.id)
    sent = [message["tool_calls"][0]["function"] for message in model.requests[-1].messages if "tool_calls" in message]
    assert [json.loads(function["arguments"])["query"] for function in sent] == [
        "favourite food of Filip",
        "bananas",
        "",
    ]
    assert model.requests[-1].messages[-1]["content"] == "Nothing was found. The call had no query."


async def test_a_function_of_the_same_name_stays_the_applications(
    model: Model, begin: Callable[..., Run], principal: Principal, store: VectorStore
) -> None:
    function = {**WEATHER, "function": {**WEATHER["function"], "name": "file_search"}}
    both = await in_database(assistants.create_assistant, principal=principal, model="tiny", tools=[function, SEARCH])
    run = await in_database(begin, assistant_id=both.id)
    model.answers(*call(0, "file_search_here", '{"query": "x"}'), *call(1, "file_search"), end("tool_calls"))
    async with working():
        waiting = await ended(run.id)
    assert [tool["function"]["name"] for tool in model.requests[0].tools] == ["file_search", "file_search_here"]
    assert [asked["function"]["name"] for asked in asked_calls(waiting)] == ["file_search"]


async def test_of_a_mixed_turn_the_client_is_asked_its_part_and_all_outputs_go_back(
    model: Model, begin: Callable[..., Run], principal: Principal, searcher: Assistant
) -> None:
    tools = [SEARCH, WEATHER]
    await in_database(assistants.update_assistant, principal=principal, assistant_id=searcher.id, tools=tools)
    run = await in_database(begin, assistant_id=searcher.id)
    model.answers(*call(0, "weather", "{}"), *call(1, "file_search", '{"query": "Filip"}'), end("tool_calls"))
    async with working():
        waiting = await ended(run.id)
        (asked,) = asked_calls(waiting)
        assert asked["function"]["name"] == "weather"
        (step,) = await in_database(steps_of, run.id)
        assert step.status == "in_progress"
        assert [held["type"] for held in step.tool_calls] == ["function", "file_search"]
        assert step.tool_calls[1]["file_search"]["results"]
        model.answers(*text("Sunny cake."), end())
        await in_database(
            control.submit_tool_outputs,
            principal=principal,
            thread_id=run.thread_id,
            run_id=run.id,
            tool_outputs=outputs_for(waiting, output="20 degrees"),
        )
        await until(lambda: Run.objects.filter(pk=run.id, status="completed").exists())
    turn, weather, found = model.requests[1].messages[-3:]
    assert [sent["function"]["name"] for sent in turn["tool_calls"]] == ["weather", "file_search"]
    assert (weather["tool_call_id"], weather["content"]) == (asked["id"], "20 degrees")
    assert "【1:0†foods.md】" in found["content"]


async def test_a_model_that_calls_tools_without_end_has_to_answer(
    model: Model, begin: Callable[..., Run], searcher: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.worker.planning.MAXIMUM_ROUNDS", 2)
    run = await in_database(begin, assistant_id=searcher.id)
    for _ in range(2):
        model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("Cake."), end())
    async with working():
        assert (await ended(run.id)).status == "completed"
    assert [request.tool_choice for request in model.requests] == ["auto", "auto", "none"]


async def test_a_model_that_calls_tools_even_then_fails_the_run(
    model: Model, begin: Callable[..., Run], searcher: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.worker.planning.MAXIMUM_ROUNDS", 1)
    run = await in_database(begin, assistant_id=searcher.id)
    for _ in range(2):
        model.answers(*ASKED, end("tool_calls"))
    async with working():
        over = await ended(run.id)
    assert over.last_error == {
        "code": "server_error",
        "message": "The model called tools again and again and did not answer.",
    }


async def test_marks_of_nothing_that_was_found_stay_text(
    model: Model, begin: Callable[..., Run], searcher: Assistant
) -> None:
    run = await in_database(begin, assistant_id=searcher.id)
    said = "Cake【4:0†foods.md】【1:7†foods.md】【1:0†other.md】【1:0†foods"
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text(*said), end())
    async with working():
        await ended(run.id)
    (part,) = (await in_database(answer_of, run.id)).content
    assert part["text"] == {"value": said, "annotations": []}
    assert await in_database(streamed_text, run.id) == said


async def test_the_results_of_two_searches_of_a_turn_are_numbered_through(
    model: Model, begin: Callable[..., Run], principal: Principal, searcher: Assistant, project: Project
) -> None:
    """Two files of one name: a mark, and what models make of it, names the file that its passage stands in."""
    both = [await in_database(make_store, project) for _ in range(2)]
    for store, drink in zip(both, ("tea", "milk"), strict=True):
        await in_database(add_file, store, "notes.md", [f"Somebody drinks {drink}."])
    resources = {"file_search": {"vector_store_ids": [store.id for store in both]}}
    await in_database(
        assistants.update_assistant, principal=principal, assistant_id=searcher.id, tool_resources=resources
    )
    run = await in_database(begin, assistant_id=searcher.id)
    calls = [*call(0, "file_search", '{"query": "tea"}'), *call(1, "file_search", '{"query": "milk"}')]
    model.answers(*calls, end("tool_calls"))
    said = "Tea【1:0†notes.md】 or milk【1:1†notes.md】【1:1†source】."
    model.answers(*text(said), end())
    async with working():
        assert (await ended(run.id)).status == "completed"
    tea, milk = [message["content"] for message in model.requests[1].messages if message["role"] == "tool"]
    assert "【1:0†notes.md】\nSomebody drinks tea." in tea
    assert "【1:1†notes.md】\nSomebody drinks milk." in milk
    (part,) = (await in_database(answer_of, run.id)).content
    cited = [note["file_citation"]["file_id"] for note in part["text"]["annotations"]]
    first, second = [await in_database(file_of, store) for store in both]
    assert cited == [first, second, second]


# ------------------------------------------------------------------------------------------------ include[]


@pytest.fixture
async def searched(model: Model, begin: Callable[..., Run], searcher: Assistant) -> Run:
    run = await in_database(begin, assistant_id=searcher.id)
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("Cake."), end())
    async with working():
        return await ended(run.id)


@pytest.mark.parametrize("query", [f"?include[]={CONTENT}", f"?include={CONTENT}", ""])
async def test_texts_are_shown_where_they_are_asked_for(searched: Run, api: APIClient, query: str) -> None:
    path = f"/v1/threads/{searched.thread_id}/runs/{searched.id}/steps"
    listed = (await in_database(api.get, f"{path}{query}")).json()["data"][1]
    alone = (await in_database(api.get, f"{path}/{listed['id']}{query}")).json()
    assert listed == alone
    (first, *_) = alone["step_details"]["tool_calls"][0]["file_search"]["results"]
    assert first["file_name"] == "foods.md"
    assert first.get("content") == ([{"type": "text", "text": CAKE}] if query else None)


@pytest.mark.parametrize("query", [f"&include[]={CONTENT}", ""])
async def test_a_stream_has_the_texts_where_they_are_asked_for(searched: Run, api: APIClient, query: str) -> None:
    path = f"/v1/threads/{searched.thread_id}/runs/{searched.id}?stream=true{query}"
    response = await in_database(api.get, path)
    frames = b"".join([chunk async for chunk in response.streaming_content]).decode().split("\n\n")
    (done,) = [frame for frame in frames if "event: thread.run.step.completed" in frame and "file_search" in frame]
    assert ("The favourite drink of Filip Carola is tea." in done) == bool(query)
    assert '"file_name":"foods.md"' in done
