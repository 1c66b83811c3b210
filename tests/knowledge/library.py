"""Three real documents, a PDF, a Word document and Markdown, and questions that one sentence of each answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

PAGES = {
    "handbook.pdf": [
        "Everybody has thirty days of vacation in a year.",
        "Whoever is ill says so before nine o'clock.",
    ],
    "contract.docx": [
        "The rent for the warehouse is 2,400 euros a month.",
        "Either party may end the contract with three months of notice.",
    ],
    "recipes.md": [
        "# Soup",
        "Cut the leeks into rings.",
        "# Cake",
        "A marble cake bakes for fifty minutes at 180 degrees.",
    ],
}
#: a word of the question, and of the sentence that answers it
QUESTIONS = {"handbook.pdf": "vacation", "contract.docx": "warehouse", "recipes.md": "marble"}


def answer_in(name: str) -> str:
    """The sentence of a document that answers its question."""
    (found,) = (line for line in PAGES[name] if QUESTIONS[name] in line)
    return found


def write(folder: Path) -> list[Path]:
    """The three, in a folder."""
    for name, lines in PAGES.items():
        _WRITERS[Path(name).suffix](folder / name, lines)
    return [folder / name for name in PAGES]


def _write_pdf(path: Path, lines: list[str]) -> None:
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(path))
    for number, line in enumerate(lines):
        canvas.drawString(72, 720 - 20 * number, line)
    canvas.save()


def _write_docx(path: Path, lines: list[str]) -> None:
    from docx import Document

    document = Document()
    for line in lines:
        document.add_paragraph(line)
    document.save(str(path))


def _write_text(path: Path, lines: list[str]) -> None:
    path.write_text("\n\n".join(lines))


_WRITERS: dict[str, Callable[[Path, list[str]], None]] = {".pdf": _write_pdf, ".docx": _write_docx, ".md": _write_text}
