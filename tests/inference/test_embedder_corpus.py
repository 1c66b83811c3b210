"""What the embedder learns from: prose without code, each text once, and nothing of what it is measured by."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from inference.embedder.corpus import passages, sources, thesaurus
from inference.embedder.evaluation.questions import BUSINESS, ELSEWHERE, UNSEEN, questions
from inference.embedder.evaluation.ranking import words
from inference.embedder.pairs import LONGEST, Learned, apart, pairs, sides

DOCSTRING = """Summary of what this does, in one line.

Longer words about it follow here; they explain a ``thing`` and :class:`~some.Other`. There is more.

>>> code(1, 2, 3)

Args:
    x: 1
"""
PAGE = """# First heading

A paragraph of prose with [a link](http://example.test/x) and more words.

```python
print("nothing of this is prose, however long the line of code may be")
```

## Second heading
Its words follow at once, and they are more than six. Here is one sentence more.
"""


def package(tmp_path: Path) -> Path:
    folder = tmp_path / "tool"
    (folder / "tests").mkdir(parents=True)
    (folder / "core.py").write_text(f"def list_invoice_units():\n    {DOCSTRING!r}\n")
    (folder / "tests" / "test_core.py").write_text('"""A docstring of a test, which nobody wants to learn from."""')
    (folder / "broken.py").write_text("def (")
    (folder / "page.md").write_text(PAGE)
    return folder


def test_docstrings_give_summary_and_body_without_code(tmp_path):
    [found] = passages.module_passages("tool", package(tmp_path))
    assert (found.group, found.title) == ("tool/core", "list invoice units")
    assert (
        found.sentences
        == (
            "Summary of what this does, in one line.",
            "Longer words about it follow here; they explain a thing and some.Other.",
            "There is more.",
        )[: len(found.sentences)]
    )
    assert len(found.sentences) >= 2


def test_pages_give_headings_and_paragraphs(tmp_path):
    found = list(passages.page_passages("tool", package(tmp_path)))
    assert [row.title for row in found] == ["First heading", "Second heading"]
    assert found[0].sentences == ("A paragraph of prose with a link and more words.",)
    assert "code" not in str(found)


def test_services_give_operations_shapes_and_members(tmp_path):
    folder = tmp_path / "botocore" / "data" / "invoicing" / "2024-12-01"
    folder.mkdir(parents=True)
    text = "<p>Lists all units of invoices that you may see. Others are left out of it.</p>"
    text += "<p>You can also filter the answer by account.</p>"
    member = {"documentation": "<p>The name under which the unit is shown to people.</p>"}
    model = {
        "metadata": {"serviceFullName": "Invoicing"},
        "documentation": "",
        "operations": {"ListInvoiceUnits": {"documentation": text}},
        "shapes": {"Unit": {"members": {"DisplayName": member}}},
    }
    (folder / "service-2.json.gz").write_bytes(gzip.compress(json.dumps(model).encode()))
    found = list(passages.service_passages("botocore", tmp_path / "botocore"))
    assert [(row.group, row.title) for row in found] == [
        ("botocore/invoicing", "list invoice units"),
        ("botocore/invoicing", ""),
        ("botocore/invoicing", "display name of unit"),
    ]
    assert len(found[0].sentences) == 2


@pytest.mark.parametrize(
    "text", ["x = [1, 2, 3]; y = {4: 5}; z = (6, 7)", "too short", "", "1 2 3 4 5 6 7 8 9 | 10 | 11 | 12"]
)
def test_what_is_no_prose_is_left_out(text):
    assert passages.sentences_of(text) == ()


def test_a_share_of_the_groups_is_held_out():
    groups = [f"package/module_{number}" for number in range(2000)]
    assert 0.02 < sum(map(sources.held_out, groups)) / len(groups) < 0.04


def test_every_package_is_pinned_with_a_licence():
    lines = [line for line in sources.PINS.read_text().splitlines() if not line.startswith("#")]
    assert len(sources.pins()) == len(lines)
    free = ("MIT", "BSD", "Apache")
    assert all(line.split("#")[1].strip().startswith(free) for line in lines)


def learned(count: int = 200) -> list[Learned]:
    rows = random.Random(1)
    return [
        Learned(
            "p", f"g{number // 10}", (1, 2, 3), tuple(tuple(rows.sample(range(900), 90)) for _ in range(number % 4 + 1))
        )
        for number in range(count)
    ]


def test_pairs_are_reproducible_bounded_and_differ_between_rounds():
    rows = learned()
    first = list(pairs(rows, 0))
    assert first == list(pairs(rows, 0))
    assert first != list(pairs(rows, 1))
    assert len(first) == len(rows)
    assert all(0 < len(side) <= LONGEST for pair in first for side in pair)


def test_a_query_is_no_part_of_its_own_passage():
    row = Learned("p", "g", (), ((1, 2), (3, 4), (5, 6)))
    for seed in range(20):
        query, answer = sides(row, None, random.Random(seed))
        assert not set(query) & set(answer)
        assert set(query) | set(answer) == {1, 2, 3, 4, 5, 6}


def test_a_query_loses_shared_words_but_not_all_of_them():
    found = [apart((1, 2, 3, 4), (3, 4), random.Random(seed)) for seed in range(50)]
    assert all(set(query) >= {1, 2} for query in found)
    assert 20 < sum(query == [1, 2] for query in found) < 50
    assert apart((3, 4), (3, 4), random.Random(0)) == (3, 4)


def test_the_thesaurus_pairs_different_terms_of_one_line():
    found = list(thesaurus.pairs(0))
    assert found == list(thesaurus.pairs(0))
    assert len(found) > 5_000
    left, right = thesaurus.halves(["a", "b", "c"], random.Random(3))
    assert not set(left.split()) & set(right.split())


def test_every_line_of_the_thesaurus_has_two_terms():
    assert all(len(line) > 1 and all(line) for topic in thesaurus.topics() for line in topic)


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("carry", {"carries", "carried", "carrying"}),
        ("box", {"boxes", "boxed", "boxing"}),
        ("stop", {"stops", "stopped", "stopping"}),
        ("hire", {"hires", "hired", "hiring"}),
        ("it", {"it"}),
        ("x-ray", {"x-ray"}),
    ],
)
def test_words_are_bent_regularly(word, forms):
    assert {thesaurus.form(word, random.Random(seed)) for seed in range(40)} == forms


def test_no_question_or_passage_stands_in_the_thesaurus():
    """Four words in a row of an evaluation's text are nowhere in it."""
    text = " " + " ".join(words(thesaurus.FILE.read_text())) + " "
    for path in (BUSINESS, ELSEWHERE, UNSEEN):
        for row in questions(path):
            for found in (words(row.text), words(row.passage)):
                runs = [" ".join(found[place : place + 4]) for place in range(len(found) - 3)]
                assert not [run for run in runs if f" {run} " in text]
