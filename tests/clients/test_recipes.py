"""Every recipe of ``docs/clients.md`` against real processes: what it printed, and what the server has of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.clients.players import RECIPES, Player
from tests.support.client import tokens
from tests.support.fixtures import clients
from tests.support.processes import Stack, Upstream

pytestmark = pytest.mark.sdk

#: what the scripted engine makes of the recipes' questions; to any other it says ten tokens
LINES = {
    "What is the weather in Lisbon and in Oslo?": "[tool=get_weather calls=2 with=city:Lisbon,Oslo tokens=6]",
    "And in Lisbon?": "[tool=get_weather with=city:Lisbon tokens=4]",
    "How late is it?": "[tool=get_time tokens=3]",
}
LISBON, OSLO = "Sunny in Lisbon.", "Sunny in Oslo."


class Ran(NamedTuple):
    """A run as its rows tell it: the outputs of its tools (empty where it used none), and what it said."""

    outputs: list[str]
    text: str


PLAIN = Ran([], tokens(10))
BOTH = Ran([LISBON, OSLO], tokens(6))
ONE = Ran([LISBON], tokens(4))

FOUR_QUESTIONS = (
    [f"completed:{tokens(10)}", tokens(10), f"{LISBON} {OSLO}", f"completed:{tokens(6)}", tokens(4)],
    [PLAIN, PLAIN, BOTH, ONE],
)
THREE_QUESTIONS = ([f"completed:{tokens(10)}", tokens(10), LISBON, tokens(4)], [PLAIN, PLAIN, ONE])
ASYNC = ([f"completed:{tokens(10)}", tokens(3)], [PLAIN, Ran(["12:00"], tokens(3))])
LANGCHAIN = ([tokens(10), tokens(10), f"{LISBON} {OSLO}", tokens(6)], [PLAIN, PLAIN, BOTH])
LITELLM = (
    [f"completed:{tokens(10)}", tokens(10), '{"city": "Lisbon"} {"city": "Oslo"}', f"completed:{tokens(6)}"],
    [PLAIN, PLAIN, Ran(["Sunny.", "Sunny."], tokens(6))],
)
SEMANTIC_KERNEL = (
    [tokens(10), tokens(10), "(looks up Lisbon)", "(looks up Oslo)", tokens(6), "(looks up Lisbon)", tokens(4)],
    [PLAIN, PLAIN, BOTH, ONE],
)

RUNNABLE_V2 = {
    "from langchain_classic.agents.openai_assistant import OpenAIAssistantRunnable": (
        "from langchain_community.agents.openai_assistant import OpenAIAssistantV2Runnable as OpenAIAssistantRunnable"
    )
}

CASES: dict[str, tuple[Player, tuple[list[str], list[Ran]]]] = {
    **{f"openai-python-{n}": (Player("openai_python.py", f"openai-{n}"), FOUR_QUESTIONS) for n in (1, 2, 3)},
    **{f"openai-python-{n}-async": (Player("openai_python_async.py", f"openai-{n}"), ASYNC) for n in (1, 2, 3)},
    "openai-node-4": (Player("openai_node_4.mjs", package="openai-4"), FOUR_QUESTIONS),
    "openai-node-5": (Player("openai_node.mjs", package="openai-5"), FOUR_QUESTIONS),
    "openai-node-6": (Player("openai_node.mjs", package="openai-6"), FOUR_QUESTIONS),
    "openai-node-7": (Player("openai_node.mjs", package="openai"), FOUR_QUESTIONS),
    "langchain-1": (Player("langchain_assistant.py", "langchain-1"), LANGCHAIN),
    "langchain-1-v2": (Player("langchain_assistant.py", "langchain-1", edits=RUNNABLE_V2), LANGCHAIN),
    "langchain-0": (
        Player("langchain_assistant.py", "langchain-0", edits={"langchain_classic": "langchain"}),
        LANGCHAIN,
    ),
    "litellm": (Player("litellm_assistant.py", "litellm"), LITELLM),
    "semantic-kernel": (Player("semantic_kernel_agent.py", "semantic-kernel"), SEMANTIC_KERNEL),
    "curl": (Player("curl.sh"), THREE_QUESTIONS),
}
NEWEST = ["openai-python-3", "openai-python-3-async", "openai-node-7", "curl"]


def test_every_recipe_is_played() -> None:
    assert {player.recipe for player, _ in CASES.values()} == {
        path.name for path in RECIPES.iterdir() if path.is_file()
    }


@pytest.mark.parametrize("case", clients(CASES, NEWEST))
def test_a_recipe_does_what_it_says(server: Stack, upstream: Upstream, tmp_path: Path, case: str) -> None:
    player, (printed, ran) = CASES[case]
    upstream.teach(LINES)
    before = {run for run, _ in runs_of(server)}
    assert player.play(server, tmp_path).splitlines() == printed
    mine = [(run, status) for run, status in runs_of(server) if run not in before]
    assert [status for _, status in mine] == ["completed"] * len(ran)
    assert [told(server, run) for run, _ in mine] == ran


def runs_of(server: Stack) -> list[tuple[str, str]]:
    """Every run and its status, oldest first."""
    return [
        (run, status) for run, status in server.database.rows("SELECT id, status FROM runs_run ORDER BY created_at")
    ]


def told(server: Stack, run: str) -> Ran:
    """What the rows of a completed run say, once it is certain that they belong together."""
    steps = server.database.rows(
        "SELECT type, status, step_details FROM runs_runstep WHERE run_id = ? ORDER BY position", run
    )
    assert {status for _, status, _ in steps} == {"completed"}
    *tools, said = [(type, value(details)) for type, _, details in steps]
    assert [type for type, _ in tools] == ["tool_calls"] * len(tools)
    assert said[0] == "message_creation"
    outputs = [call["function"]["output"] for _, details in tools for call in details["tool_calls"]]
    [(message, content)] = server.database.rows("SELECT id, content FROM threads_message WHERE run_id = ?", run)
    assert message == said[1]["message_creation"]["message_id"]
    return Ran(outputs, "".join(part["text"]["value"] for part in value(content)))


def value(column: Any) -> Any:
    """A JSON column; SQLite gives it as text."""
    return json.loads(column) if isinstance(column, str) else column
