"""How texts are cut: within every limit, without losing a word, and where they end by themselves."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistants.knowledge.chunking import Chunk, TooManyTokens, chunks, count_tokens

words = st.text(st.characters(exclude_categories=["Cs", "Z", "Cc"]), min_size=1, max_size=40)
BLANKS = [" ", "  ", "\n", "\n\n", "\t", "\r\n\n   ", " " * 40]
gaps = st.sampled_from([*BLANKS, ". ", "! ", "?\n", "。"])
texts = st.one_of(
    st.text(max_size=400),
    st.lists(st.tuples(words, gaps), max_size=120).map(lambda pairs: "".join(word + gap for word, gap in pairs)),
    st.tuples(st.sampled_from("x.1 \n。я😀"), st.integers(0, 3_000)).map(lambda pair: pair[0] * pair[1]),
)
sizes = st.integers(1, 120).flatmap(lambda maximum: st.tuples(st.just(maximum), st.integers(0, maximum // 2)))


def cut(text: str, maximum: int, overlap: int = 0) -> list[Chunk]:
    return list(chunks(text, maximum=maximum, overlap=overlap))


@given(texts, sizes)
@settings(max_examples=300, deadline=None)
def test_no_chunk_is_longer_than_the_limit_and_each_knows_its_length(text: str, size: tuple[int, int]) -> None:
    for chunk in cut(text, *size):
        assert len(chunk.text) > 0
        assert chunk.tokens == count_tokens(chunk.text) <= size[0]
        assert chunk.text == chunk.text.strip()


@given(texts, sizes)
@settings(deadline=None)
def test_each_chunk_is_where_it_says_and_they_are_in_order(text: str, size: tuple[int, int]) -> None:
    found = cut(text, *size)
    assert [text[chunk.start : chunk.start + len(chunk.text)] for chunk in found] == [chunk.text for chunk in found]
    for before, after in pairwise(found):
        assert before.start <= after.start
        assert before.start + len(before.text) < after.start + len(after.text)


@pytest.mark.parametrize("most", [299, 300])
def test_a_text_of_too_many_tokens_is_not_cut_to_its_end(most: int) -> None:
    begun = chunks("word. " * 150, maximum=40, overlap=10, most=most)
    if most == 300:
        assert list(begun)[-1].text.endswith("word.")
    else:
        with pytest.raises(TooManyTokens):
            list(begun)


@given(texts, st.integers(1, 120))
@settings(max_examples=300, deadline=None)
def test_without_overlap_the_chunks_are_the_text(text: str, maximum: int) -> None:
    assert "".join("".join(chunk.text.split()) for chunk in cut(text, maximum)) == "".join(text.split())


@given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from(BLANKS)), max_size=80), sizes)
@settings(max_examples=300, deadline=None)
def test_with_overlap_the_chunks_cover_the_text_in_order(runs: list[tuple[int, str]], size: tuple[int, int]) -> None:
    signs = iter(range(0x4E00, 0x9FFF))  # each comes once: so it is known where a chunk was
    text = "".join("".join(chr(next(signs)) for _ in range(length)) + gap for length, gap in runs)
    covered = 0
    for chunk in cut(text, *size):
        found = text.index(chunk.text[0])
        assert found == chunk.start
        assert text.startswith(chunk.text, found)
        assert not text[covered:found].strip(), "nothing but white space is left out"
        assert count_tokens(text[found:covered]) <= size[1]
        assert found + len(chunk.text) > covered, "each has something new"
        covered = found + len(chunk.text)
    assert not text[covered:].strip()


@given(texts, sizes)
@settings(deadline=None)
def test_the_same_text_is_always_cut_in_the_same_way(text: str, size: tuple[int, int]) -> None:
    assert cut(text, *size) == cut(text, *size)


def numbered(number: int) -> str:
    """Sentences of ten tokens each (nine words, of which two are long, and a full stop), no two alike."""
    return " ".join(f"Sentence {index} of the text says something." for index in range(number))


def test_a_chunk_begins_with_whole_sentences_of_the_one_before() -> None:
    found = cut(numbered(100), 100, 50)
    for before, after in pairwise(found):
        shared = next(
            size for size in range(len(after.text), -1, -1) if before.text.endswith(after.text[:size].strip())
        )
        assert after.text.startswith("Sentence ")
        assert 40 <= count_tokens(after.text[:shared]) <= 50


def test_without_overlap_nothing_comes_twice() -> None:
    assert " ".join(chunk.text for chunk in cut(numbered(100), 100)) == numbered(100)


def test_a_chunk_ends_with_a_paragraph_where_one_ends_near_the_limit() -> None:
    paragraphs = [numbered(9), numbered(8), numbered(9), numbered(8)]
    assert [chunk.text for chunk in cut("\n\n".join(paragraphs), 100)] == paragraphs


def test_a_sentence_that_ends_its_line_is_a_better_end_than_one_inside() -> None:
    text = f"{numbered(9)}\n{numbered(12)}"
    assert cut(text, 100)[0].text == numbered(9)


def test_lines_are_kept_whole_where_there_are_no_sentences() -> None:
    rows = [f"row;{number};value" for number in range(200)]
    assert [row for chunk in cut("\n".join(rows), 60) for row in chunk.text.split("\n")] == rows


def test_words_are_kept_whole_where_there_are_no_sentences() -> None:
    text = " ".join(f"word{number}" for number in range(500))
    assert [word for chunk in cut(text, 50) for word in chunk.text.split()] == text.split()


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("   ", 1),
        (" ", 0),
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("Assistants", 2),
        ("Grüße aus Österreich", 4),
        ("2026-11-21", 6),
        ("def f(x):\n    return x", 8),
        ("Привет", 2),
        ("東京都", 3),
        ("👩‍👩‍👧", 5),
    ],
)
def test_tokens_are_counted_by_a_rule_of_our_own(text: str, tokens: int) -> None:
    assert count_tokens(text) == tokens


@pytest.mark.parametrize("pattern", [".", ".)", '…"', "a.", "\n", " ", "x", "。"])
def test_a_text_that_repeats_one_sign_takes_no_longer_than_others(pattern: str) -> None:
    """Looking at every sign from every sign before it would take hours."""
    text = pattern * 300_000
    assert all(chunk.tokens <= 800 for chunk in cut(text, 800, 400))


@pytest.mark.parametrize(("maximum", "overlap"), [(0, 0), (10, 10), (10, -1)])
def test_impossible_sizes_are_refused(maximum: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="a chunk needs"):
        list(chunks("text", maximum=maximum, overlap=overlap))
