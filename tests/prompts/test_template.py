"""The language of prompts: what is filled in, what is refused, and that nothing of it takes for ever."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest

from assistants.prompts import template, variables
from sovereign.core.errors import ApiError

DECLARED = variables.checked(
    [
        {"name": "name"},
        {"name": "items", "type": "list"},
        {"name": "others", "type": "list"},
        {"name": "count", "type": "integer"},
        {"name": "is_new", "type": "boolean"},
        {"name": "tone", "type": "choice", "choices": ["friendly", "formal"], "default": "friendly"},
    ]
)


def filled(text: str, **values: Any) -> str:
    return template.fill(text, DECLARED, values)


def refusal(text: str) -> ApiError:
    with pytest.raises(ApiError) as refused:
        template.check(text, DECLARED)
    assert (refused.value.status, refused.value.param) == (400, "template")
    return refused.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Plain } text { with }} braces", "Plain } text { with }} braces"),
        ("Hello {{ name }}, {{name}}!", "Hello Ada, Ada!"),
        ("{{\n name\t}}", "Ada"),
        ("{{ items }}", "one, two"),
        ("{{ tone }} {{ count }} {{ is_new }}", "friendly 3 true"),
        ("{{# items }}[{{ . }}]{{/ items }}", "[one][two]"),
        ("{{# items }}{{ name }}:{{ . }} {{/ items }}", "Ada:one Ada:two "),
        ("{{# others }}never{{/ others }}{{^ others }}none{{/ others }}", "none"),
        ("{{# count }}{{ . }} of them{{/ count }}", "3 of them"),
        ("{{# is_new }}new{{/is_new}}{{^is_new}}old{{/is_new}}", "new"),
        ("{{# items }}{{^ others }}{{ . }}{{/ others }}{{/ items }}", "onetwo"),
        ("{{# items }}{{# . }}<{{ . }}>{{/ . }}{{/ items }}", "<one><two>"),
        (r"\{{ name }} \\{{ name }} \\\{{ name }} \n", r"{{ name }} \Ada \{{ name }} \n"),
        (r"{{ name }}\\ and \ stay", r"Ada\\ and \ stay"),
        ("{{{{ name }}".replace("{{{{", r"\{{{{"), "{{Ada"),
    ],
)
def test_what_is_filled_in(text: str, expected: str) -> None:
    assert filled(text, name="Ada", items=["one", "two"], count=3, is_new=True) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n{{# items }}\n- {{ . }}\n{{/ items }}\nb\n", "a\n- one\n- two\nb\n"),
        ("a\r\n{{# items }}\r\n- {{ . }}\r\n{{/ items }}\r\nb", "a\r\n- one\r\n- two\r\nb"),
        ("{{# items }}\n{{ . }}\n{{/ items }}", "one\ntwo\n"),
        ("  {{# is_new }}  \n\tnew\n  {{/ is_new }}  \nend", "\tnew\nend"),
        ("a {{# is_new }}\nb\n{{/ is_new }} c", "a \nb\n c"),
        ("a\n{{ name }}\nb", "a\nAda\nb"),
        ("x\n{{# is_new }}\n{{# items }}\n{{ . }}\n{{/ items }}\n{{/ is_new }}\ny", "x\none\ntwo\ny"),
    ],
)
def test_a_section_with_lines_of_its_own_leaves_none_behind(text: str, expected: str) -> None:
    assert filled(text, name="Ada", items=["one", "two"], is_new=True) == expected


def test_values_are_never_read_as_templates() -> None:
    evil = "{{ tone }} {{# items }} \\{{ {{/ x }}"
    assert filled("{{ name }}|{{# items }}{{ . }}{{/ items }}", name=evil, items=[evil]) == f"{evil}|{evil}"


@pytest.mark.parametrize("nothing", [None, "", "  ", [], "[]", 0, False])
def test_nothing_is_no_value(nothing: Any) -> None:
    text = "{{# {0} }}yes{{/ {0} }}{{^ {0} }}no{{/ {0} }}"
    for name, kinds in (("items", (list, str)), ("count", (int,)), ("is_new", (bool,))):
        if nothing is None or (type(nothing) in kinds and nothing != "[]") or (nothing == "[]" and name == "items"):
            assert filled(text.replace("{0}", name), **{name: nothing}) == "no"


def test_names_are_those_of_variables_and_sections() -> None:
    text = r"{{ a }}{{# b }}{{ . }}{{^ c-d }}{{ a }}{{/ c-d }}{{/ b }} \{{ e }}"
    assert template.names(text) == {"a", "b", "c-d"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("one\ntwo {{ name", "Line 2"),
        ("{{ name }", "without '}}'"),
        ("{{ two words }}", "'two words' is no name"),
        ("{{}}", "'' is no name"),
        ("{{ 1st }}", "'1st' is no name"),
        ("{{{ name }}}", "'{ name' is no name"),
        ("{{ name | upper }}", "is no name"),
        ("{{ name.secret }}", "is no name"),
        ("{{ __import__('os') }}", "is no name"),
        ("{{> other }}", "is no name"),
        ("{{! words }}", "is no name"),
        ("{{ näme }}", "is no name"),
        ("{{ " + "x" * 65 + " }}", "is no name"),
        ("{{# name }}", "has no end: {{/ name }}"),
        ("\n\n{{# name }}\n\n{{ name }}", "Line 3"),
        ("{{/ name }}", "no section 'name'"),
        ("{{# name }}{{# items }}{{/ name }}{{/ items }}", "'items' has to end before 'name'"),
        ("{{ . }}", "stands in no section"),
        ("{{^ items }}{{ . }}{{/ items }}", "stands in no section"),
        ("{{# name }}" * 9 + "{{/ name }}" * 9, "more than 8"),
        ("a\x00b", "NUL"),
        ("x" * 256_001, "256,000"),
    ],
)
def test_what_is_no_template_is_refused_with_its_line(text: str, words: str) -> None:
    refused = refusal(text)
    assert refused.code == "invalid_template"
    assert words in refused.message
    assert len(refused.message) < 300


def test_eight_sections_in_one_another_are_enough() -> None:
    assert filled("{{# name }}" * 8 + "deep" + "{{/ name }}" * 8, name="Ada") == "deep"


def test_all_unknown_variables_are_named() -> None:
    refused = refusal("{{ zeal }} {{# name }}{{^ age }}{{/ age }}{{/ name }}")
    assert refused.code == "unknown_variable"
    assert "'age', 'zeal'" in refused.message
    assert "'name'" not in refused.message
    with pytest.raises(ApiError, match="'zeal'"):
        filled("{{ zeal }}")


def test_all_missing_variables_are_named() -> None:
    declared = variables.checked([{"name": name, "required": True} for name in ("a", "b", "c")])
    with pytest.raises(ApiError) as refused:
        template.fill("{{ b }}", declared, {"b": " ", "c": "x"})
    assert (refused.value.code, refused.value.param) == ("missing_variable", "template")
    assert "'a', 'b'" in refused.value.message
    assert "'c'" not in refused.value.message
    assert variables.missing(declared, {"a": 0, "b": False}) == ["c"]


def test_built_in_variables_need_no_declaration() -> None:
    text = "{{ instructions }} It is {{ date }}.{{# language }} Answer in {{ language }}.{{/ language }}"
    assert template.fill(text, [], {"date": "never"}, {"instructions": "{{ date }}", "date": "today"}) == (
        "{{ date }} It is today."
    )
    template.check("".join(f"{{{{ {name} }}}}" for name in variables.BUILT_IN), [])


def test_what_comes_out_has_an_end() -> None:
    long = "x" * 64_000
    assert len(filled("{{ name }}" * 4, name=long)) == 256_000
    with pytest.raises(ApiError) as refused:
        filled("{{ name }}" * 4 + "!", name=long)
    assert (refused.value.status, refused.value.code) == (400, "prompt_too_long")


def test_lists_in_lists_come_to_an_end() -> None:
    text = "{{# items }}{{# others }}" * 4 + "{{/ others }}{{/ items }}" * 4
    begun = time.process_time()
    with pytest.raises(ApiError, match="100,000 parts"):
        filled(text, items=["x"] * 1_000, others=["y"] * 1_000)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    "text",
    [
        "{{ name }} " * 23_000,
        "{{name}}" * 32_000,
        "{{#name}}\n{{/name}}\n" * 12_800,
        "{{" * 128_000,
        "{{ a" * 64_000,
        "\\" * 255_990 + "{{name}}",
        " " * 255_900 + "{{# name }}{{/ name }}",
        " {{#name}} {{/name}}" * 12_800,
        "{{" + " " * 255_900 + "name}}",
        "}}" * 128_000,
    ],
    ids=range(10),
)
def test_reading_takes_time_by_the_length_alone(text: str) -> None:
    begun = time.process_time()
    with suppress(ApiError):
        filled(text, name="A")
    assert time.process_time() - begun < 3, "a hundredfold of what it takes; by its square it would be minutes"
