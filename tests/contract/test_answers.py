"""Real answers of every operation, and every frame of real streams, are what our document says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.test import APIClient

from inference.models import RegisteredModel
from runs.models import Run, RunEvent, RunStep
from runs.rendering import head_of, payload_of
from runs.services import reaping
from runs.streaming.reader import REVOKED
from sovereign.accounts import services
from sovereign.accounts.models import Project
from sovereign.accounts.services.quotas import Limits
from sovereign.core.errors import not_found, unavailable
from tests.contract.facts import Document, operations_of
from tests.contract.hand import Hand
from tests.contract.test_knowledge_answers import look_at_knowledge
from tests.contract.validation import Contract
from tests.knowledge.uploading import folder
from tests.runs.support import age_run
from threads.models import Message, Thread

__all__ = ["folder"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registered")]

FUNCTION = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True}}
SEARCH = {"type": "file_search", "file_search": {"max_num_results": 5, "ranking_options": {"score_threshold": 0.5}}}
CITATION = {
    "type": "file_citation",
    "text": "【4:0†notes.txt】",
    "start_index": 3,
    "end_index": 16,
    "file_citation": {"file_id": "file-1"},
}
PATH = {
    "type": "file_path",
    "text": "sandbox:/mnt/data/x.csv",
    "start_index": 0,
    "end_index": 23,
    "file_path": {"file_id": "file-2"},
}
#: Shapes that the file and code tools will write; until then rows stand for them.
CONTENT = [
    {"type": "image_file", "image_file": {"file_id": "file-3", "detail": "auto"}},
    {"type": "text", "text": {"value": "So it is【4:0†notes.txt】.", "annotations": [CITATION, PATH]}},
    {"type": "image_url", "image_url": {"url": "https://example.org/x.png", "detail": "low"}},
    {"type": "refusal", "refusal": "I cannot."},
]
TOOL_CALLS = [
    {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}", "output": None}},
    {
        "id": "call_2",
        "type": "code_interpreter",
        "code_interpreter": {
            "input": "print(1)",
            "outputs": [{"type": "logs", "logs": "1\n"}, {"type": "image", "image": {"file_id": "file-3"}}],
        },
    },
    {
        "id": "call_3",
        "type": "file_search",
        "file_search": {
            "ranking_options": {"ranker": "default_2024_08_21", "score_threshold": 0.0, "hybrid_search": None},
            "results": [
                {
                    "file_id": "file-1",
                    "file_name": "notes.txt",
                    "score": 0.75,
                    "attributes": {"year": 2026},
                    "content": [{"type": "text", "text": "It is so."}],
                }
            ],
        },
    },
]
DELTAS = [
    ("thread.message.delta", {"id": "msg_1", "content": [{"index": 0, "type": "text", "text": {"value": "x"}}]}),
    (
        "thread.message.delta",
        {"id": "msg_1", "content": [{"index": 1, "type": "image_file", "image_file": {"file_id": "file-3"}}]},
    ),
    (
        "thread.message.delta",
        {
            "id": "msg_1",
            "content": [
                {
                    "index": 0,
                    "type": "text",
                    "text": {
                        "value": "【4:0†notes.txt】",
                        "annotations": [{"index": 0, **CITATION, "file_citation": {"file_id": "file-1", "quote": ""}}],
                    },
                }
            ],
        },
    ),
    (
        "thread.run.step.delta",
        {
            "id": "step_1",
            "tool_calls": [
                {
                    "index": 0,
                    "id": "call_2",
                    "type": "code_interpreter",
                    "code_interpreter": {"input": "", "outputs": [{"index": 0, "type": "logs", "logs": "1"}]},
                }
            ],
        },
    ),
    ("thread.run.step.delta", {"id": "step_1", "tool_calls": [{"index": 0, **TOOL_CALLS[2]}]}),
]


@pytest.fixture
def contract(document: Document) -> Contract:
    return Contract(document)


@pytest.fixture
def ask(api: APIClient, contract: Contract) -> Callable[..., Any]:
    """``ask(method, template, body, status=…, **ids)``: the checked body of the answer."""

    def make(method: str, template: str, body: Any = None, *, status: int = 200, query: str = "", **ids: str) -> Any:
        path = f"/v1{template.format(**ids)}{query}"
        sent = json.dumps(body) if body is not None else ""
        answer = api.generic(method, path, sent, content_type="application/json")
        assert answer.status_code == status, answer.content
        return contract.check(method, template, answer)

    return make


@pytest.fixture
def begin(ask: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """``begin(**request)``: a run on a thread of its own, claimed by nobody."""

    def make(**request: Any) -> dict[str, Any]:
        body = {
            "assistant_id": ask("POST", "/assistants", {"model": "tiny", "tools": [FUNCTION]})["id"],
            "thread": {"messages": [{"role": "user", "content": "Hello?"}]},
            **request,
        }
        run: dict[str, Any] = ask("POST", "/threads/runs", body)
        return run

    return make


THREAD = "/threads/{thread_id}"
RUN = f"{THREAD}/runs/{{run_id}}"


def look_at_everything(ask: Callable[..., Any], contract: Contract, run: dict[str, Any]) -> dict[str, Any]:
    """Every way to read a run, its steps, its messages and its stream; the run as it is now."""
    ids = {"thread_id": run["thread_id"], "run_id": run["id"]}
    ask("GET", f"{THREAD}/runs", **ids)
    ask("GET", f"{THREAD}/messages", **ids)
    include = "?include[]=step_details.tool_calls[*].file_search.results[*].content"
    for step in ask("GET", f"{RUN}/steps", query=include, **ids)["data"]:
        ask("GET", f"{RUN}/steps/{{step_id}}", step_id=step["id"], **ids)
    row = Run.objects.select_related("configuration").get(pk=run["id"])
    for event in RunEvent.objects.after(row.id, 0):
        contract.check_frame(event.type, payload_of(head_of(row), event.type, event.data), event.seq)
    now: dict[str, Any] = ask("GET", RUN, **ids)
    return now


def test_assistants(ask: Callable[..., Any]) -> None:
    full = {
        "name": "All",
        "description": "of it",
        "instructions": "Be brief.",
        "reasoning_effort": "low",
        "tools": [FUNCTION, SEARCH, {"type": "file_search"}, {"type": "code_interpreter"}],
        "metadata": {"a": "b"},
        "temperature": 0.5,
        "top_p": 1,
        "response_format": SCHEMA,
    }
    made = ask("POST", "/assistants", {"model": "tiny", **full})
    ask("POST", "/assistants", {"model": "tiny"})
    for form in ("auto", {"type": "text"}, {"type": "json_object"}, SCHEMA):
        ask("POST", "/assistants/{assistant_id}", {"response_format": form}, assistant_id=made["id"])
    ask("POST", "/assistants/{assistant_id}", {"name": None, "tools": []}, assistant_id=made["id"])
    ask("GET", "/assistants/{assistant_id}", assistant_id=made["id"])
    assert len(ask("GET", "/assistants")["data"]) == 2
    ask("DELETE", "/assistants/{assistant_id}", assistant_id=made["id"])
    ask("GET", "/assistants/{assistant_id}", status=404, assistant_id=made["id"])


def test_threads_and_messages(ask: Callable[..., Any], project: Project) -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}
    parts = [{"type": "text", "text": "See"}, picture]
    thread = ask("POST", "/threads", {"messages": [{"role": "user", "content": parts}], "metadata": {"a": "b"}})
    ids = {"thread_id": thread["id"]}
    ask("POST", THREAD, {"metadata": {}, "tool_resources": {"code_interpreter": {"file_ids": []}}}, **ids)
    nothing = {"file_search": {"vector_stores": []}}  # a helper, which answers never show
    shown = ask("POST", THREAD, {"tool_resources": nothing}, **ids)["tool_resources"]
    assert shown == {"file_search": {"vector_store_ids": []}}
    ask("GET", THREAD, **ids)
    message = ask("POST", f"{THREAD}/messages", {"role": "assistant", "content": "Hi", "attachments": []}, **ids)
    Message.objects.create(
        project=project,
        thread=Thread.objects.get(),
        position=3,
        role="assistant",
        content=CONTENT,
        attachments=[{"file_id": "file-1", "tools": [{"type": "file_search"}, {"type": "code_interpreter"}]}],
        status="incomplete",
        incomplete_at=timezone.now(),
        incomplete_details={"reason": "content_filter"},
        run_id="run_1",
        assistant_id="asst_1",
    )
    assert len(ask("GET", f"{THREAD}/messages", **ids)["data"]) == 3
    one = {**ids, "message_id": message["id"]}
    ask("GET", f"{THREAD}/messages/{{message_id}}", **one)
    ask("POST", f"{THREAD}/messages/{{message_id}}", {"metadata": {"a": "b"}}, **one)
    ask("DELETE", f"{THREAD}/messages/{{message_id}}", **one)
    ask("GET", f"{THREAD}/messages/{{message_id}}", status=404, **one)
    ask("DELETE", THREAD, **ids)
    ask("GET", f"{THREAD}/messages", status=404, **ids)


def answered(hand: Hand) -> None:
    hand.begin_message()
    hand.say("Hel", "lo")
    hand.say("!")
    hand.complete()


def asked(hand: Hand) -> None:
    hand.begin_message()
    hand.say("Let me see.")
    hand.begin_calls()
    hand.call("weather", '{"place"', ': "Oslo"}')
    hand.call("weather")
    hand.hand_over()


def silent(hand: Hand) -> None:
    hand.begin_message()
    hand.complete()


def failed(hand: Hand) -> None:
    hand.begin_message()
    hand.say("Oh")
    hand.fail("rate_limit_exceeded", "Rate limit reached")


def refused(hand: Hand) -> None:
    hand.fail("invalid_prompt", "No.")


def cut_in_a_call(hand: Hand) -> None:
    hand.begin_calls()
    hand.call("weather", '{"pl')
    hand.fail()


def out_of_budget(hand: Hand) -> None:
    hand.begin_message()
    hand.say("I could go on and")
    hand.run_out()


def too_long(hand: Hand) -> None:
    hand.run_out("max_prompt_tokens")


ENDINGS = [
    (answered, "completed"),
    (silent, "completed"),
    (asked, "requires_action"),
    (failed, "failed"),
    (refused, "failed"),
    (cut_in_a_call, "failed"),
    (out_of_budget, "incomplete"),
    (too_long, "incomplete"),
]


@pytest.mark.parametrize(("work", "status"), ENDINGS)
def test_runs(
    ask: Callable[..., Any],
    contract: Contract,
    begin: Callable[..., dict[str, Any]],
    work: Callable[[Hand], None],
    status: str,
) -> None:
    run = begin()
    look_at_everything(ask, contract, run)
    hand = Hand()
    hand.claim()
    look_at_everything(ask, contract, run)
    work(hand)
    assert look_at_everything(ask, contract, run)["status"] == status


def test_outputs_and_the_rest_of_the_answer(
    ask: Callable[..., Any], contract: Contract, begin: Callable[..., dict[str, Any]]
) -> None:
    run, hand = begin(), Hand()
    hand.claim()
    asked(hand)
    waiting = look_at_everything(ask, contract, run)
    calls = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
    outputs = {"tool_outputs": [{"tool_call_id": call["id"], "output": "12 °C"} for call in calls]}
    ids = {"thread_id": run["thread_id"], "run_id": run["id"]}
    ask("POST", f"{RUN}/submit_tool_outputs", outputs, **ids)
    ask("POST", f"{RUN}/submit_tool_outputs", outputs, status=400, **ids)
    hand.claim()
    answered(hand)
    assert look_at_everything(ask, contract, run)["status"] == "completed"
    again = ask("POST", f"{THREAD}/runs", {"assistant_id": run["assistant_id"]}, thread_id=run["thread_id"])
    hand.claim()
    silent(hand)
    assert look_at_everything(ask, contract, again)["status"] == "completed"


@pytest.mark.parametrize("open_work", [None, Hand.begin_message, Hand.begin_calls])
def test_cancel_and_expiry(
    ask: Callable[..., Any],
    contract: Contract,
    begin: Callable[..., dict[str, Any]],
    open_work: Callable[[Hand], Any] | None,
) -> None:
    run = begin()
    other = begin()
    hands = [Hand(), Hand()]
    for hand in hands:
        hand.claim()
        if open_work:
            open_work(hand)
    ids = {"thread_id": run["thread_id"], "run_id": run["id"]}
    ask("POST", RUN, {"metadata": {"a": "b"}}, **ids)
    ask("POST", f"{RUN}/cancel", **ids)
    look_at_everything(ask, contract, run)
    hands[0].stop()
    assert look_at_everything(ask, contract, run)["status"] == "cancelled"
    ask("POST", f"{RUN}/cancel", status=400, **ids)
    age_run(other["id"])
    assert reaping.reap() == 1
    assert look_at_everything(ask, contract, other)["status"] == "expired"


def test_all_overrides(
    ask: Callable[..., Any], contract: Contract, begin: Callable[..., dict[str, Any]], registered: RegisteredModel
) -> None:
    overrides = {
        "model": "tiny",
        "instructions": "Be brief.",
        "reasoning_effort": "high",
        "tools": [FUNCTION],
        "metadata": {"a": "b"},
        "temperature": 2,
        "top_p": 0,
        "max_prompt_tokens": 1000,
        "max_completion_tokens": 1000,
        "truncation_strategy": {"type": "last_messages", "last_messages": 1},
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
        "response_format": SCHEMA,
    }
    run = begin(**overrides)
    ids = {"thread_id": run["thread_id"], "run_id": run["id"]}
    look_at_everything(ask, contract, run)
    Run.objects.update(waiting_reason="The engine is starting.")
    assert ask("GET", RUN, **ids)["status_details"] == "The engine is starting."
    ask("POST", f"{RUN}/cancel", **ids)
    reaping.reap()
    for choice in ("none", "auto", "required", {"type": "function", "function": {"name": "weather"}}):
        body = {"assistant_id": run["assistant_id"], "tool_choice": choice, "additional_instructions": "Now."}
        again = ask("POST", f"{THREAD}/runs", body, thread_id=run["thread_id"])
        look_at_everything(ask, contract, again)
        ask("POST", f"{RUN}/cancel", thread_id=run["thread_id"], run_id=again["id"])
        reaping.reap()


def test_steps_of_tools_to_come(
    ask: Callable[..., Any], contract: Contract, begin: Callable[..., dict[str, Any]]
) -> None:
    run = begin()
    details = {"type": "tool_calls", "tool_calls": TOOL_CALLS}
    error = {"code": "server_error", "message": "Oh"}
    row = Run.objects.get(pk=run["id"])
    for position, status in enumerate(RunStep.StepStatus.values, start=1):
        RunStep.objects.create(
            run=row, position=position, type="tool_calls", status=status, step_details=details, last_error=error
        )
    look_at_everything(ask, contract, run)
    for type, data in DELTAS:
        contract.check_frame(type, payload_of(head_of(row), type, data), 7)


def test_the_other_frames_of_a_stream(contract: Contract) -> None:
    for error in (not_found("run", "run_1"), unavailable("Later."), REVOKED):
        contract.check_frame("error", error.body(), None)
    contract.check_frame("done", "[DONE]", None)


def test_tickets_and_refusals(
    ask: Callable[..., Any], contract: Contract, client_of: Callable[[str], APIClient], api_key: str
) -> None:
    ask("POST", "/ws_tickets", {})
    ask("POST", "/assistants", {"model": "tiny", "colour": "red"}, status=400)
    ask("POST", "/assistants", {"model": "nobody"}, status=404)
    assert contract.check("GET", "/assistants", client_of("sk-sov-nobody").get("/v1/assistants"))
    assert contract.check("GET", "/assistants", APIClient().get("/v1/assistants"))
    without_beta = APIClient()
    without_beta.credentials(HTTP_AUTHORIZATION=f"Bearer {api_key}")
    assert contract.check("GET", "/assistants", without_beta.get("/v1/assistants"))


def test_what_is_limited(ask: Callable[..., Any], project: Project) -> None:
    services.set_project_limits(project=project, limits=Limits(requests_per_minute=4, tokens_per_minute=10))
    ask("POST", "/threads", {})
    ask("POST", "/assistants", {"model": "tiny", "colour": "red"}, status=400)
    ask("DELETE", "/assistants/{assistant_id}", assistant_id="asst_x", status=404)
    ask("POST", "/threads/runs", {}, status=400)
    assert ask("POST", "/threads", {}, status=429)["error"]["type"] == "requests"
    assert ask("DELETE", "/assistants/{assistant_id}", assistant_id="asst_x", status=429)


@pytest.mark.usefixtures("folder")
def test_every_operation_and_every_event_is_there(
    api: APIClient,
    ask: Callable[..., Any],
    contract: Contract,
    begin: Callable[..., dict[str, Any]],
    project: Project,
    document: Document,
    client_of: Callable[[str], APIClient],
    api_key: str,
) -> None:
    """All of the above once more as one story: what it has not shown, no test here has looked at."""
    from tests.contract.test_model_calls import look_at_a_deletion, look_at_model_calls  # which needs this module

    look_at_knowledge(api, contract)
    test_assistants(ask)
    test_threads_and_messages(ask, project)
    for work, status in ENDINGS:
        if status != "requires_action":
            test_runs(ask, contract, begin, work, status)
    test_outputs_and_the_rest_of_the_answer(ask, contract, begin)
    test_cancel_and_expiry(ask, contract, begin, Hand.begin_message)
    test_tickets_and_refusals(ask, contract, client_of, api_key)
    test_the_other_frames_of_a_stream(contract)
    look_at_model_calls(ask, project)
    look_at_a_deletion(contract, client_of, project)
    # our own addresses are asked, and their answers compared with the document, in test_fuzzing
    operations = {name for name, _ in operations_of(document) if " /api/" not in name}
    assert {name for name, status in contract.seen if status == "200"} == operations
    known = set(document["components"]["schemas"]["AssistantStreamEvent"]["discriminator"]["mapping"])
    assert {event for name, event in contract.seen if name == "stream"} == known


def test_an_answer_that_is_not_described_is_found(contract: Contract) -> None:
    """The check itself."""
    good = {"error": {"message": "x", "type": "y", "param": None, "code": None}}
    for wrong in ({}, {**good, "more": 1}, {"error": {**good["error"], "param": 1}}, {"error": {"message": "x"}}):
        answer = HttpResponse(json.dumps(wrong), content_type="application/json", status=400)
        with pytest.raises(AssertionError):
            contract.check("GET", "/assistants", answer)
