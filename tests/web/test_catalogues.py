"""The German catalogues: everything that our pages say is in them, whole, and compiled as it is written."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.utils.translation.template import templatize

ROOT = Path(settings.BASE_DIR)
WEB = ROOT / "sovereign" / "web"
SCRIPTS = [path for folder in ("", "chat", "embed") for path in (WEB / "static/web" / folder).glob("*.js")]
TEMPLATES = sorted((ROOT / "templates" / "web").rglob("*.html"))
MODULES = sorted(WEB.rglob("*.py"))
CATALOGUES = ("django", "djangojs")
MARKS = {"_", "_marked", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}
TEXT = r'"((?:[^"\\]|\\.)*)"'
COMMENT = r"(?<![:\"])//.*"
PLACES = re.compile(r"%\(\w+\)[sd]|\{\w+\}|<[^>]+>")
#: a text that somebody reads: a word with a capital and more after it, or words that end as a sentence does
PROSE = re.compile(r'(?<![\w(.])(?:"[A-Z][a-z]+ [^"]*"|`[A-Z][a-z]+ [^`]*`)|\( ?"[A-Z][a-z]+ [a-z][^"]*[.?!]"')

Message = tuple[str, str | None]  # singular, plural


def entries(domain: str) -> dict[Message, list[str]]:
    """What a ``.po`` file has, as it is written: its translations by text."""
    path = ROOT / "sovereign/locale/de/LC_MESSAGES" / f"{domain}.po"
    found: dict[Message, list[str]] = {}
    for block in path.read_text().split("\n\n"):
        texts: dict[str, str] = {}
        for line in block.split("\n"):
            if match := re.match(rf"(msg\w+(?:\[\d\])?) {TEXT}$", line):
                name = match[1]
                texts[name] = match[2]
            elif line.startswith('"'):
                texts[name] += line[1:-1]
        read = {name: ast.literal_eval(f'"{text}"') for name, text in texts.items()}
        said = [text for name, text in read.items() if name.startswith("msgstr")]
        found[read["msgid"], read.get("msgid_plural")] = said
    return found


def in_scripts() -> Iterator[Message]:
    for path in SCRIPTS:
        for match in re.finditer(
            rf"(?<![\w.])(?:t\({TEXT}|tn\(\s*{TEXT},\s*{TEXT})", re.sub(COMMENT, "", path.read_text())
        ):
            alone, one, many = (None if text is None else ast.literal_eval(f'"{text}"') for text in match.groups())
            yield (alone or one, many)


def in_python(source: str) -> Iterator[Message]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or getattr(node.func, "id", getattr(node.func, "attr", "")) not in MARKS:
            continue
        texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if texts:
            yield (texts[0], texts[1] if len(texts) > 1 else None)


def in_templates() -> Iterator[Message]:
    """Django turns a template into something like Python, which is read for its calls alone."""
    for path in TEMPLATES:
        for call in re.findall(
            r"(?:n?gettext|_)\((?:[^()'\"]|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")*\)", templatize(path.read_text())
        ):
            yield from in_python(call)


def in_views() -> Iterator[Message]:
    for path in MODULES:
        yield from in_python(path.read_text())


@pytest.mark.parametrize("domain", CATALOGUES)
def test_every_text_is_translated_with_all_its_places(domain: str) -> None:
    for (one, many), said in entries(domain).items():
        if not one:
            continue
        assert all(said), one
        wanted = {*PLACES.findall(one), *PLACES.findall(many or "")}
        assert {place for text in said for place in PLACES.findall(text)} == wanted, one


@pytest.mark.parametrize(
    ("domain", "found"), [("djangojs", in_scripts), ("django", in_templates), ("django", in_views)]
)
def test_everything_that_is_said_is_in_the_catalogue(domain: str, found: object) -> None:
    said = set(found())  # type: ignore[operator]
    assert len(said) > 20
    known = entries(domain)
    texts = {text for one, many in known for text in (one, many)}
    assert sorted(one for one, many in said if one not in texts or (many and many not in texts)) == []


@pytest.mark.parametrize("domain", CATALOGUES)
def test_what_is_compiled_is_what_is_written(domain: str) -> None:
    compiled = gettext.translation(domain, settings.LOCALE_PATHS[0], ["de"])._catalog  # type: ignore[attr-defined]
    written: dict[object, str] = {}
    for (one, many), said in entries(domain).items():
        written |= {(one, index): text for index, text in enumerate(said)} if many else {one: said[0]}
    del compiled[""], written[""]
    assert compiled == written


def test_no_script_of_the_chat_says_anything_past_the_catalogue() -> None:
    said = {}
    for path in (WEB / "static/web/chat").glob("*.js"):
        code = re.sub(COMMENT, "", path.read_text())
        code = re.sub(rf"(?<![\w.])(?:t\(\s*{TEXT}|tn\(\s*{TEXT},\s*{TEXT})", "t(", code)
        said |= {path.name: found} if (found := PROSE.findall(code)) else {}
    assert said == {}
