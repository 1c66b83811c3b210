"""Spreadsheets: a paragraph for every sheet, a line for every row, with the values that were last calculated."""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator
from datetime import datetime, time
from typing import Any, BinaryIO

from defusedxml import DefusedXmlException
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from assistants.knowledge.parsing import archives
from assistants.knowledge.parsing.reasons import Reason, Unreadable

_BROKEN = (ArithmeticError, AttributeError, EOFError, LookupError, OSError, TypeError, ValueError)


def text_of(source: BinaryIO) -> Iterator[str]:
    """:raises Unreadable: it is no workbook, is protected, or unpacks to too much."""
    archives.opened(source).close()
    source.seek(0)
    warnings.simplefilter("ignore")
    try:
        yield from _sheets(source)
    except DefusedXmlException:
        raise Unreadable(Reason.BOMB) from None
    except (ElementTree.ParseError, InvalidFileException, zipfile.BadZipFile, *_BROKEN):
        raise Unreadable(Reason.BROKEN) from None


def _sheets(source: BinaryIO) -> Iterator[str]:
    workbook = load_workbook(source, read_only=True, data_only=True, keep_links=False)
    for sheet in workbook.worksheets:
        yield f"# {sheet.title}\n"
        sheet.reset_dimensions()  # what a sheet says of its size may be anything
        for row in sheet.iter_rows(values_only=True):
            cells = [_shown(value) for value in row]
            if any(cells):
                yield "\t".join(cells).rstrip() + "\n"
        yield "\n"


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime) and value.time() == time.min:
        return value.date().isoformat()
    return " ".join(str(value).split())
