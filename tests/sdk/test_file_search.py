"""Questions about three real documents through the official SDK: uploaded, ingested, searched, answered and cited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.beta import FileSearchToolParam
from openai.types.beta.threads import Message

from tests.knowledge import library

pytestmark = [
    pytest.mark.sdk,
    pytest.mark.filterwarnings("ignore:deprecated|The Assistants API is deprecated:DeprecationWarning"),
]

CONTENT: Any = "step_details.tool_calls[*].file_search.results[*].content"
SEARCH: FileSearchToolParam = {"type": "file_search"}


@pytest.fixture
def store(sdk: openai.OpenAI, tmp_path: Path) -> str:
    """A vector store with the three documents, searchable."""
    made = sdk.vector_stores.create(name="Documents")
    for path in library.write(tmp_path):
        held = sdk.vector_stores.files.upload_and_poll(vector_store_id=made.id, file=path, poll_interval_ms=50)
        assert (held.status, held.last_error) == ("completed", None)
    return made.id


def names_of(sdk: openai.OpenAI, store: str) -> dict[str, str]:
    """File names by their ids."""
    return {held.id: sdk.files.retrieve(held.id).filename for held in sdk.vector_stores.files.list(store)}


def citations_of(message: Message) -> list[str]:
    """The ids of the cited files; every annotation has to stand where it says."""
    (part,) = message.content
    assert part.type == "text"
    cited = []
    for annotation in part.text.annotations:
        assert annotation.type == "file_citation"
        assert part.text.value[annotation.start_index : annotation.end_index] == annotation.text
        cited.append(annotation.file_citation.file_id)
    return cited


def test_questions_about_three_documents_are_answered_with_citations(sdk: openai.OpenAI, store: str) -> None:
    names = names_of(sdk, store)
    assert sorted(names.values()) == sorted(library.PAGES)
    resources: Any = {"file_search": {"vector_store_ids": [store]}}
    assistant = sdk.beta.assistants.create(model="fake", tools=[SEARCH], tool_resources=resources)
    for name, word in library.QUESTIONS.items():
        question = f"What about it? [tool=file_search with=query:{word} cite={word}]"
        thread = sdk.beta.threads.create(messages=[{"role": "user", "content": question}])
        with sdk.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id, include=[CONTENT]) as stream:
            # the SDK's own snapshot of a step is what its deltas add up to: results come with its end alone
            search, _ = [event.data for event in stream if event.event == "thread.run.step.completed"]
            (message,) = stream.get_final_messages()
        assert message.content[0].type == "text"
        assert library.answer_in(name) in message.content[0].text.value
        assert [names[file_id] for file_id in citations_of(message)] == [name]
        assert search.step_details.type == "tool_calls"
        (call,) = search.step_details.tool_calls
        assert call.type == "file_search"
        (first, *_) = call.file_search.results or []
        assert (names[first.file_id], first.file_name) == (name, name)
        assert first.content is not None
        assert library.answer_in(name) in " ".join((first.content[0].text or "").split())
        (kept,) = sdk.beta.threads.messages.list(thread.id, run_id=message.run_id or "")
        assert citations_of(kept) == citations_of(message)


def test_a_file_that_is_attached_to_a_message_is_searched(sdk: openai.OpenAI, tmp_path: Path) -> None:
    """The run waits until it can be, and its texts are shown only where they are asked for."""
    *_, recipes = library.write(tmp_path)
    file = sdk.files.create(file=recipes, purpose="assistants")
    assistant = sdk.beta.assistants.create(model="fake", tools=[SEARCH])
    question = "How long does it bake? [tool=file_search with=query:marble cite=marble]"
    attachments: Any = [{"file_id": file.id, "tools": [{"type": "file_search"}]}]
    thread = sdk.beta.threads.create(messages=[{"role": "user", "content": question, "attachments": attachments}])
    run = sdk.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    assert (run.status, run.last_error) == ("completed", None)
    (message,) = sdk.beta.threads.messages.list(thread.id, run_id=run.id)
    assert citations_of(message) == [file.id]
    steps = sdk.beta.threads.runs.steps.list(run_id=run.id, thread_id=thread.id, order="asc")
    (search, _) = steps.data
    assert search.step_details.type == "tool_calls"
    (call,) = search.step_details.tool_calls
    assert call.type == "file_search"
    assert [(result.file_name, result.content) for result in call.file_search.results or []] == [("recipes.md", None)]
