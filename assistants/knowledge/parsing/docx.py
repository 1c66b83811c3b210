"""Word documents: paragraphs, tables, notes, and what stands on the edges of the pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO
from zipfile import ZipFile

from assistants.knowledge.parsing import archives
from assistants.knowledge.parsing.reasons import Reason, Unreadable

BODY = "word/document.xml"
_BESIDE = re.compile(r"word/(header|footer|footnotes|endnotes|comments)\d*\.xml")
_HEADING = re.compile(r"(?:heading|title)\s?(\d?)", re.IGNORECASE)
_SIGNS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}


def text_of(source: BinaryIO) -> Iterator[str]:
    """:raises Unreadable: it is no Word document, is protected, or unpacks to too much."""
    with archives.opened(source) as archive:
        names = archive.namelist()
        if BODY not in names:
            raise Unreadable(Reason.BROKEN)
        for name in (BODY, *sorted(filter(_BESIDE.fullmatch, names))):
            yield from _part(archive, name)


def _part(archive: ZipFile, name: str) -> Iterator[str]:
    """Paragraphs are two lines apart; rows of tables are lines."""
    cells = skipped = 0
    for begins, tag, element in archives.elements(archive, name):
        change = 1 if begins else -1
        if tag == "Fallback":  # the same again, for programs that know less
            skipped += change
        elif tag == "tc":
            cells += change
            yield "" if begins else "\t"
        elif skipped or begins:
            continue
        elif tag == "t":
            yield element.text or ""
        elif tag == "p":
            yield " " if cells else "\n\n"
        elif tag == "tr":
            yield "\n"
        elif tag == "pStyle":
            yield _heading(next(iter(element.attrib.values()), ""))
        else:
            yield _SIGNS.get(tag, "")


def _heading(style: str) -> str:
    found = _HEADING.fullmatch(style)
    return f"{'#' * min(int(found[1] or 1), 6)} " if found else ""
