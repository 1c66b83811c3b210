"""What remains of questions that are long, or of another language."""

from __future__ import annotations

import time

import pytest

from assistants.knowledge.retrieval.rewriting import rewritten

LENGTH = 8192


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("An welchen Tagen ist offen?", "An welchen Tagen ist offen"),
        ("So funktioniert die Pumpe", "So funktioniert die Pumpe"),
        ("A quelle heure ouvre le musée ?", "A quelle heure ouvre le musée"),
        ("And so, could you tell me if the pump is blue?", "pump is blue"),
        ("The pump, thank you!", "The pump"),
        ("Tell me about the pump, PLEASE.", "pump"),
        ("What pleases, thanks", "What pleases"),
        ("What is displease", "displease"),
    ],
)
def test_what_remains(question: str, wanted: str) -> None:
    assert rewritten(question) == wanted


@pytest.mark.parametrize(
    "question",
    [
        "x" + "," * LENGTH + "y",
        "x" + " " * LENGTH + "y",
        "x" + "?" * LENGTH + "y",
        "the " * (LENGTH // 4),
        "please " * (LENGTH // 7),
        "what does " * (LENGTH // 10),
    ],
    ids=["commas", "blanks", "marks", "small words", "thanks", "asking"],
)
def test_a_long_question_takes_no_time(question: str) -> None:
    began = time.process_time()
    rewritten(question)
    assert time.process_time() - began < 0.5  # a pattern that tries every place takes half a minute
