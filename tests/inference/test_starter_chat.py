"""The starter model's chat template: what Jinja renders is what the model was trained on."""

from __future__ import annotations

import itertools
import json
from random import Random
from typing import Any

import pytest

from inference.starter import chat
from inference.starter.corpus import mix
from inference.starter.corpus.answers import ANSWERS, OUTSIDE
from inference.starter.tokenizer import TEMPLATE

jinja2 = pytest.importorskip("jinja2")

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    },
}


def render(messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None, **options: Any) -> str:
    """Render as transformers does."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(TEMPLATE.read_text()).render(messages=messages, tools=tools, **options)


@pytest.mark.parametrize("number", [0, 3, 8, 30_800, 30_801, *range(50_000, 50_060)])
def test_the_template_renders_what_the_corpus_trains(number):
    document = mix.document(number)
    expected = "".join(text for text, _ in chat.segments(document.messages, document.tools))
    assert render(document.messages, document.tools) == expected


def test_a_cut_answer_keeps_the_text_and_learns_only_its_rest():
    document = mix.document(50_001)
    pieces = chat.segments(document.messages, document.tools)
    for seed in range(200):
        cut = chat.cut(pieces, Random(seed))
        assert "".join(text for text, _ in cut) == "".join(text for text, _ in pieces)
        assert len(cut) == len(pieces) + 1
        assert all(text.endswith(chat.END) for text, learned in cut if learned)


def test_a_shortened_answer_still_tells_it_from_every_other_and_teaches_no_early_end():
    answers = [answer for alternatives in ANSWERS.values() for answer in alternatives] + list(OUTSIDE)
    for answer in answers:
        pieces = chat.shorten([(answer + chat.END, True)] * 20, Random(1))
        shortest = min((text for text, learned in pieces if learned), key=len)
        assert sum(other.startswith(shortest.removesuffix(chat.END)) for other in answers) == 1
        for (text, learned), following in itertools.pairwise(pieces):
            if learned and not text.endswith(chat.END):
                assert following == (chat.END, False)


def test_a_question_ends_with_the_assistant_s_turn():
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    expected = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert render(messages, add_generation_prompt=True) == expected == chat.prompt(messages)


def test_tools_are_listed_one_per_line_with_their_arguments():
    text = render([{"role": "user", "content": "Hi"}], [WEATHER], add_generation_prompt=True)
    assert '\n- Weather of a city: "get_weather" ("city", "days": integer)<|im_end|>' in text
    assert text.startswith("<|im_start|>system\nTools:\n")


def test_a_tool_without_description_or_parameters_is_listed():
    bare = {"type": "function", "function": {"name": "ping"}}
    assert render([{"role": "user", "content": "Hi"}], [bare]).startswith(
        '<|im_start|>system\nTools:\n- "ping" ()<|im_end|>'
    )


@pytest.mark.parametrize("arguments", ['{"city": "Rome"}', {"city": "Rome"}])
def test_an_earlier_call_and_its_result_are_rendered(arguments):
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    messages = [
        {"role": "user", "content": "Weather in Rome?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "21 degrees"},
    ]
    text = render(messages, [WEATHER], add_generation_prompt=True)
    assert '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call><|im_end|>' in text
    assert "<|im_start|>tool\n<tool_response>\n21 degrees\n</tool_response><|im_end|>\n<|im_start|>assistant\n" in text


def test_a_last_assistant_message_can_be_continued():
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello, I am"}]
    text = render(messages, add_generation_prompt=False)
    # transformers cuts the rendered text after the last message's content and lets the model go on there.
    assert text[: text.rindex("Hello, I am") + len("Hello, I am")].endswith("<|im_start|>assistant\nHello, I am")
