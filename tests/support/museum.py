"""An installation as it looks after weeks of use: a museum's assistants, what they know, and what was asked of them.

Everything is made over the API, as the museum's people would; only the weeks before are written by ``past``.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from openai import OpenAI

from sovereign.accounts.scopes import ALL_SCOPES, OF_THE_HOUSE
from tests.support.client import TERMINAL, Client
from tests.support.processes import ROOT, START_TIMEOUT, Stack, eventually

LATER = 300.0  # seconds: a real engine on a busy machine
DESK = "Museum desk"
HANDBOOK = """\
# Visiting the Harbour Museum

The Harbour Museum in Kotka was founded in 1987 by the retired captain Eero Salminen. It shows more than 4,200 objects \
from the history of the port, among them the oldest lighthouse lamp of the country.

The museum is open from Tuesday to Saturday between 10:00 and 17:30, and it is closed on public holidays. A ticket for \
adults costs 11 euros, children under twelve pay 4 euros, and groups of at least fifteen people get a discount of 20 \
percent.

Guided tours start every day at 14:00 in the entrance hall and take about 75 minutes. The cafe on the ground floor is \
run by Mirja Laine and is known for its cinnamon buns.
"""
FIRST = "You are Captain Eero, the helpful assistant of the Harbour Museum in Kotka. Answer in one sentence."
SECOND = (
    "You are Captain Eero, the helpful assistant of the Harbour Museum in Kotka. "
    "Answer from the museum's handbook, in two friendly sentences at most. "
    "Where the handbook says nothing, say so and name the desk's telephone."
)
QUESTIONS = (
    "Who runs the cafe?",
    "When do the guided tours start?",
    "How much is a ticket for adults?",
    "Hello, who are you?",
    "In which year was the museum founded?",
)
OTHERS = (
    ("School tours", "Plans the visits of classes: times, groups, teachers.", "You are Aino, who plans school visits."),
    ("Shop helper", "Answers questions about orders of the museum's shop.", "You are Otto, the helper of the shop."),
    ("Archive finder", "Finds sea charts and photographs in the archive.", "You are Pekka, who knows the archive."),
)


@dataclass(frozen=True, slots=True)
class Museum:
    """The ids of what is shown."""

    assistant: str
    store: str
    prompt: str
    evaluation: str
    runs: tuple[str, ...]
    threads: tuple[str, ...]


def furnish(stack: Stack, model: str) -> Museum:
    """Make it all in an installation that answers with ``model``."""
    scopes = ALL_SCOPES - OF_THE_HOUSE
    key = stack.another_key("Museum website", *(word for scope in sorted(scopes) for word in ("--scope", scope)))
    client = Client(stack.url, key)
    store = _store(stack, key)
    others = [_assistant(client, model, *words) for words in OTHERS]
    desk = _assistant(client, model, DESK, "Answers visitors' questions from the museum's handbook.", FIRST, store)
    prompt = client.post("/api/v1/prompts", PROMPT)["id"]
    _lives(client, desk)
    asked = [_asked(client, desk, question) for question in QUESTIONS]
    runs, threads = tuple(run for run, _ in asked), tuple(thread for _, thread in asked)
    client.post(f"/api/v1/runs/{runs[0]}/feedback", {"rating": "up", "comment": "Exactly what I asked."})
    client.post(f"/api/v1/runs/{runs[3]}/feedback", {"rating": "down", "comment": "Too short."})
    evaluation = client.post(
        "/api/v1/evaluations", {"name": "What visitors ask", "assistant_id": desk, "gates": {"production": 0.5}}
    )["id"]
    client.post(f"/api/v1/evaluations/{evaluation}/cases/from_run", {"run_id": runs[0], "name": QUESTIONS[0]})
    _remember(stack, model, [desk, *others])
    return Museum(desk, store, prompt, evaluation, runs, threads)


PROMPT = {
    "name": "House style",
    "description": "How everybody at the museum writes.",
    "template": "Write to {{ visitor }} as a host would: warm, brief, without exclamation marks.",
    "variables": [{"name": "visitor", "type": "string", "default": "the visitor"}],
}


def _store(stack: Stack, key: str) -> str:
    """A store with the handbook, read."""
    client = OpenAI(base_url=f"{stack.url}/v1", api_key=key)
    file = client.files.create(file=("visiting.md", HANDBOOK.encode()), purpose="assistants")
    store = client.vector_stores.create(name="Museum handbook", file_ids=[file.id])
    eventually(lambda: client.vector_stores.retrieve(store.id).file_counts.completed == 1, LATER, "the handbook read")
    identifier: str = store.id
    return identifier


def _assistant(client: Client, model: str, name: str, about: str, instructions: str, store: str = "") -> str:
    fields: dict[str, Any] = {
        "temperature": 0.1,
        "tags": ["visitors"],
        "description": about,
        "instructions": instructions,
    }
    if store:
        fields |= {"tools": [{"type": "file_search"}], "tool_resources": {"file_search": {"vector_store_ids": [store]}}}
    made = client.post("/api/v1/assistants", {"name": name, "model": model, "type": "conversational", **fields})
    identifier: str = made["id"]
    return identifier


def _lives(client: Client, assistant: str) -> None:
    """Two versions: the first is in service, the second is tried beside it."""
    address = f"/api/v1/assistants/{assistant}"
    client.post(f"{address}/versions", {"notes": "For the opening of the summer exhibition"})
    for environment in ("development", "testing"):
        client.post(f"{address}/deploy", {"environment": environment, "version": 1})
    client.request("PUT", address, {"instructions": SECOND, "temperature": 0.0})
    client.post(f"{address}/versions", {"notes": "Answers from the handbook, and says where it knows nothing"})
    client.post(f"{address}/deploy", {"environment": "development", "version": 2, "notes": "For the desk to try"})
    client.post(
        f"{address}/deploy", {"environment": "testing", "version": 2, "percent": 20, "notes": "A fifth of the testers"}
    )


def _asked(client: Client, assistant: str, question: str) -> tuple[str, str]:
    """A run that is over, and its thread."""
    thread = client.thread(question)
    run = client.run(thread, assistant)
    address = f"/v1/threads/{thread}/runs/{run}"
    eventually(lambda: client.get(address)["status"] in TERMINAL, LATER, f"an answer to {question}")
    return run, thread


def _remember(stack: Stack, model: str, assistants: list[str]) -> None:
    """As if the assistants had been asked for two weeks."""
    arguments = [sys.executable, "-m", "tests.support.past", model, *assistants]
    done = subprocess.run(
        arguments, cwd=ROOT, env=stack.environment, capture_output=True, text=True, timeout=START_TIMEOUT, check=False
    )
    assert done.returncode == 0, done.stderr
