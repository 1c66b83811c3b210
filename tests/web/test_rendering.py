"""What models write becomes HTML that nothing of it can reach out of, whatever it is."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sovereign.web.rendering import markdown, messages
from sovereign.web.rendering.cache import Cache
from sovereign.web.rendering.code import highlighted, language_of
from sovereign.web.rendering.messages import LONGEST, rendered, rendered_texts
from sovereign.web.rendering.safety import TAGS, clean
from threads.models import Message

MARK = "【4:0†notes.md】"
PATH = "sandbox:/mnt/data/table one.csv"
SIZE = LONGEST // 2
SLOWEST = 5.0  # seconds of CPU, where the slowest takes 0.8 on a quiet machine


def message(text: str, annotations: Any = (), role: str = "assistant") -> Message:
    return Message(
        id="msg_1", role=role, content=[{"type": "text", "text": {"value": text, "annotations": annotations}}]
    )


def html(text: str, annotations: Any = (), *, is_bare: bool = False) -> str:
    return str(rendered(message(text, annotations), is_bare=is_bare)).strip()


def at(text: str, part: str, kind: str = "file_citation", file_id: str = "file-1", nth: int = 0) -> dict[str, Any]:
    start = [found.start() for found in re.finditer(re.escape(part), text)][nth]
    return {
        "type": kind,
        "text": part,
        "start_index": start,
        "end_index": start + len(part),
        kind: {"file_id": file_id},
    }


class Elements(HTMLParser):
    """The tags and attributes of a piece of HTML, as a browser finds them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]


def harmless(text: str) -> None:
    found = Elements(text)
    assert found.tags <= TAGS
    for _, name, value in found.attributes:
        assert not name.startswith("on")
        assert name not in ("style", "src", "srcdoc", "id", "name", "action", "formaction", "xlink:href")
        if name == "href":
            assert re.match(r"(https?://[^/]|mailto:|/v1/files/)", value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("**a** *b* ~~c~~ `d`", "<p><strong>a</strong> <em>b</em> <s>c</s> <code>d</code></p>"),
        ("one\ntwo", "<p>one<br>\ntwo</p>"),
        ("#### Deep\n## High", "<h4>Deep</h4>\n<h3>High</h3>"),
        ("3. a", '<ol start="3">\n<li>a</li>\n</ol>'),
        ("<b>x</b> & y", "<p>&lt;b&gt;x&lt;/b&gt; &amp; y</p>"),
        ("It costs $5 and $6", "<p>It costs $5 and $6</p>"),
        ("[a](javascript:alert(1))", "<p>[a](javascript:alert(1))</p>"),
        ("[a](/logout) [b](//evil.example)", "<p>[a](/logout) [b](//evil.example)</p>"),
        ("[bank](https://bank.example@evil.example/)", "<p>[bank](https://bank.example@evil.example/)</p>"),
        ("![a cat](https://evil.example/x.png)", '<p><span class="unloaded">a cat (https://evil.example/x.png)</span></p>'),
    ],
)  # fmt: skip
def test_markdown_becomes_elements_and_nothing_else(text: str, expected: str) -> None:
    assert html(text) == expected


def test_a_link_says_where_it_leads_and_tells_nothing_of_where_it_was() -> None:
    shown = html("[our bank](https://evil.example/login) <https://plain.example/a>")
    assert 'rel="noopener noreferrer nofollow"' in shown
    assert 'target="_blank"' in shown
    assert '>our bank</a> <span class="host">(evil.example)</span>' in shown
    assert shown.endswith(">https://plain.example/a</a></p>"), "it says so itself"
    assert "(xn--80ak6aa92e.com)" in html("[apple](https://аррӏе.com)")
    assert "(t.co)" in html("[https://www.microsoft.com/login](https://t.co/xyz)"), "t.co is in microsoft.com"
    assert "(evil.example)" in html("[https://a.example/?evil.example](https://evil.example)")
    assert "\u202e" not in html("[a \u202eb](https://a.example)")


def test_a_table_is_one_and_is_aligned_without_styles() -> None:
    shown = html("| a | b |\n|:-:|--:|\n| 1 | 2 |")
    assert '<th scope="col" class="is-center">a</th>' in shown
    assert '<td class="is-right">2</td>' in shown
    assert "style" not in shown


def test_code_has_colours_of_its_language_and_is_never_anything_else() -> None:
    shown = html("```py\ndef f(): return '<b>'  # c\n```")
    assert '<span class="t-keyword">def</span>' in shown
    assert "&#39;&lt;b&gt;&#39;" in shown or "'&lt;b&gt;'" in shown
    assert 'aria-label="Code in python"' in shown
    assert html('```x" onclick="y\n<a>\n```') == (
        '<div class="code"><pre tabindex="0" aria-label="Code"><code>&lt;a&gt;</code></pre></div>'
    )
    assert language_of("unheard-of") == ""
    assert highlighted("a" * 30_000, "python") == "a" * 30_000


@pytest.mark.parametrize("text", ["$x^2$", r"\(x^2\)", "$$x^2$$", r"\[x^2\]", "\\[\nx\n= 2\n\\]", "*a* $x^2$, cost 3"])
def test_formulas_become_mathml(text: str) -> None:
    assert "<math" in html(text)
    assert "setext" not in html(text)
    assert "<h3>" not in html(text)


@pytest.mark.parametrize("text", [r"$\bad{$", r"\(\frac{\)", "$" + "{" * 500 + "$", "$" + r"\sqrt{" * 300 + "$"])
def test_a_formula_that_is_none_stays_text(text: str) -> None:
    shown = html(text)
    assert "<math" not in shown
    assert text in Elements(shown).rawdata or text.replace("{", "{") in shown


def test_words_in_a_formula_are_words() -> None:
    shown = html(r"$\text{<img src=x onerror=alert(1)><button data-annotation=1>}$")
    assert "&lt;img" in shown
    harmless(shown)
    assert Elements(shown).tags == {"p", "span", "math", "mrow", "mtext"}


def test_citations_are_numbers_that_open_and_paths_are_downloads() -> None:
    text = f"So{MARK}, also{MARK}: [the table]({PATH.replace(' ', '%20')}), `{MARK}`"
    path = PATH.replace(" ", "%20")
    annotations = [at(text, MARK, nth=1), at(text, MARK), at(text, path, "file_path", "file-2"), at(text, MARK, nth=2)]
    shown = html(text, annotations)
    assert '<sup class="cited" title="Source 1: notes.md"><button type="button" data-annotation="1"' in shown
    assert shown.count("data-annotation") == 3
    assert '<a class="download" href="/v1/files/file-2/content" download="table%20one.csv"' in shown
    assert ">the table</a>" in shown
    assert '<ol class="sources" aria-label="Sources"><li>notes.md</li></ol>' in shown
    assert "【" not in shown


@pytest.mark.parametrize("is_bare", [False, True])
def test_marks_that_no_passage_backs_are_left_out_but_not_of_code(is_bare: bool) -> None:
    """A model imitates them in an answer for which nothing was searched; or names another passage than it was given."""
    text = (
        f"Open 【1:0†__init__.py】. Late{MARK}【9:9†*none*】\n- 【1:0†a.md】 **So【2:1†source】**\n\n"
        f"`{MARK}` 【1】【a†b】 [here](【1:0†a.md】) `as 【1:0†a.md】`"
    )
    shown = html(text, [at(text, MARK)], is_bare=is_bare)
    assert shown.startswith('<p>Open. Late<sup class="cited"')
    assert "<strong>So</strong>" in shown
    assert re.findall("【.*?】", shown) == [MARK, "【1】", "【a†b】", "【1:0†a.md】"]
    assert f"<code>{MARK}</code>" in shown
    assert html("Open【1:0†a.md】.\n\n【1:0†a.md】") == "<p>Open.</p>\n<p></p>"
    label = "[https://example.com【1:0†a.md】](https://example.org)"
    assert ">(example.org)</span>" in html(label)


def test_where_nothing_can_be_opened_nothing_looks_so_and_no_file_is_named_by_its_id() -> None:
    text = f"So{MARK} [the table]({PATH.replace(' ', '%20')})"
    path = PATH.replace(" ", "%20")
    shown = html(text, [at(text, MARK), at(text, path, "file_path", "file-2")], is_bare=True)
    assert "<button" not in shown
    assert "<a" not in shown
    assert "file-" not in shown
    assert "the table" in shown


@pytest.mark.parametrize(
    "annotation",
    [
        None, 7, {}, {"start_index": 0}, {"start_index": "0", "end_index": "3", "file_citation": {"file_id": "f"}},
        {"start_index": -3, "end_index": 2, "file_citation": {"file_id": "f"}},
        {"start_index": 3, "end_index": 3, "file_citation": {"file_id": "f"}},
        {"start_index": 0, "end_index": 10_000, "file_citation": {"file_id": "f"}},
        {"start_index": True, "end_index": 3, "file_path": {"file_id": "f"}},
        {"start_index": 0, "end_index": 3, "file_path": {"file_id": None}},
    ],
)  # fmt: skip
def test_annotations_that_cannot_be_there_are_text(annotation: Any) -> None:
    assert html("Some text", [annotation]) == "<p>Some text</p>"


def test_of_two_annotations_that_overlap_the_first_is_shown() -> None:
    one = {"start_index": 0, "end_index": 4, "file_citation": {"file_id": "f"}}
    other = {"start_index": 2, "end_index": 6, "file_citation": {"file_id": "g"}}
    assert html("abcdefg", [other, one]).count("<button") == 1


def test_nobody_forges_the_place_of_an_annotation() -> None:
    """Not by its characters, not by their entities or escapes, and not by a number that there is none of."""
    forged = (
        "\ue000{}\ue001",
        "&#xE000;{}&#xE001;",
        "[x](\ue000{}\ue001)",
        "[x](%EE%80%80{}%EE%80%81)",
        "`\ue000{}\ue001`",
    )
    text = " ".join([MARK, *(one.format(place) for one in forged for place in ("0", "abc:0", "9", "abc:9"))])
    shown = html(text, [at(text, MARK)])
    assert shown.count("<button") == 1, "that of the annotation"
    harmless(shown)


def test_places_in_code_formulas_and_addresses_are_what_was_written() -> None:
    text = f"```\n{MARK}\n```\n$x {MARK}$ [a](https://a.example/{MARK}) ![{MARK}](https://a.example)"
    shown = html(text, [at(text, MARK, nth=nth) for nth in range(4)])
    assert f"<code>{MARK}</code>" in shown
    assert "\ue000" not in shown
    assert "%EE%80%80" not in shown
    assert "<button" not in shown


def test_what_a_person_says_stands_there_as_it_was_typed() -> None:
    said = message("# <b>\n * x", role="user")
    assert rendered_texts(said) == ['<p class="plain"># &lt;b&gt;\n * x</p>']


def test_a_text_that_is_too_long_is_text() -> None:
    assert html("*" * (LONGEST + 1)).startswith('<p class="plain">***')


DEEP = 440
BOMBS = {
    "brackets": "[" * SIZE,
    "images": "![" * (SIZE // 2),
    "stars": "**a*" * (SIZE // 4),
    "emphasis": "*" * (SIZE // 2) + "a" + "*" * (SIZE // 2 - 1),
    "ticks": "".join("`" * n + " " for n in range(1, DEEP)),
    "quotes": "> " * (SIZE // 2),
    "lists": "".join(" " * n + "- a\n" for n in range(DEEP)),
    "list": "- " * (SIZE // 2),
    "formulas": r"$\frac{a}{b}$ " * (SIZE // 14),
    "openings": "\\[ a\n" * (SIZE // 5),
    "dollars": "$$a " * (SIZE // 4),
    "cells": "|" * 300 + "\n" + "|-" * 300 + "|\n" + ("|a" * 300 + "\n") * 100,
    "html": "<!--" * (SIZE // 4),
    "unclean": ("\\[\n" * 640 + "\\] x\n") * (LONGEST // 1_930),
    "unended": ("\\[\n" * 640 + "\n\\]\n") * (LONGEST // 1_930),
    "quoted formulas": (">" * 18 + "a\n" + "\\[\n" * 640 + "\\] x\n") * (LONGEST // 1_950),
    "references": "[a]: <" * (SIZE // 6),
    "code": "```python\n" + "'''\"\"\"" * 3_000 + "\n```",
    "braces": "$" + "a^{" * 300 + "}" * 300 + "$",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_nothing_takes_long_or_nests_without_end(bomb: str) -> None:
    before = time.process_time()
    shown = html(BOMBS[bomb])
    assert time.process_time() - before < SLOWEST
    assert shown.count("<ul>") <= 20 * 25
    harmless(shown[:50_000])


def test_what_takes_too_long_all_the_same_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markdown, "LONGEST_WORK", -1.0)
    assert html("*a*") == '<p class="plain">*a*</p>'


@pytest.mark.parametrize("line", ["\n", "  \n", "\t\n", "a  \n", "\n" * 49 + "a", "// a\n"])
def test_no_code_takes_long_to_colour(line: str) -> None:
    text = (line * 20_000)[:20_000]
    for language in ("c", "cpp", "csharp", "groovy", "java", "objective-c", "powershell"):
        before = time.process_time()
        highlighted(text, language)
        assert time.process_time() - before < 2.0, language
    assert "t-keyword" in highlighted("def f():" + "\n" * 40 + "    pass", "python")


def test_a_formula_over_lines_ends_where_it_says_so_and_before_an_empty_line() -> None:
    assert html("> - \\[\n>   a\n>   \\]").count("<math") == 1
    assert "<math" not in html("\\[\na\n\n\\]")
    assert "<math" not in html("> $$\n> a\n>\n> $$")


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="[]()!<>*_`~$\\|#-=\n :\"'&;/ahtps.\ue000\ue0010​", max_size=120))
def test_any_text_is_harmless(text: str) -> None:
    harmless(html(text, [{"start_index": 1, "end_index": 3, "file_path": {"file_id": '"><script>'}}]))


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg><script>1</script></svg>",
        '<math><mi href="javascript:1">x</mi><annotation-xml encoding="text/html"><img src=x></annotation-xml></math>',
        '<a href="javascript:1">x</a>', '<a href="/logout">x</a>', '<p style="position:fixed" id=composer>x</p>',
        '<button formaction="/x" onclick="1">x</button>', "<iframe srcdoc=x></iframe>", '<a href="JaVaScRiPt:1">x</a>',
        '<p class="approval primary">x</p>', '<form action="//evil.example"><input></form>', "<style>*{}</style>",
    ],
)  # fmt: skip
def test_the_last_step_lets_nothing_through_that_is_not_listed(hostile: str) -> None:
    shown = clean(hostile)
    harmless(shown)
    assert "approval" not in shown


def test_what_was_made_is_remembered_as_long_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(room=10)
    for key in "abc":
        cache.put(key, ["1234"])
    assert [cache.get(key) for key in "abc"] == [None, ["1234"], ["1234"]]
    monkeypatch.setattr(messages, "_cache", Cache(room=100))
    first = rendered_texts(message("*a*"))
    assert rendered_texts(message("*a*")) is first
    assert rendered_texts(message("*b*")) != first, "a message that was redacted says something else"
