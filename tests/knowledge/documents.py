"""Small real documents, made with the programs that people make them with, and malicious ones made by hand."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a0 "lol">'
    + "".join(f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">' for level in range(1, 10))
    + "]>"
)


def pdf(*pages: Sequence[str], password: Any = None) -> bytes:
    """A PDF with these lines on its pages.

    :param password: a text, or what reportlab takes to encrypt it.
    """
    from reportlab.pdfgen.canvas import Canvas

    file = io.BytesIO()
    canvas = Canvas(file, encrypt=password)
    for lines in pages:
        for place, line in enumerate(lines):
            canvas.drawString(72, 780 - 18 * place, line)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def docx() -> bytes:
    """A heading, paragraphs, a table, and a line on top of every page."""
    from docx import Document

    document = Document()
    document.add_heading("Warranty", level=2)
    document.add_paragraph("It lasts ").add_run("two years").bold = True
    table = document.add_table(rows=2, cols=2)
    for row, cells in zip(table.rows, (("Part", "Price"), ("Pump", "12 €")), strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    document.add_paragraph("After the table.")
    document.sections[0].header.paragraphs[0].text = "ACME Ltd"
    return _saved(document)


def pptx() -> bytes:
    """Two slides whose order is not that of their making, with a table and notes."""
    from pptx import Presentation
    from pptx.util import Inches

    show = Presentation()
    for title in ("Shown last", "Shown first"):
        slide = show.slides.add_slide(show.slide_layouts[5])
        slide.shapes.title.text = title
    table = slide.shapes.add_table(1, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
    table.cell(0, 0).text, table.cell(0, 1).text = "Turnover", "42"
    slide.notes_slide.notes_text_frame.text = "Say it slowly."
    order = show.slides._sldIdLst
    order.insert(0, order[1])
    return _saved(show)


def xlsx() -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    book.active.title = "Prices"
    book.active.append(["Part", "Price", "Since"])
    book.active.append(["Pump", 12.5, datetime(2024, 1, 2)])
    book.create_sheet("Notes")["C7"] = "far away"
    return _saved(book)


def _saved(document: Any) -> bytes:
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def changed(archive: bytes, **parts: bytes) -> bytes:
    """An archive with other parts; ``__`` in a name stands for ``/``, and ``_xml`` for its ending."""
    named = {name.replace("__", "/").replace("_xml", ".xml"): data for name, data in parts.items()}
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            if entry.filename not in named:
                new.writestr(entry, old.read(entry))
        for name, data in named.items():
            new.writestr(name, data)
    return file.getvalue()


def crowded(entries: int) -> bytes:
    """An archive of so many empty parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(entries):
            archive.writestr(f"word/{number}.xml", b"")
    return file.getvalue()


def pdf_bomb(megabytes: int) -> bytes:
    """A PDF of one page whose content is packed twice, and unpacks to so much."""
    packed = zlib.compress(zlib.compress(b"BT (a) Tj ET " * (megabytes * 1024**2 // 13), 9), 9)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>",
        b"<< /Filter [/FlateDecode /FlateDecode] /Length %d >>\nstream\n%b\nendstream" % (len(packed), packed),
    ]
    file, places = io.BytesIO(), []
    file.write(b"%PDF-1.7\n")
    for number, content in enumerate(objects, 1):
        places.append(file.tell())
        file.write(b"%d 0 obj\n%b\nendobj\n" % (number, content))
    table = file.tell()
    file.write(b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places))
    file.write(b"trailer << /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % table)
    return file.getvalue()
