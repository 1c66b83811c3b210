"""Which module reads which documents. The child process knows no other way in."""

from __future__ import annotations

from pathlib import PurePath

_HERE = "assistants.knowledge.parsing"
#: what is text already
_TEXT = (
    "txt text md markdown rst tex log csv tsv json jsonl ndjson yaml yml toml ini cfg "
    "c h cc cpp cxx hpp cs css go java js jsx mjs kt php pl py r rb rs scala sh bash sql swift ts tsx vue"
)

#: extension, in lower case and without its dot → module with ``text_of(source)``, the texts of a binary file in order
EXTENSIONS: dict[str, str] = {
    **dict.fromkeys(_TEXT.split(), f"{_HERE}.text"),
    "html": f"{_HERE}.html",
    "htm": f"{_HERE}.html",
    "xhtml": f"{_HERE}.html",
    "xml": f"{_HERE}.xml",
    "pdf": f"{_HERE}.pdf",
    "docx": f"{_HERE}.docx",
    "pptx": f"{_HERE}.pptx",
    "xlsx": f"{_HERE}.xlsx",
}


def extension_of(filename: str) -> str:
    """In lower case and without its dot; ``""`` where there is none."""
    return PurePath(filename).suffix[1:].lower()


def is_supported(filename: str) -> bool:
    return extension_of(filename) in EXTENSIONS
