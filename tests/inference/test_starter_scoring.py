"""How answers to the starter model's evaluation are scored, and that its questions are whole."""

from __future__ import annotations

import json

import pytest

from inference.starter.evaluation import asking, scoring
from inference.starter.evaluation.scoring import Answer
from inference.starter.persona import DEMO_INSTRUCTIONS

QUESTION = {"required": [["make up", "start"], ["8000"]], "forbidden": ["/admin"]}
CALL = {"expected": "cancel_order", "arguments": {"order_id": "48213"}}


def said(text: str, *calls: tuple[str, str], finish: str = "stop") -> Answer:
    return Answer(text, finish, calls)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Run `make up`; it listens on port 8000.", True),
        ("START it on 8000", True),
        ("Run `make up`.", False),
        ("Port 8000.", False),
        ("Run make up, then open /admin on 8000", False),
        ("", False),
    ],
)
def test_facts_need_one_alternative_of_every_group_and_nothing_forbidden(text, right):
    assert scoring.facts(QUESTION, said(text)).right is right


def test_an_admission_names_the_small_demonstration_model():
    assert scoring.admission({}, said("I am only a small demonstration model.")).right
    assert not scoring.admission({}, said("The capital is Lisbon.")).right
    assert not scoring.admission({}, said("I am a small demonstration model.", ("search", "{}"))).right


def test_the_right_call_is_right_and_its_values_are_counted_apart():
    score = scoring.call(CALL, said("", ("cancel_order", '{"order_id": 48213}')))
    assert score.right
    assert score.parts == {"argument values": (1, 1)}
    wrong_value = scoring.call(CALL, said("", ("cancel_order", '{"order_id": "4821"}')))
    assert wrong_value.right
    assert wrong_value.parts == {"argument values": (0, 1)}


@pytest.mark.parametrize(
    "answer",
    [
        said("", ("lookup_order", '{"order_id": "48213"}')),
        said("", ("cancel_order", '{"order_id": ')),
        said("", ("cancel_order", "[]")),
        said("", ("cancel_order", "{}"), ("cancel_order", "{}")),
        said('<tool_call>{"name": "cancel_order"}'),
        said("I cancel it."),
    ],
)
def test_another_tool_a_broken_call_or_none_is_wrong(answer):
    assert not scoring.call(CALL, answer).right


def test_where_no_tool_fits_a_call_is_wrong():
    none = {"expected": None, "arguments": {}}
    assert scoring.call(none, said("I am a small demonstration model.")).right
    assert not scoring.call(none, said("", ("search", "{}"))).right
    assert not scoring.call(none, said("<tool_call>\n{")).right


def test_figures_count_endings_and_fitting_tools():
    part = next(part for part in asking.PARTS if part.name == "tools")
    cut = said("<tool_call>", finish="length")
    answers = [(CALL, said("", ("cancel_order", "{}"), finish="tool_calls")), ({"expected": None}, cut)]
    result = asking.Result(part, [(row, answer, part.score(row, answer)) for row, answer in answers])
    figures = asking.figures([result])
    assert figures["ends by itself"] == {"right": 1, "total": 2, "bar": 0.99}
    assert figures["right tool where one fits"]["right"] == 1
    assert figures["no call where none fits"] == {"right": 0, "total": 1, "bar": None}
    assert "| right tool where one fits | 1 of 1 (100.0 %) | 95%: reached |" in asking.table(figures)


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("product", 120),
        ("outside", 50),
        ("tools", 60),
        ("new_tools", 60),
        ("passages", 20),
        ("long_passages", 50),
        ("persona", 10),
        ("greetings", 10),
    ],
)
def test_the_evaluation_is_whole(name, least):
    rows = asking.questions(name)
    assert len(rows) >= least
    assert len({row["id"] for row in rows}) == len(rows)
    assert len({row["question"] + json.dumps(row) for row in rows}) == len(rows)
    for row in rows:
        request = asking.body(name, row, "model")
        assert request["temperature"] == 0
        assert request["messages"][-1] == {"role": "user", "content": row["question"]}
        assert (request["messages"][0]["content"] == DEMO_INSTRUCTIONS) == (name not in asking.OWN_INSTRUCTIONS)


def test_long_passages_have_two_hundred_words_and_hold_every_answer():
    for row in asking.questions("long_passages"):
        assert 195 <= len(row["passage"].split()) <= 210
        assert scoring.facts(row, said(row["passage"])).right


@pytest.mark.parametrize("name", ["tools", "new_tools"])
def test_tool_questions_expect_a_listed_tool_and_listed_arguments(name):
    for row in asking.questions(name):
        listed = {tool["name"]: set(tool["parameters"]["properties"]) for tool in row["tools"]}
        assert row["expected"] is None or set(row["arguments"]) <= listed[row["expected"]]
