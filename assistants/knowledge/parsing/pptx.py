"""Slides in their order, each with its notes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO
from zipfile import ZipFile

from assistants.knowledge.parsing import archives
from assistants.knowledge.parsing.reasons import Reason, Unreadable

PRESENTATION = "ppt/presentation.xml"


def text_of(source: BinaryIO) -> Iterator[str]:
    """:raises Unreadable: it is no presentation, is protected, or unpacks to too much."""
    with archives.opened(source) as archive:
        if PRESENTATION not in archive.namelist():
            raise Unreadable(Reason.BROKEN)
        for slide in _slides(archive):
            yield from _texts(archive, slide)
            for kind, notes in archives.relations(archive, slide).values():
                if kind == "notesSlide":
                    yield from _texts(archive, notes)


def _slides(archive: ZipFile) -> list[str]:
    parts = archives.relations(archive, PRESENTATION)
    return [
        parts[target][1]
        for begins, tag, element in archives.elements(archive, PRESENTATION)
        if begins and tag == "sldId"
        for key, target in element.attrib.items()
        if key.endswith("}id") and target in parts
    ]


def _texts(archive: ZipFile, name: str) -> Iterator[str]:
    """The texts of a slide; what stands in one place is a paragraph, rows of tables are lines."""
    cells = field = 0
    for begins, tag, element in archives.elements(archive, name):
        if tag == "tc":
            cells += 1 if begins else -1
        elif tag == "fld":  # the slide's number, the date
            field += 1 if begins else -1
        if begins or field:
            continue
        if tag == "t":
            yield element.text or ""
        elif tag in ("p", "br"):
            yield " " if cells else "\n"
        elif tag == "tc":
            yield "\t"
        elif tag in ("tr", "txBody") and not cells:
            yield "\n"
    yield "\n\n"
