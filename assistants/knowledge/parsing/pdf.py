"""PDF documents. What streams may unpack to is bounded by pypdf, and everything by the limits of the process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from pypdf import PageObject, PasswordType, PdfReader
from pypdf.errors import DependencyError, LimitReachedError, PyPdfError

from assistants.knowledge.parsing.reasons import Reason, Unreadable

#: what pypdf raises for documents that are none
_BROKEN = (PyPdfError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def text_of(source: BinaryIO) -> Iterator[str]:
    """The texts of the pages.

    :raises Unreadable: it is protected with a password or no PDF, or no page of it can be read.
    """
    try:
        reader = PdfReader(source, strict=False)
        if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
            raise Unreadable(Reason.PROTECTED)
        yield from _pages(reader)
    except DependencyError:  # a cipher that is not known
        raise Unreadable(Reason.PROTECTED) from None
    except LimitReachedError:
        raise Unreadable(Reason.BOMB) from None
    except RecursionError:
        raise Unreadable(Reason.TOO_COMPLEX) from None
    except _BROKEN:
        raise Unreadable(Reason.BROKEN) from None


def _pages(reader: PdfReader) -> Iterator[str]:
    """One broken page does not take the others with it."""
    read = broken = 0
    for page in reader.pages:
        text = _text(page)
        broken += text is None
        read += text is not None
        yield f"{text or ''}\n\n"
    if broken and not read:
        raise Unreadable(Reason.BROKEN)


def _text(page: PageObject) -> str | None:
    try:
        return page.extract_text()
    except (LimitReachedError, RecursionError, MemoryError):
        raise
    except _BROKEN:
        return None
