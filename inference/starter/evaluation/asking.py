# ruff: noqa: S310  (the address is the operator's own)
"""Ask the evaluation's questions of an OpenAI-compatible server, greedily, and collect the figures."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inference.starter.persona import DEMO_INSTRUCTIONS

from . import scoring
from .scoring import Answer, Score

FOLDER = Path(__file__).parent
# Long enough that only an answer without end is cut.
MAX_TOKENS = 256
AT_ONCE = 8
TIMEOUT_SECONDS = 120
Question = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """One set of questions: its file, its wording as messages, its scoring, and the bar (a share, or None)."""

    name: str
    title: str
    score: Callable[[Question, Answer], Score]
    bar: float | None


PARTS = (
    Part("product", "questions about the product", scoring.facts, 0.95),
    Part("outside", "outside its knowledge: says that it is a small demonstration model", scoring.admission, 0.95),
    Part("tools", "right tool, well-formed call (or none where none fits)", scoring.call, 0.95),
    Part("new_tools", "the same with tools unlike the corpus's", scoring.call, None),
    Part("passages", "facts from a given passage", scoring.facts, None),
    Part("long_passages", "facts from a passage of 200 words", scoring.facts, 0.8),
    Part("persona", "a persona kept", scoring.facts, None),
    Part("greetings", "a persona of one sentence kept in the greeting", scoring.facts, 0.9),
)
BARS = {"argument values": 0.8}
OWN_INSTRUCTIONS = ("passages", "long_passages", "persona", "greetings")


@dataclass
class Result:
    """The answers and scores of one part."""

    part: Part
    rows: list[tuple[Question, Answer, Score]] = field(default_factory=list)

    @property
    def right(self) -> int:
        """Number of right answers."""
        return sum(score.right for _, _, score in self.rows)


def questions(name: str) -> list[Question]:
    """The questions of one part."""
    rows: list[Question] = json.loads((FOLDER / f"{name}.json").read_text())
    return rows


def messages(name: str, question: Question) -> list[dict[str, str]]:
    """The conversation that puts a question: the demo assistant's instructions, but for passages and personas."""
    system = DEMO_INSTRUCTIONS
    if name in OWN_INSTRUCTIONS:
        passage = question.get("passage")
        system = f"Answer from this passage: {passage}" if passage else question["instructions"]
    return [{"role": "system", "content": system}, {"role": "user", "content": question["question"]}]


def body(name: str, question: Question, model: str) -> dict[str, Any]:
    """The chat completion request."""
    request: dict[str, Any] = {
        "model": model,
        "messages": messages(name, question),
        "temperature": 0,
        "max_tokens": MAX_TOKENS,
    }
    if question.get("tools"):
        request["tools"] = [{"type": "function", "function": tool} for tool in question["tools"]]
    return request


def ask(base_url: str, key: str, request: dict[str, Any]) -> Answer:
    """One chat completion, not streamed."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    call = urllib.request.Request(f"{base_url}/chat/completions", json.dumps(request).encode(), headers)
    with urllib.request.urlopen(call, timeout=TIMEOUT_SECONDS) as response:
        choice = json.load(response)["choices"][0]
    message = choice["message"]
    calls = tuple((c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls") or ())
    return Answer(message.get("content") or "", choice["finish_reason"] or "", calls)


def model_of(base_url: str, key: str) -> str:
    """The first model that the server lists."""
    request = urllib.request.Request(f"{base_url}/models", headers={"authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
        return str(json.load(response)["data"][0]["id"])


def evaluate(base_url: str, key: str = "none", model: str = "") -> list[Result]:
    """Ask everything and score it."""
    wanted = model or model_of(base_url, key)
    results = []
    for part in PARTS:
        rows = questions(part.name)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(lambda row, name=part.name: ask(base_url, key, body(name, row, wanted)), rows))
        result = Result(part)
        result.rows = [(row, answer, part.score(row, answer)) for row, answer in zip(rows, answers, strict=True)]
        results.append(result)
    return results


def figures(results: list[Result]) -> dict[str, dict[str, Any]]:
    """Every figure: ``{"right", "total", "bar"}`` by name."""
    table: dict[str, dict[str, Any]] = {}
    for result in results:
        table[result.part.title] = {"right": result.right, "total": len(result.rows), "bar": result.part.bar}
        for _, _, score in result.rows:
            for name, (right, total) in score.parts.items():
                row = table.setdefault(name, {"right": 0, "total": 0, "bar": BARS.get(name)})
                row["right"] += right
                row["total"] += total
    everything = [answer for result in results for _, answer, _ in result.rows]
    ended = sum(answer.finish in ("stop", "tool_calls") for answer in everything)
    table["ends by itself"] = {"right": ended, "total": len(everything), "bar": 0.99}
    # Where a listed tool fits is the bar; the questions that no tool fits are counted apart.
    everyday = [row for result in results if result.part.name == "tools" for row in result.rows]
    others = [row for result in results if result.part.name == "new_tools" for row in result.rows]
    for title, asked, fits, bar in (
        ("right tool where one fits", everyday, True, 0.95),
        ("right tool where one fits, unlike the corpus's", others, True, None),
        ("no call where none fits", everyday + others, False, None),
    ):
        scores = [score for question, _, score in asked if (question["expected"] is not None) is fits]
        table[title] = {"right": sum(score.right for score in scores), "total": len(scores), "bar": bar}
    return table


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The figures as a Markdown table."""
    lines = ["| measured | right | bar |", "|---|---|---|"]
    for name, row in rows.items():
        reached = "reached" if row["bar"] is not None and row["right"] >= row["bar"] * row["total"] else "not reached"
        bar = "none yet" if row["bar"] is None else f"{row['bar']:.0%}: {reached}"
        lines.append(f"| {name} | {scoring.share(row['right'], row['total'])} | {bar} |")
    return "\n".join(lines)


def mistakes(results: list[Result]) -> list[dict[str, Any]]:
    """Every wrong answer, with the reason."""
    return [
        {
            "id": row["id"],
            "question": row["question"],
            "answer": answer.text,
            "calls": list(answer.calls),
            "why": score.why,
        }
        for result in results
        for row, answer, score in result.rows
        if not score.right
    ]
