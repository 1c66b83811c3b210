"""The starter's corpus of texts: pages with questions, and answers that are sentences of what was given."""

from __future__ import annotations

import re
from random import Random

import pytest

from inference.starter import chat
from inference.starter.corpus import heldout, pages, quoting, searching
from inference.starter.corpus.pages import Line
from inference.starter.corpus.values import KINDS

SEEDS = range(150)


def spoken_by(turns: list[dict[str, object]], role: str) -> list[str]:
    return [str(turn["content"]) for turn in turns if turn["role"] == role and turn["content"]]


def test_every_line_of_the_pages_is_one_sentence_with_questions_and_known_values():
    lines = [line for page in pages.every_page() for line in page]
    assert len(lines) > 2_000
    for line in lines:
        assert line.sentence.endswith(".")
        assert line.questions, line.sentence
        slots = pages.SLOT.findall(line.sentence)
        assert set(slots) <= set(KINDS), line.sentence
        for question in line.questions:
            assert not question.endswith("?")
            assert all(0 < int(place) <= len(slots) for place in pages.REPEATED.findall(question)), question


def test_a_question_repeats_the_values_of_its_sentence():
    told = pages.told(Line("$PERSON moved to $CITY.", ("where did $1 move", "who moved to $2")), Random(4))
    person, city = re.fullmatch(r"(.+) moved to (.+)\.", told.sentence).groups()
    assert told.questions == (f"where did {person} move", f"who moved to {city}")


def test_comments_and_blank_lines_part_pages():
    read = pages.parsed("# a title\nOne thing.\n? what\n\n# another\nTwo things.\n? how many\n? which\n")
    assert [[line.sentence for line in page] for page in read] == [["One thing."], ["Two things."]]
    assert read[1][0].questions == ("how many", "which")


@pytest.mark.parametrize("kind", [quoting.page, quoting.notes])
def test_every_answer_is_a_sentence_of_the_given_text(kind):
    for seed in SEEDS:
        random = Random(seed)
        turns, tools = quoting.conversation(kind(random), random)
        assert turns[0]["role"] == "system"
        assert not tools
        for answer in spoken_by(turns, "assistant"):
            words, sentence = re.fullmatch(r"On (.+?): (.*)", answer).groups()
            assert sentence in turns[0]["content"]
            assert all(word in sentence for word in words.split())


def test_the_word_that_is_looked_up_is_the_rarest_that_question_and_sentence_share():
    text = ["The cafe is open on Monday.", "The cafe sells cakes.", "The museum opens at nine."]
    assert quoting.looked_up("when does the museum open", text[2], text) == "museum"
    assert quoting.looked_up("what does the cafe sell", text[1], text) == "sells"
    assert quoting.looked_up("is the cafe opening", text[0], text) == "open cafe"
    assert quoting.looked_up("who is the mayor", text[0], text) == ""


def test_prose_is_asked_for_by_a_word_of_its_own(tmp_path, monkeypatch):
    path = tmp_path / "prose.jsonl"
    path.write_text(
        '["a", "a", "", ["The parser reads every token of the file.", "A lease ends after six seconds."]]\n'
        '["b", "b", "", ["Columns keep the order of their keys.", "No full stop here"]]\n'
        '["c", "c", "", ["Whoever opens the door first turns on the light."]]\n'
    )
    monkeypatch.setattr(quoting, "PROSE", [path])
    quoting.prose_sentences.cache_clear()
    try:
        assert sum(len(paragraph) for paragraph in quoting.prose_sentences()) == 4
        others = {"a", "lease", "ends", "after", "six", "seconds"}
        for seed in SEEDS:
            asked = quoting.asked_of("The parser reads every token of the file.", others, Random(seed)).lower()
            assert any(word[:4] in asked for word in ("parser", "reads", "every", "token", "file"))
    finally:
        quoting.prose_sentences.cache_clear()


def test_answers_of_a_search_end_with_the_mark_of_the_passage_they_are_in():
    for seed in SEEDS:
        turns, _ = searching.searching(Random(seed))
        [results] = [turn["content"] for turn in turns if searching.HEAD in str(turn["content"])]
        passages = dict(
            re.findall(r"(【\d+:\d+†[\w.\-]+】)\n((?:.|\n)*?)(?=\n\n【|\Z)", results.split(searching.HEAD, 1)[1])
        )
        quoted = [re.fullmatch(r"On .+?: (.*) (【.*】)", answer) for answer in spoken_by(turns, "assistant")]
        quoted = [match for match in quoted if match]
        assert quoted
        assert all(match[1] in passages[match[2]] for match in quoted)


def test_quotations_are_cut_after_their_first_words_and_their_end_is_not_learned():
    random = Random(2)
    turns, _ = quoting.conversation(quoting.page(random), random)
    whole = chat.segments(turns)
    cut = chat.begun(whole, Random(1))
    assert 0 < sum(text == chat.END and not learned for text, learned in cut) < len(whole)
    learned = "".join(text for text, learned in cut if learned)
    assert len(learned) < len("".join(text for text, learned in whole if learned))


def test_no_text_holds_a_run_of_words_of_the_evaluation_more_than_by_chance():
    lines = [pages.told(line, Random(1)) for page in pages.every_page() for line in page]
    sharing = [line for line in lines if heldout.overlaps(line.sentence) or any(map(heldout.overlaps, line.questions))]
    assert len(sharing) < len(lines) / 100  # documents with one of these are made anew
