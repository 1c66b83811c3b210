"""Marks in a model's text become annotations, however the text comes in pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.citations import Citing, Piece, mark_of, marks_of_path, settled

SOURCES = {
    "【1:0†a.md】": "file-a",
    "【1:1†b.pdf】": "file-b",
    "【1:1†source】": "file-b",
    "【12:0†🦊 fox.txt】": "file-c",
    "sandbox:/mnt/data/x.csv": "file-x",
    "sandbox:/mnt/data/x.csv.gz": "file-z",
    "sandbox:/mnt/data/x-": "file-y",
    "sandbox:/mnt/data/a b.csv": "file-s",
    "sandbox:/mnt/data/a%20b.csv": "file-s",
}
LONGEST = max(map(len, SOURCES))
PATHS = ["sandbox:", "sandbox:/mnt/data/x", "sandbox:/mnt/data/x.csv.", "s", "(", ")", "a", "6", ".", "-", "%"]
WORDS = [*SOURCES, *PATHS, "【", "】", "†", "【1:0", "【9:9†a.md】", "【1:0†b.pdf】", "So it is. ", "🦊", "\n", "é"]
texts = st.lists(st.sampled_from(WORDS), max_size=12).map("".join)


def pieces_of(text: str, cuts: list[int], citing: Citing) -> list[Piece]:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    pieces = [piece for start, end in pairwise(places) for piece in citing.take(text[start:end])]
    return [*pieces, *citing.rest()]


@given(texts, st.lists(st.integers(0, 500), max_size=30))
def test_any_cut_gives_the_same_text_and_annotations(text: str, cuts: list[int]) -> None:
    whole = pieces_of(text, [], Citing(SOURCES))
    cut = pieces_of(text, cuts, Citing(SOURCES))
    assert "".join(piece.text for piece in cut) == text
    cited = [piece for piece in cut if piece.annotation]
    assert cited == [piece for piece in whole if piece.annotation]
    for number, piece in enumerate(cited):
        annotation = piece.annotation
        assert annotation is not None
        assert annotation["index"] == number
        assert text[annotation["start_index"] : annotation["end_index"]] == annotation["text"] == piece.text
        if piece.text.startswith("sandbox:"):
            assert annotation["file_path"] == {"file_id": SOURCES[piece.text]}
        else:
            assert annotation["file_citation"] == {"file_id": SOURCES[piece.text], "quote": ""}


@given(texts)
def test_no_more_is_held_back_than_a_mark_has(text: str) -> None:
    citing, given_out = Citing(SOURCES), 0
    for place, character in enumerate(text, start=1):
        given_out += sum(len(piece.text) for piece in citing.take(character))
        assert 0 <= place - given_out <= LONGEST + 1
    assert given_out + sum(len(piece.text) for piece in citing.rest()) == len(text)


@given(texts, st.integers(0, 200))
def test_a_continued_message_counts_on(text: str, place: int) -> None:
    """What another worker committed is enough to go on: what it held back is said again."""
    whole, first = Citing(SOURCES), Citing(SOURCES)
    expected = [piece.annotation for piece in [*whole.take(text), *whole.rest()] if piece.annotation]
    committed = first.take(text[:place])
    length = sum(len(piece.text) for piece in committed)
    cited = [piece.annotation for piece in committed if piece.annotation]
    second = Citing(SOURCES, length=length, count=len(cited))
    cited += [piece.annotation for piece in [*second.take(text[length:]), *second.rest()] if piece.annotation]
    assert cited == expected


def test_only_marks_of_results_are_citations() -> None:
    text = "Cake【1:0†a.md】, not 【2:0†a.md】 or 【1:0†b.pdf】 or 【1】【1:0†a.md"
    cited = [piece.text for piece in pieces_of(text, [], Citing(SOURCES)) if piece.annotation]
    assert cited == ["【1:0†a.md】"]


def test_a_citation_is_a_piece_of_its_own() -> None:
    pieces = pieces_of("Cake【1:0†a.md】【1:1†source】.", [], Citing(SOURCES))
    assert [piece.text for piece in pieces] == ["Cake", "【1:0†a.md】", "【1:1†source】", "."]


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("[x](sandbox:/mnt/data/x.csv)", ["sandbox:/mnt/data/x.csv"]),
        ("See sandbox:/mnt/data/x.csv.", ["sandbox:/mnt/data/x.csv"]),
        ("sandbox:/mnt/data/x.csv", ["sandbox:/mnt/data/x.csv"]),
        ("sandbox:/mnt/data/x.csv.gz", ["sandbox:/mnt/data/x.csv.gz"]),
        ("sandbox:/mnt/data/x.csv.g", []),
        ("sandbox:/mnt/data/x.csv.bak and sandbox:/mnt/data/x.csv-old", []),
        ("sandbox:/mnt/data/x.csv%20copy", []),
        ("sandbox:/mnt/data/x.csv - so", ["sandbox:/mnt/data/x.csv"]),
        ("sandbox:/mnt/data/x.csv... so", ["sandbox:/mnt/data/x.csv"]),
        ("sandbox:/mnt/data/x.csv.gz.", ["sandbox:/mnt/data/x.csv.gz"]),
        ("sandbox:/mnt/data/x.csvx", []),
        ("(sandbox:/mnt/data/a b.csv)(sandbox:/mnt/data/a%20b.csv)", [*list(SOURCES)[-2:]]),
        ("/mnt/data/x.csv and sandbox:/mnt/data/y.csv", []),
    ],
)
def test_paths_of_files_that_code_has_made(text: str, cited: list[str]) -> None:
    found = [piece.annotation for piece in pieces_of(text, [*range(60)], Citing(SOURCES)) if piece.annotation]
    assert [annotation["text"] for annotation in found] == cited
    assert all(annotation["type"] == "file_path" for annotation in found)
    assert [text[annotation["start_index"] : annotation["end_index"]] for annotation in found] == cited


def test_the_marks_of_a_path() -> None:
    assert marks_of_path("/mnt/data/a b.csv") == set(list(SOURCES)[-2:])
    assert marks_of_path("/mnt/data/mein Ü (1).csv") == {
        "sandbox:/mnt/data/mein Ü (1).csv",
        "sandbox:/mnt/data/mein%20Ü%20(1).csv",
        "sandbox:/mnt/data/mein%20%C3%9C%20(1).csv",
        "sandbox:/mnt/data/mein%20%C3%9C%20%281%29.csv",
    }


def test_without_sources_nothing_is_held_back() -> None:
    citing = Citing({})
    assert citing.take("【1:0") == [Piece("【1:0")]
    assert citing.rest() == []


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("a b.md", "【2:3†a b.md】"),
        ("x】【1:0†y.md", "【2:3†x_1:0_y.md】"),
        ("two\nlines\t.txt", "【2:3†two_lines_.txt】"),
    ],
)
def test_a_name_cannot_end_its_mark(name: str, mark: str) -> None:
    assert mark_of(2, 3, name) == mark


def test_a_message_keeps_neither_the_place_nor_the_quote() -> None:
    (piece,) = Citing(SOURCES).take("【1:0†a.md】")
    assert piece.annotation is not None
    assert settled(piece.annotation) == {
        "type": "file_citation",
        "text": "【1:0†a.md】",
        "start_index": 0,
        "end_index": 10,
        "file_citation": {"file_id": "file-a"},
    }
    path = {"index": 0, "type": "file_path", "text": "x", "file_path": {"file_id": "file-p"}}
    assert settled(path)["file_path"] == {"file_id": "file-p"}
