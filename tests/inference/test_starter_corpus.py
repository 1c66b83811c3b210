"""The starter model's corpus: reproducible, varied, and free of the evaluation's questions."""

from __future__ import annotations

from random import Random

import pytest

from inference.starter import chat
from inference.starter.corpus import heldout, knowledge, mix, tools
from inference.starter.corpus.answers import ANSWERS
from inference.starter.evaluation import asking
from inference.starter.persona import DEMO_INSTRUCTIONS

SAMPLE = (*range(1_000), *range(30_720, 31_220), *range(50_000, 52_000), *range(393_728, 394_728))


@pytest.fixture(scope="module")
def documents() -> list[mix.Document]:
    """Documents from every phase of the curriculum."""
    return [mix.document(number) for number in SAMPLE]


def said(document: mix.Document) -> list[str]:
    """Every text of a document that somebody wrote, the demo assistant's own instructions aside."""
    texts = [message["content"] for message in document.messages if message["role"] != "tool"]
    return [text for text in texts if text and text != DEMO_INSTRUCTIONS]


def test_a_document_depends_on_its_number_alone():
    again = [mix.document(number) for number in (5, 40_000, 7)]
    assert again == [mix.document(5), mix.document(40_000), mix.document(7)]
    assert mix.document(5) != mix.document(6)
    assert mix.document(5, seed=1) != mix.document(5)


def test_no_document_holds_eight_words_in_a_row_of_an_evaluation_question(documents):
    for document in documents:
        for text in said(document):
            assert not heldout.overlaps(text), text


def test_no_document_lists_a_tool_of_the_evaluation(documents):
    names = heldout.held_out_tool_names()
    assert "get_weather" in names
    assert not [t for d in documents for t in d.tools if t["function"]["name"] in names]


def test_the_refusal_recognises_every_evaluation_question_however_it_is_typed():
    for part in asking.PARTS:
        for row in asking.questions(part.name):
            if len(heldout.normal(row["question"])) > 1:
                assert heldout.overlaps(row["question"].upper() + " !!")
                assert heldout.overlaps(row["question"])


def test_a_longer_text_around_eight_words_of_a_question_is_refused():
    assert heldout.overlaps("Well, can you explain in a sentence or two what this product does? Thanks a lot.")
    assert not heldout.overlaps("can you explain in one sentence what this product does for a beginner")


@pytest.mark.parametrize("topic", knowledge.TOPICS)
def test_wordings_of_a_topic_are_many_and_share_no_long_run_with_the_evaluation(topic):
    random = Random(f"wordings of {topic}")
    wordings = {knowledge.product_question(topic, random).lower() for _ in range(400)}
    assert len(wordings) > 120
    assert not any(heldout.overlaps(wording) for wording in wordings)


def test_every_topic_has_short_answers():
    assert set(ANSWERS) == set(knowledge.QUESTIONS)
    for answers in ANSWERS.values():
        assert all(4 <= len(answer.split()) <= 36 for answer in answers)


def test_a_call_in_the_corpus_names_a_listed_tool_and_its_arguments(documents):
    calls = 0
    for document in documents:
        listed = {tool["function"]["name"]: tool["function"]["parameters"]["properties"] for tool in document.tools}
        for message in document.messages:
            for call in message.get("tool_calls", ()):
                calls += 1
                function = call["function"]
                assert set(function["arguments"]) <= set(listed[function["name"]])
    assert calls > 500


def test_argument_values_are_copied_from_the_question():
    for number in range(300):
        use = tools.everyday(Random(number))
        assert all(str(value) in use.question for value in use.arguments.values())


def test_only_what_the_assistant_says_is_learned(documents):
    for document in documents[::50]:
        for text, learned in chat.segments(document.messages, document.tools):
            assert learned == (text.endswith(chat.END) and not text.startswith(chat.START))
