"""The code in what a model writes, read while it comes: however it is cut, the same code comes out."""

from __future__ import annotations

import json
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.tools.interpreter.listening import LENGTH, Listener, code_of

WORDS = [
    *('{"code": "', '"}', "{", "}", '"', "'", '"""', ":", ",", "[", "]", "\\", "\\\\", '\\"', "\\n", "\\u"),
    *(
        "\\ud83d",
        "\\ude00",
        "\\u00e9",
        "\\u0000",
        "\\d",
        "\\u12",
        "0",
        "a",
        "print(1)",
        "\n",
        " ",
        "```",
        "`",
        "python",
    ),
    *('"input": "', '"language": "python", ', "🦊", "é", "\x00", "1.5", "null"),
]
texts = st.one_of(st.lists(st.sampled_from(WORDS), max_size=14).map("".join), st.text(max_size=30))
codes = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40).filter(
    lambda code: not code.strip().startswith("`")
)
cuts = st.lists(st.integers(0, 500), max_size=30)


def in_pieces(text: str, places: list[int]) -> list[str]:
    borders = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    listener = Listener()
    return [listener(text[start:end]) for start, end in pairwise(borders)]


@given(texts, cuts)
def test_any_cut_gives_the_same_code(text: str, places: list[int]) -> None:
    code = code_of(text)
    assert "".join(in_pieces(text, places)) == code
    code.encode()  # nothing that no database takes
    assert "\x00" not in code


@given(codes, cuts, st.booleans(), st.sampled_from([None, 2]))
def test_json_is_decoded(code: str, places: list[int], ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(
        {"language": ["python", {"a": 'b"'}], "code": code, "n": 1}, ensure_ascii=ascii_only, indent=indent
    )
    expected = "" if code.isspace() else code
    assert "".join(in_pieces(text, places)) == expected


@given(st.lists(st.sampled_from(["a", "=", "1", "\n", " ", "\\n", '"x"', "{", "}", "``", "é"]), max_size=20), cuts)
def test_code_that_is_no_json_is_taken_as_it_is(words: list[str], places: list[int]) -> None:
    code = "x" + "".join(words)
    assert "".join(in_pieces(code, places)) == code


def test_the_code_comes_while_it_is_written() -> None:
    listener = Listener()
    written = ['{"co', 'de": "pr', "int(", "'a\\", "nb'", ")\\ud83d", "\\ude", '00"', "}"]
    assert [listener(piece) for piece in written] == ["", "pr", "int(", "'a", "\nb'", ")", "", "😀", ""]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"code": "1+1"}', "1+1"),
        ("{'code': 'print(\"a\")'}", 'print("a")'),
        ('{"input": "1"}', "1"),
        ('{"language": "python", "code": "1"}', "1"),
        ('{"options": {"code": "no", "x": ["}"]}, "code": "yes"}', "yes"),
        ('{"code": "1', "1"),
        ('{"code": null}', ""),
        ('{"code": 5, "input": "1"}', "1"),
        ("{}", "{}"),
        ("", ""),
        (" \n", ""),
        ('"print(1)"', "print(1)"),
        ('""', ""),
        ('"""text"""\nprint(1)', '"""text"""\nprint(1)'),
        ("{1, 2}", "{1, 2}"),
        ("print({'a': 1})", "print({'a': 1})"),
        ("{\"code\": \"re.sub('\\d+', '\\x41')\"}", "re.sub('\\d+', '\\x41')"),
        ('{"code": "a\nb"}', "a\nb"),
        ('{"code": "\\ud83d!"}', "\ufffd!"),
        ('{"code": "\\ude00"}', "\ufffd"),
        ('{"code": "\\ud83d"}', "\ufffd"),
        ('{"code": "\\uzz"}', "\\uzz"),
        ('{"code": "a\\u0000b"}', "ab"),
        ("```python\nprint(1)\n```\nThat prints 1.", "print(1)\n"),
        ("```\nprint(1)\n```", "print(1)\n"),
        ("```py\nprint('```')\n``x\n```", "print('```')\n``x\n"),
        ('{"code": "```python\\nprint(1)\\n```"}', "print(1)\n"),
        ("``x", "``x"),
        ("```x = 1", "x = 1"),
    ],
)
def test_what_models_write(text: str, code: str) -> None:
    assert code_of(text) == code


def test_code_without_end_is_cut() -> None:
    listener = Listener()
    assert sum(len(listener("x" * 100_000)) for _ in range(5)) == LENGTH


@pytest.mark.parametrize("begin", ['{"code": "', "{", "```", "```python\n", ""])
@pytest.mark.parametrize("character", [" ", "a"])
def test_what_is_held_back_is_bounded(begin: str, character: str) -> None:
    """A model may write megabytes. Each piece of them costs the same, and none of them is kept for ever."""
    listener = Listener()
    listener(begin)
    tracemalloc.start()
    try:
        kept = sum(len(listener(character * 1_000)) for _ in range(500))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept <= LENGTH
    assert held < 8 * LENGTH + 1024**2


@pytest.mark.parametrize("begin", ['{"code": "', "```"])
def test_what_is_held_back_is_not_copied_for_each_character(begin: str) -> None:
    listener = Listener()
    listener(begin + " " * 100_000 if begin.startswith("{") else begin + "a" * 100_000)
    tracemalloc.start()
    try:
        listener(" " if begin.startswith("{") else "a")
        assert tracemalloc.get_traced_memory()[1] < 50_000
    finally:
        tracemalloc.stop()
