"""Passages of prose out of documentation: titles and paragraphs, without markup and code. Imports nothing heavy."""

from __future__ import annotations

import ast
import gzip
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST_PARAGRAPH = 1_200  # characters; what is longer is cut at a sentence
FEWEST_WORDS = 6
LETTERS_SHARE = 0.72  # of all characters but blanks; below it is a table, a formula or code

TAG = re.compile(r"<[^>]{1,300}>")
ROLE = re.compile(r":[\w:]+:`~?([^`<]+)(?:<[^`]*>)?`")
MARKS = re.compile(r"[`*_|]{1,3}|\[\d+\]_?")
LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
ADDRESS = re.compile(r"https?://\S+")
BLANKS = re.compile(r"\s+")
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_")
HEADING = re.compile(r"^(#{1,6})\s+(.+)$")


@dataclass(frozen=True)
class Passage:
    """Prose about one thing. ``group`` (a module, a service) is held out as a whole; ``title`` may be empty."""

    package: str
    group: str
    title: str
    sentences: tuple[str, ...]


def words_of(name: str) -> str:
    """``listInvoiceUnits`` and ``list_invoice_units`` as ``list invoice units``."""
    return " ".join(part.lower() for part in CAMEL.split(name) if part)


def plain(text: str) -> str:
    """One line of prose: markup, links and addresses are taken out."""
    text = html.unescape(TAG.sub(" ", text))
    text = ADDRESS.sub(" ", LINK.sub(r"\1", ROLE.sub(r"\1", text)))
    return BLANKS.sub(" ", MARKS.sub(" ", text)).strip()


def sentences_of(text: str) -> tuple[str, ...]:
    """The sentences of a paragraph, cut at its limit; empty where it is no prose."""
    text = plain(text)[:LONGEST_PARAGRAPH]
    dense = text.replace(" ", "")
    if len(text.split()) < FEWEST_WORDS or sum(map(str.isalpha, dense)) < LETTERS_SHARE * len(dense):
        return ()
    return tuple(part for part in SENTENCE.split(text) if len(part) > 15)


def paragraphs(text: str) -> Iterator[str]:
    """Paragraphs of a docstring, reStructuredText or Markdown; code, examples and field lists are left out."""
    fenced = False
    for block in re.split(r"\n\s*\n", text):
        fences = block.count("```")
        if fences or fenced:
            fenced ^= fences % 2 == 1
            continue
        first = block.strip()
        if not first.startswith((">>>", "$", "..", ":", "Traceback", "{", "import ", "from ", "=", "+", "|")):
            yield block


def service_passages(package: str, folder: Path) -> Iterator[Passage]:
    """What botocore says about every operation, shape and member of a service."""
    for path in sorted(folder.glob("data/*/*/service-2.json.gz")):
        model = json.loads(gzip.decompress(path.read_bytes()))
        group = f"{package}/{path.parent.parent.name}"
        service = str(model["metadata"].get("serviceFullName", ""))
        found: list[tuple[str, str]] = [(service, model.get("documentation") or "")]
        for kind in ("operations", "shapes"):
            for name, value in sorted(model[kind].items()):
                found.append((words_of(name), value.get("documentation") or ""))
                found += _members(name, value)
        for title, text in found:
            for number, part in enumerate(re.split(r"</?(?:p|ul|li|note|important|dl|dt|dd|h\d)>", text)):
                if sentences := sentences_of(part):
                    yield Passage(package, group, "" if number > 1 else title, sentences)


def _members(shape: str, value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, member in sorted(value.get("members", {}).items()):
        yield f"{words_of(name)} of {words_of(shape)}", member.get("documentation") or ""


def module_passages(package: str, folder: Path) -> Iterator[Passage]:
    """The docstrings of a package's modules, classes and functions; tests are left out."""
    for path in sorted([folder] if folder.is_file() else folder.rglob("*.py")):
        if {"tests", "test", "testing", "_vendor", "site-packages", "idlelib"} & set(
            path.parts[len(folder.parts) - 1 :]
        ):
            continue
        inside = path.relative_to(folder.parent).with_suffix("").parts[:3]
        group = "/".join(inside[:2] if len(inside) > 2 else inside)
        for name, text in _docstrings(path):
            yield from _described(package, group, words_of(name), text)


def _docstrings(path: Path) -> Iterator[tuple[str, str]]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=True)
            if text:
                yield getattr(node, "name", path.stem), text


def _described(package: str, group: str, title: str, text: str) -> Iterator[Passage]:
    """The summary line and the paragraph below it are one passage; the others stand for themselves."""
    summary: tuple[str, ...] = ()
    for number, block in enumerate(paragraphs(text)):
        sentences = sentences_of(block)
        if number == 0 and len(sentences) < 2:
            summary = sentences
        elif sentences or summary:
            yield Passage(package, group, title if number < 2 else "", summary + sentences)
            summary = ()
    if summary:
        yield Passage(package, group, title, summary)


def page_passages(package: str, folder: Path) -> Iterator[Passage]:
    """Headings and paragraphs of the Markdown and reStructuredText pages in a folder."""
    pages = [path for path in folder.rglob("*") if path.suffix in {".md", ".rst"} and "licen" not in path.name.lower()]
    for path in sorted(pages):
        group, title = f"{package}/{path.relative_to(folder).parts[0]}/{path.parent.name}", words_of(path.stem)
        for block in paragraphs(path.read_text(errors="replace")):
            lines = block.strip().splitlines()
            if lines and (match := HEADING.match(lines[0])):
                title, lines = plain(match[2]), lines[1:]
            elif len(lines) > 1 and re.fullmatch(r"([=\-~^\"'*#])\1{3,}", lines[1].strip()):
                title, lines = plain(lines[0]), lines[2:]
            if sentences := sentences_of("\n".join(lines)):
                yield Passage(package, group, title, sentences)
