"""What is read of documents, each by the real process."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from assistants.knowledge.parsing import formats, process
from assistants.knowledge.parsing.process import ParsingFailed
from tests.knowledge import documents


async def read(data: bytes, name: str, maximum: int = 800) -> str:
    """The text of a document of one chunk, or its chunks with a line between them."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        found = await process.read(file, name, maximum=maximum, overlap=0)
    return "\n---\n".join(chunk.text for chunk in found)


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.txt", "Grüße\r\naus\rWien".encode(), "Grüße\naus\nWien"),
        ("b.TXT", "Grüße".encode("utf-8-sig"), "Grüße"),
        ("c.txt", "Grüße".encode("utf-16"), "Grüße"),
        ("d.txt", b"\xfe\xff" + "Grüße".encode("utf-16-be"), "Grüße"),
        ("c.txt", "Grüße aus Łódź".encode("utf-16-le"), "Grüße aus Łódź"),
        ("d.txt", "Grüße aus Łódź".encode("utf-16-be"), "Grüße aus Łódź"),
        ("e.txt", b"zero\0 bytes", "zero bytes"),
        ("f.md", b"# Title\n\n\n\n\nText", "# Title\n\nText"),
        ("g.csv", b"part,price\npump,12\n", "part,price\npump,12"),
        ("h.json", b'{"a": [1, 2]}', '{"a": [1, 2]}'),
        ("i.jsonl", b'{"a": 1}\n{"a": 2}\n', '{"a": 1}\n{"a": 2}'),
        ("j.py", b"def f():\n    return 1\n", "def f():\n    return 1"),
        ("k.xml", b"<a><b k='v'>text &amp; more</b><c/></a>", "k: v\ntext & more"),
    ],
)
async def test_texts(name: str, data: bytes, text: str) -> None:
    assert await read(data, name) == text


async def test_html_gives_what_is_to_be_read() -> None:
    page = """<!doctype html><html><head><title>Shop &amp; more</title><meta charset="iso-8859-1"><style>p {}</style>
    <script>steal()</script></head><body><h2>Größe</h2><p>Some   <b>bold</b>
    text.<p>Next<br>line<table><tr><td>a<td>b</table><pre>  kept
  so</pre><noscript>no</noscript></body>"""
    text = await read(page.encode(), "page.html")
    assert text == "Shop & more\n\n## Größe\n\nSome bold text.\n\nNext\nline\n\n a b\n\n  kept\n  so"


async def test_pdf_gives_the_lines_of_its_pages() -> None:
    text = await read(documents.pdf(["Page one.", "Second line."], ["Page two."]), "report.pdf")
    assert text == "Page one.\nSecond line.\n\nPage two."


async def test_pdf_that_opens_without_a_password_is_read() -> None:
    from reportlab.lib.pdfencrypt import StandardEncryption

    data = documents.pdf(["Not to be printed."], password=StandardEncryption("", "owner", canPrint=0))
    assert await read(data, "locked.pdf") == "Not to be printed."


async def test_docx_gives_paragraphs_tables_and_headers() -> None:
    text = await read(documents.docx(), "manual.docx")
    assert text == "## Warranty\n\nIt lasts two years\n\nPart \tPrice \t\nPump \t12 € \t\nAfter the table.\n\nACME Ltd"


async def test_pptx_gives_slides_in_the_order_they_are_shown() -> None:
    text = await read(documents.pptx(), "show.pptx")
    assert text == "Shown first\n\nTurnover \t42\n\nSay it slowly.\n\nShown last"


async def test_xlsx_gives_sheets_and_rows() -> None:
    text = await read(documents.xlsx(), "prices.xlsx")
    assert text == "# Prices\nPart\tPrice\tSince\nPump\t12.5\t2024-01-02\n\n# Notes\n\t\tfar away"


async def test_a_document_is_cut_as_it_is_wanted() -> None:
    text = await read(documents.pdf(["One sentence here."], ["Another one there."]), "report.pdf", maximum=6)
    assert text == "One sentence here.\n---\nAnother one there."


async def test_an_open_file_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(b"all of it")
    with path.open("rb") as file:
        os.lseek(file.fileno(), 4, os.SEEK_SET)
        [chunk] = await process.read(file, "a.txt", maximum=100, overlap=0)
    assert chunk.text == "all of it"


@pytest.mark.parametrize("name", ["letter.doc", "archive.zip", "program.exe", "README", ".pdf", "a.pdf.enc"])
async def test_other_files_are_refused_by_their_names(name: str) -> None:
    assert not formats.is_supported(name)
    with pytest.raises(ParsingFailed, match="cannot be searched") as failure:
        await read(b"anything", name)
    assert failure.value.code == "unsupported_file"


def test_every_extension_of_the_contract_but_doc_is_supported() -> None:
    named = "c cpp cs css docx go html java js json md pdf php pptx py rb sh tex ts txt xlsx csv jsonl xml"
    assert set(named.split()) <= formats.EXTENSIONS.keys()
