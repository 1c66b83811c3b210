"""``file_search`` where something is in the way: workers that die, stores that expire, files that are not ready yet."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from assistants import services as assistants
from assistants.knowledge.models import IngestionStatus, StoreFile, VectorStore
from assistants.models import Assistant
from inference.chat import Capabilities
from runs.models import Run
from runs.services import control
from runs.tools import file_search, passages
from runs.worker import errands
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database, now
from tests.knowledge.searching import add_file, make_store
from tests.runs.support import (
    Gate,
    Model,
    answer_of,
    call,
    end,
    ended,
    kill,
    names,
    steps_of,
    streamed_text,
    text,
    until,
    within,
    working,
)
from threads.models import Thread

pytestmark = pytest.mark.django_db(transaction=True)

SEARCH = {"type": "file_search", "file_search": {}}
ASKED = call(0, "file_search", '{"query": "tea"}')
TEA = "Filip drinks tea."
MARK = "【1:0†drinks.md】"


@pytest.fixture
def store(project: Project) -> VectorStore:
    made = make_store(project)
    add_file(made, "drinks.md", [TEA])
    return made


@pytest.fixture
def searcher(principal: Principal, registered: Any) -> Assistant:
    """An assistant that searches the stores of its threads."""
    return assistants.create_assistant(principal=principal, model="tiny", instructions="Be brief.", tools=[SEARCH])


@pytest.fixture
def ask(begin: Callable[..., Run], searcher: Assistant, thread: Thread, store: VectorStore) -> Callable[..., Run]:
    """``ask(**overrides)``: a queued run on a thread with the store."""

    def make(**overrides: Any) -> Run:
        resources = {"file_search": {"vector_store_ids": [store.id]}}
        Thread.objects.filter(pk=thread.pk).update(tool_resources=resources)
        return begin(assistant_id=searcher.id, **overrides)

    return make


def retrieving(principal: Principal, searcher: Assistant, how: str) -> None:
    assistants.update_assistant(principal=principal, assistant_id=searcher.id, retrieval=how)


def expire(store: VectorStore) -> None:
    VectorStore.objects.filter(pk=store.pk).update(expires_after_days=7, last_active_at=now() - timedelta(days=8))


def waiting(member_of: VectorStore) -> None:
    StoreFile.objects.filter(store=member_of).update(status=IngestionStatus.IN_PROGRESS)


def ready(member_of: VectorStore) -> None:
    StoreFile.objects.filter(store=member_of).update(status=IngestionStatus.COMPLETED)


# ------------------------------------------------------------------------------------------------ workers that die


async def test_a_worker_that_dies_in_the_search_leaves_it_to_another(
    model: Model, ask: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, real, searches = Gate(), file_search.search, []

    async def slow(**request: Any) -> Any:
        searches.append(request["queries"])
        if len(searches) == 1:
            gate.reached.set()
            await gate.opened.wait()
        return await real(**request)

    monkeypatch.setattr(file_search, "search", slow)
    run = await in_database(ask)
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("Tea."), end())
    async with working() as worker:
        await within(gate.reached.wait())
        (step,) = await in_database(steps_of, run.id)
        # recorded before anything is searched
        assert [entry["arguments"] for entry in step.asked.values()] == [{"query": "tea"}]
        await kill(worker, run.id)
        over = await ended(run.id)
    assert (over.status, searches) == ("completed", [["tea"], ["tea"]])
    assert len(model.requests) == 2  # the model was not asked again what it had asked
    assert (over.prompt_tokens, over.completion_tokens) == (20, 8)
    step, _ = await in_database(steps_of, run.id)
    assert [result["file_name"] for result in step.tool_calls[0]["file_search"]["results"]] == ["drinks.md"]
    assert (await in_database(names, run.id)).count("run.step.completed") == 2


async def test_a_worker_that_dies_before_the_question_is_whole_has_it_asked_again(
    model: Model, ask: Callable[..., Run]
) -> None:
    run, gate = await in_database(ask), Gate()
    model.answers(*ASKED[:1], gate)
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("Tea【2:0†drinks.md】."), end())
    async with working() as worker:
        await until(lambda: names(run.id)[-1] == "run.step.delta")
        await kill(worker, run.id)
        assert (await ended(run.id)).status == "completed"
    broken, searched, _ = await in_database(steps_of, run.id)
    assert (broken.status, searched.status) == ("failed", "completed")
    (part,) = (await in_database(answer_of, run.id)).content
    assert [annotation["text"] for annotation in part["text"]["annotations"]] == ["【2:0†drinks.md】"]


async def test_a_continued_answer_goes_on_counting_its_citations(model: Model, ask: Callable[..., Run]) -> None:
    run, gate = await in_database(ask), Gate()
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text(f"Tea{MARK}. Hot【1:0†dri"), gate)
    async with working() as worker:
        await until(lambda: streamed_text(run.id) == f"Tea{MARK}. Hot")  # what may become a mark is held back
        await kill(worker, run.id)
        model.answers(*text(f"{MARK}."), end())
        assert (await ended(run.id)).status == "completed"
    assert model.requests[-1].messages[-1] == {"role": "assistant", "content": f"Tea{MARK}. Hot"}
    (part,) = (await in_database(answer_of, run.id)).content
    said = f"Tea{MARK}. Hot{MARK}."
    assert part["text"]["value"] == said == await in_database(streamed_text, run.id)
    spans = [(held["start_index"], held["end_index"]) for held in part["text"]["annotations"]]
    assert [said[start:stop] for start, stop in spans] == [MARK, MARK]


# ------------------------------------------------------------------------------------------------ stores


async def test_an_expired_store_fails_the_run(model: Model, ask: Callable[..., Run], store: VectorStore) -> None:
    run = await in_database(ask)
    await in_database(expire, store)
    async with working():
        over = await ended(run.id)
    assert over.status == "failed"
    assert over.last_error == {"code": "server_error", "message": f"Vector store '{store.id}' has expired."}
    assert model.requests == []


async def test_a_store_that_expires_meanwhile_fails_the_search(
    model: Model, ask: Callable[..., Run], store: VectorStore
) -> None:
    run, gate = await in_database(ask), Gate()
    model.answers(*ASKED, gate, end("tool_calls"))
    async with working():
        await within(gate.reached.wait())
        await in_database(expire, store)
        gate.opened.set()
        over = await ended(run.id)
    assert over.last_error == {"code": "server_error", "message": f"Vector store '{store.id}' has expired."}
    (step,) = await in_database(steps_of, run.id)
    assert (step.status, step.last_error) == ("failed", over.last_error)


async def test_a_store_that_was_deleted_is_passed_over(
    model: Model, ask: Callable[..., Run], store: VectorStore
) -> None:
    run = await in_database(ask)
    await in_database(store.delete)
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("I do not know."), end())
    async with working():
        assert (await ended(run.id)).status == "completed"
    (step, _) = await in_database(steps_of, run.id)
    assert step.tool_calls[0]["file_search"]["results"] == []


# ------------------------------------------------------------------------------------------------ files that come


async def test_a_run_waits_for_the_files_of_its_thread(
    model: Model, ask: Callable[..., Run], store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, real = [], errands.files_in_progress

    def looked(store_ids: Any) -> int:
        looks.append(real(store_ids))
        return looks[-1]

    monkeypatch.setattr(errands, "files_in_progress", looked)
    monkeypatch.setattr(errands, "FILES_PAUSE", 0.01)
    await in_database(waiting, store)
    run = await in_database(ask)
    model.answers(*text("Tea."), end())
    async with working():
        await until(lambda: len(looks) > 2)
        assert model.requests == []
        assert (await in_database(Run.objects.get, pk=run.id)).status == "in_progress"
        await in_database(ready, store)
        assert (await ended(run.id)).status == "completed"
    assert (set(looks), looks[-1]) == ({0, 1}, 0)


async def test_a_run_that_waits_can_be_cancelled(
    model: Model, ask: Callable[..., Run], store: VectorStore, principal: Principal
) -> None:
    await in_database(waiting, store)
    run = await in_database(ask)
    async with working():
        await until(lambda: Run.objects.filter(pk=run.id, status="in_progress").exists())
        await in_database(control.cancel_run, principal=principal, thread_id=run.thread_id, run_id=run.id)
        assert (await ended(run.id)).status == "cancelled"
    assert model.requests == []


async def test_the_wait_ends_a_minute_after_the_runs_beginning_whoever_waits(
    model: Model, ask: Callable[..., Run], store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker knows from the rows how long the run has waited."""
    looks, real = [], errands.files_in_progress

    def looked(store_ids: Any) -> int:
        looks.append(store_ids)
        return real(store_ids)

    monkeypatch.setattr(errands, "files_in_progress", looked)
    await in_database(waiting, store)
    run = await in_database(ask)
    model.answers(*text("I do not know."), end())
    async with working() as worker:
        await until(lambda: looks)
        await in_database(lambda: Run.objects.filter(pk=run.id).update(started_at=now() - timedelta(seconds=61)))
        await kill(worker, run.id)  # the next one begins with the rows as they are now
        assert (await ended(run.id)).status == "completed"


async def test_a_later_call_waits_for_nothing(model: Model, ask: Callable[..., Run], store: VectorStore) -> None:
    run, gate = await in_database(ask), Gate()
    model.answers(*ASKED, gate, end("tool_calls"))
    model.answers(*text("Tea."), end())
    async with working():
        await within(gate.reached.wait())
        await in_database(waiting, store)
        gate.opened.set()
        assert (await ended(run.id)).status == "completed"


# ------------------------------------------------------------------------------------------------ before the answer


@pytest.mark.parametrize(("how", "can_call"), [("before", True), ("auto", False)])
async def test_the_search_comes_before_the_answer(
    model: Model, ask: Callable[..., Run], principal: Principal, searcher: Assistant, how: str, can_call: bool
) -> None:
    await in_database(retrieving, principal, searcher, how)
    model.capabilities = Capabilities(tools=can_call, continuation=True, context_length=8_192)
    messages = [{"role": "user", "content": "What does Filip drink?"}]
    run = await in_database(ask, additional_messages=messages)
    model.answers(*text(f"Tea{MARK}."), end())
    async with working():
        assert (await ended(run.id)).status == "completed"
    (request,) = model.requests
    assert (request.tools, request.tool_choice) == ([], None)
    system, *_, asked = request.messages
    assert system == {"role": "system", "content": "Be brief."}  # a file's text has not its authority
    found = f"{passages.HEAD}\n\n{MARK}\n{TEA}"
    assert asked == {"role": "user", "content": f"{passages.QUOTED}\n\n{found}\n\n【end】\n\n{messages[0]['content']}"}
    searched, message = await in_database(steps_of, run.id)
    assert [result["file_name"] for result in searched.tool_calls[0]["file_search"]["results"]] == ["drinks.md"]
    assert (searched.status, searched.usage["total_tokens"], message.usage["total_tokens"]) == ("completed", 0, 14)
    (part,) = (await in_database(answer_of, run.id)).content
    assert [annotation["text"] for annotation in part["text"]["annotations"]] == [MARK]
    assert (await in_database(names, run.id))[3:7] == [
        "run.step.created",
        "run.step.in_progress",
        "run.step.delta",
        "run.step.completed",
    ]


async def test_what_was_found_stands_before_the_parts_of_a_question_with_an_image(
    model: Model, ask: Callable[..., Run], principal: Principal, searcher: Assistant
) -> None:
    await in_database(retrieving, principal, searcher, "before")
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    parts = [{"type": "text", "text": "Does Filip drink tea?"}, image]
    run = await in_database(ask, additional_messages=[{"role": "user", "content": parts}])
    model.answers(*text("Yes."), end())
    async with working():
        assert (await ended(run.id)).status == "completed"
    found, *asked = model.requests[0].messages[-1]["content"]
    assert found["text"].startswith(passages.QUOTED)
    assert [part["type"] for part in asked] == ["text", "image_url"]


async def test_no_search_beforehand_where_there_is_no_store(
    model: Model, begin: Callable[..., Run], principal: Principal, searcher: Assistant
) -> None:
    await in_database(retrieving, principal, searcher, "before")
    run = await in_database(begin, assistant_id=searcher.id)
    model.answers(*text("Hello."), end())
    async with working():
        assert (await ended(run.id)).status == "completed"
    assert [step.type for step in await in_database(steps_of, run.id)] == ["message_creation"]


@pytest.mark.parametrize("how", ["tool", "auto"])
async def test_a_model_that_can_searches_itself(
    model: Model, ask: Callable[..., Run], principal: Principal, searcher: Assistant, how: str
) -> None:
    await in_database(retrieving, principal, searcher, how)
    run = await in_database(ask)
    model.answers(*text("Hello."), end())
    async with working():
        await ended(run.id)
    assert [tool["function"]["name"] for tool in model.requests[0].tools] == ["file_search"]
    assert len(await in_database(steps_of, run.id)) == 1


async def test_no_search_where_no_tool_is_to_be_used(
    model: Model, ask: Callable[..., Run], principal: Principal, searcher: Assistant
) -> None:
    await in_database(retrieving, principal, searcher, "before")
    run = await in_database(ask, tool_choice="none")
    model.answers(*text("Hello."), end())
    async with working():
        await ended(run.id)
    assert [step.type for step in await in_database(steps_of, run.id)] == ["message_creation"]


async def test_what_was_not_found_beforehand_is_not_mentioned(
    model: Model, ask: Callable[..., Run], principal: Principal, searcher: Assistant
) -> None:
    await in_database(retrieving, principal, searcher, "before")
    run = await in_database(ask, additional_messages=[{"role": "user", "content": "Xylophones?"}])
    model.answers(*text("Hello."), end())
    async with working():
        await ended(run.id)
    assert model.requests[0].messages[0] == {"role": "system", "content": "Be brief."}


async def test_a_forced_search_that_came_before_the_answer_is_not_asked_for_again(
    model: Model, ask: Callable[..., Run], principal: Principal, searcher: Assistant
) -> None:
    await in_database(retrieving, principal, searcher, "before")
    run = await in_database(ask, tool_choice={"type": "file_search"})
    model.answers(*text("Tea."), end())
    async with working():
        assert (await ended(run.id)).status == "completed"
    assert len(await in_database(steps_of, run.id)) == 2


async def test_a_worker_that_dies_while_it_answers_does_not_search_again(
    model: Model, ask: Callable[..., Run], principal: Principal, searcher: Assistant
) -> None:
    await in_database(retrieving, principal, searcher, "before")
    messages = [{"role": "user", "content": "What does Filip drink?"}]
    run, gate = await in_database(ask, additional_messages=messages), Gate()
    model.answers(*text("Tea"), gate)
    model.answers(*text("."), end())
    async with working() as worker:
        await until(lambda: streamed_text(run.id) == "Tea")
        await kill(worker, run.id)
        assert (await ended(run.id)).status == "completed"
    assert [step.type for step in await in_database(steps_of, run.id)] == ["tool_calls", "message_creation"]
    assert TEA in model.requests[1].messages[-2]["content"]


# ------------------------------------------------------------------------------------------------ how much


async def test_results_take_at_most_half_of_a_small_context(
    model: Model, ask: Callable[..., Run], store: VectorStore
) -> None:
    model.capabilities = Capabilities(context_length=600)
    await in_database(add_file, store, "long.md", ["Tea is drunk with milk. " * 100, "Tea again. " * 100])
    run = await in_database(ask)
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("Tea."), end())
    async with working():
        await ended(run.id)
    told = model.requests[1].messages[-1]["content"]
    assert 300 < len(told.encode()) <= 600 * 3 / 2
    assert told.endswith(".")
    (step, _) = await in_database(steps_of, run.id)
    assert len(step.tool_calls[0]["file_search"]["results"]) == 3  # the step has all of them


async def test_two_searches_share_the_room(model: Model, ask: Callable[..., Run], store: VectorStore) -> None:
    model.capabilities = Capabilities(context_length=600)
    await in_database(add_file, store, "long.md", ["Tea is drunk with milk. " * 100])
    run = await in_database(ask)
    for _ in range(2):
        model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("Tea."), end())
    async with working():
        await ended(run.id)
    outputs = [message["content"] for message in model.requests[-1].messages if message["role"] == "tool"]
    assert sum(len(output.encode()) for output in outputs) <= 600 * 3 / 2 + 100
    assert TEA in outputs[1] or "milk" in outputs[1]  # the newest has the room


@pytest.mark.parametrize(("name", "limit"), [("tiny", 20), ("gpt-3.5-turbo", 5)])
async def test_old_models_get_fewer_results(
    model: Model,
    ask: Callable[..., Run],
    store: VectorStore,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    limit: int,
) -> None:
    monkeypatch.setattr("inference.gateway.check_model", lambda *_, **__: None)
    await in_database(add_file, store, "many.md", [f"Tea number {number}." for number in range(30)])
    run = await in_database(ask, model=name)
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("Tea."), end())
    async with working():
        await ended(run.id)
    (step, _) = await in_database(steps_of, run.id)
    assert len(step.tool_calls[0]["file_search"]["results"]) == limit


async def test_the_number_of_results_and_their_score_are_the_assistants(
    model: Model, ask: Callable[..., Run], principal: Principal, searcher: Assistant, store: VectorStore
) -> None:
    ranking = {"ranker": "default_2024_08_21", "score_threshold": 0.0, "hybrid_search": None}
    tool = {"type": "file_search", "file_search": {"max_num_results": 1, "ranking_options": ranking}}
    await in_database(assistants.update_assistant, principal=principal, assistant_id=searcher.id, tools=[tool])
    await in_database(add_file, store, "more.md", ["Tea and milk."])
    run = await in_database(ask)
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("Tea."), end())
    async with working():
        await ended(run.id)
    (step, _) = await in_database(steps_of, run.id)
    assert len(step.tool_calls[0]["file_search"]["results"]) == 1


async def test_a_steps_searches_share_their_budget_of_tokens(
    model: Model, ask: Callable[..., Run], store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_search, "TOKENS", 20)
    await in_database(add_file, store, "long.md", ["Tea is drunk hot. " * 3])
    run = await in_database(ask)
    second = call(1, "file_search", '{"query": "tea"}')
    model.answers(*ASKED, *second, end("tool_calls"))
    model.answers(*text("Tea."), end())
    async with working():
        await ended(run.id)
    (step, _) = await in_database(steps_of, run.id)
    found = [result for held in step.tool_calls for result in held["file_search"]["results"]]
    assert sum(file_search.count_tokens(result["content"][0]["text"]) for result in found) <= 20
    assert step.tool_calls[0]["file_search"]["results"]


@pytest.mark.parametrize(
    ("limit", "value", "said"), [("TOKENS", 4, file_search.SPENT), ("SEARCHES", 1, file_search.TOO_MANY)]
)
async def test_a_search_too_many_is_not_made_and_the_model_is_told(
    model: Model, ask: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, limit: str, value: int, said: str
) -> None:
    searches, real = [], file_search.search

    async def counted(**request: Any) -> Any:
        searches.append(request["queries"])
        return await real(**request)

    monkeypatch.setattr(file_search, "search", counted)
    monkeypatch.setattr(file_search, limit, value)
    run = await in_database(ask)
    model.answers(*ASKED, *call(1, "file_search", '{"query": "tea again"}'), end("tool_calls"))
    model.answers(*text("Tea."), end())
    async with working():
        assert (await ended(run.id)).status == "completed"
    assert searches == [["tea"]]
    first, second = [message["content"] for message in model.requests[1].messages if message["role"] == "tool"]
    assert "Filip drinks" in first
    assert second == said
