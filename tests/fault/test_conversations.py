"""Workers are killed while a model sums up a conversation: it is summed up once, and nothing of it is lost."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.client import unique
from tests.support.fixtures import Cluster
from tests.support.processes import Stack, Upstream, eventually

pytestmark = pytest.mark.fault

WINDOW = 256  # tokens
TALK = [f"{number}: how lovely the weather is today, and how green the meadows are!" for number in range(14)]


def test_where_every_worker_dies_amid_a_summary_the_next_ones_make_it_once(
    cluster: Cluster, stack: Stack, upstream: Upstream
) -> None:
    client, key = stack.client, unique()
    fact = "The user's cat is Mimi."
    upstream.teach({f"sum-{key}": fact})
    history = [f"My cat is Mimi. [text=sum-{key} hold=0 key={key}]", "Noted.", *TALK]
    said = [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(history)]
    context = {"compression": "summary", "window_tokens": WINDOW}
    conversation = client.post(
        "/api/v1/conversations", {"assistant_id": client.assistant(), "messages": said, "context": context}
    )
    path, thread = f"/api/v1/conversations/{conversation['id']}", conversation["thread_id"]
    client.post(f"{path}/messages", {"content": "Hello?"})
    eventually(lambda: upstream.stats(key)["open"] == 1, what="the model's work on the summary")
    for worker in cluster.workers:
        worker.kill()
    eventually(lambda: upstream.stats(key)["open"] == 0, what="the model hears that nobody listens")
    upstream.release(key)
    stack.database.age_summing_up(conversation["id"])
    cluster.heal()

    def rests() -> Any:
        state = "SELECT summary_due_at, summary_lease_owner FROM conversations_conversation WHERE id = ?"
        return stack.database.rows(state, conversation["id"]) == [(None, None)]

    eventually(rests, what="the summary")
    kept = stack.database.rows("SELECT text FROM threads_threadsummary WHERE thread_id = ?", thread)
    assert kept == [(fact,)], "one summary, not two"
    assert len(upstream.stats(key)["requests"]) == 2, "the model was asked once more"
    told = client.get(f"{path}/summary")
    assert (told["text"], told["summary_error"], told["context"]["cut"]) == (fact, None, "summary")
    there = stack.database.rows("SELECT count(*) FROM threads_message WHERE thread_id = ?", thread)
    assert there == [(len(history) + 2,)]

    client.post(f"{path}/messages", {"content": f"What is my cat? [keep=1 key=ask-{key}]"})
    [sent] = upstream.kept(f"ask-{key}")
    assert sent["messages"][0]["content"].endswith(f"> {fact}")
    assert "Mimi" not in str(sent["messages"][1:])
