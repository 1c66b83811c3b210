"""Whatever is written as a template and given as values: a text comes of it, or a refusal in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from assistants.prompts import template, variables
from sovereign.core.errors import ApiError

T = TypeVar("T")

SETTINGS = settings(max_examples=300, deadline=None, derandomize=True, database=None)
NAMES = ["a", "b", "items", "date", "unknown"]
DECLARED = variables.checked(
    [
        {"name": "a"},
        {"name": "b", "type": "boolean"},
        {"name": "items", "type": "list"},
        {"name": "n", "type": "number"},
    ]
)
PIECES = ["{{", "}}", "{", "}", "\\", "#", "^", "/", ".", " ", "\n", "\r\n", "\t", "é", "\x00", *NAMES]
TAGS = [f"{{{{{sign}{name}}}}}" for sign in ("", "#", "^", "/") for name in (*NAMES, ".")]
CHAOS = st.lists(st.sampled_from([*PIECES, *TAGS]) | st.text(max_size=4), max_size=40).map("".join)
PLAIN = st.text(st.characters(exclude_characters="{}\\\x00", exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(TAGS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
VALUES = st.dictionaries(st.sampled_from([*NAMES, "n"]), JSON)


def sections(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    sound = st.tuples(st.sampled_from("#^"), st.sampled_from(["a", "b", "items"]), inner)
    return sound.map(lambda made: f"{{{{{made[0]}{made[1]}}}}}{made[2]}{{{{/{made[1]}}}}}")


LEAVES = PLAIN | st.sampled_from(["{{ a }}", "{{b}}", "{{ items }}", "{{ n }}", "{{ date }}", r"\{{", "\n"])
SOUND = st.recursive(LEAVES, lambda inner: st.lists(inner | sections(inner), max_size=4).map("".join), max_leaves=10)


def tried(codes: set[str], function: Callable[..., T], *arguments: Any) -> T | None:
    """What it gives, or nothing where it refuses with one of the codes in a sentence for people."""
    try:
        return function(*arguments)
    except ApiError as error:
        refused = error
    assert refused.status == 400
    assert refused.code in codes
    assert 0 < len(refused.message) < 1_000
    return None


@SETTINGS
@given(CHAOS)
def test_reading_ends_in_names_or_in_a_refusal(text: str) -> None:
    named = tried({"invalid_template"}, template.names, text)
    assert named is None or all(name in text for name in named)
    assert "{{" in text or not named


@SETTINGS
@given(CHAOS | SOUND, VALUES)
def test_filling_in_ends_in_a_text_or_in_a_refusal(text: str, values: dict[str, Any]) -> None:
    codes = {"invalid_template", "unknown_variable", "invalid_variable", "prompt_too_long"}
    said = tried(codes, template.fill, text, DECLARED, values, {"date": "today"})
    assert said is None or len(said) <= template.TEMPLATE_LENGTH
    assert said is None or "\x00" not in said


@settings(SETTINGS, max_examples=500)
@given(SOUND)
def test_what_is_sound_is_taken(text: str) -> None:
    template.check(text, DECLARED)
    template.fill(text, DECLARED, {})


@SETTINGS
@given(PLAIN)
def test_a_text_without_braces_and_backslashes_stays_as_it_is(text: str) -> None:
    assert template.names(text) == frozenset()
    assert template.fill(text, [], {}) == text


@SETTINGS
@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30))
def test_any_text_can_be_said_by_escaping_it(text: str) -> None:
    """Backslashes mean something before two braces alone: there each is doubled, and one more escapes the braces."""
    halves = text.split("{{")
    doubled = [half + "\\" * (len(half) - len(half.rstrip("\\"))) for half in halves[:-1]] + halves[-1:]
    assert template.fill("\\{{".join(doubled), [], {}) == text


@SETTINGS
@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_a_value_comes_out_as_it_went_in(value: str) -> None:
    said = template.fill("<{{ a }}>", DECLARED, {"a": value})
    assert said == (f"<{value}>" if value.strip() else "<>")


@SETTINGS
@given(JSON)
def test_whatever_is_declared_is_taken_or_refused(declared: Any) -> None:
    for candidate in (declared, [declared], [{"name": "v", "type": "list", "default": declared}]):
        checked = tried({"invalid_variable"}, variables.checked, candidate)
        assert checked is None or variables.checked(checked) == checked
