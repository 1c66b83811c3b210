"""One message, wherever it is sent."""

from __future__ import annotations

from typing import Any

from tests.conformance.expectations import (
    OMIT,
    Check,
    because,
    missing,
    not_one_of,
    refuses,
    takes,
    too_few,
    too_long,
    too_many,
    wrong_type,
)
from tests.conformance.families.tools import FILE_REFUSAL, NO_FILE
from tests.conformance.families.values import metadata
from tests.conformance.objects import text
from tests.conformance.reasons import AT_ONCE
from tests.conformance.world import FILE


def message() -> list[Check]:
    """One message, wherever it is sent."""
    return [
        takes("role", "user", {"role": "user"}),
        takes("role", "assistant", {"role": "assistant"}),
        refuses("role", "any other", {"role": "system"}, not_one_of("role", "system", ["user", "assistant"])),
        refuses("role", "none", {"role": OMIT}, missing("role")),
        takes(
            "content",
            "256 000 characters → one text part",
            {"content": "é" * 256_000},
            {"content": [text("é" * 256_000)]},
        ),
        refuses("content", "one more", {"content": "é" * 256_001}, too_long("content", 256_000, 256_001)),
        refuses("content", "an empty array", {"content": []}, too_few("content", 1, 0)),
        refuses("content", "none", {"content": OMIT}, missing("content")),
        refuses(
            "content",
            "a number",
            {"content": 5},
            wrong_type("content", "one of a string or array of objects", "an integer"),
        ),
        *_parts(),
        *_attachments(),
        *metadata(),
        takes("metadata", "left out → {}", {"metadata": OMIT}, {"metadata": {}}),
    ]


def _parts() -> list[Check]:
    address = "https://example.com/cat.png"

    def part(**fields: Any) -> dict[str, Any]:
        return {"content": [fields]}

    def image(**fields: Any) -> dict[str, Any]:
        return part(type="image_url", image_url=fields)

    def file(**fields: Any) -> dict[str, Any]:
        return part(type="image_file", image_file={"file_id": FILE, **fields})

    kinds, details = ["text", "image_url", "image_file"], ["auto", "low", "high"]
    url = "content[].image_url"
    both = {"content": [{"type": "text", "text": "See:"}, {"type": "image_url", "image_url": {"url": address}}]}
    both_shown = {"content": [text("See:"), *image(url=address, detail="auto")["content"]]}
    both_shown["content"][1]["type"] = "image_url"
    return [
        takes("content[].type", "text and image_url together", both, both_shown),
        refuses("content[].type", "any other", part(type="audio"), not_one_of("content[0].type", "audio", kinds)),
        refuses("content[].type", "none", part(text="x"), missing("content[0].type")),
        takes(
            "content[].text",
            "a string → value and annotations",
            part(type="text", text="Hi"),
            {"content": [text("Hi")]},
        ),
        refuses(
            "content[].text",
            "256 001 characters",
            part(type="text", text="x" * 256_001),
            too_long("content[0].text", 256_000, 256_001),
        ),
        refuses("content[].text", "none", part(type="text"), missing("content[0].text")),
        takes(url, "an address", image(url=address, detail="low")),
        refuses(url, "none", part(type="image_url"), missing("content[0].image_url")),
        takes(f"{url}.url", "https", image(url=address, detail="auto")),
        takes(f"{url}.url", "data:image/…", image(url="data:image/png;base64,iVBORw0KGgo=", detail="auto")),
        refuses(f"{url}.url", "none", image(detail="low"), missing("content[0].image_url.url")),
        *(takes(f"{url}.detail", detail, image(url=address, detail=detail)) for detail in details),
        takes(f"{url}.detail", "left out → auto", image(url=address), image(url=address, detail="auto")),
        refuses(
            f"{url}.detail",
            "any other",
            image(url=address, detail="huge"),
            not_one_of("content[0].image_url.detail", "huge", details),
        ),
        takes("content[].image_file", "a file", file(detail="auto")),
        takes("content[].image_file.file_id", "a file", file(detail="auto")),
        refuses("content[].image_file.file_id", "an unknown one", file(file_id=NO_FILE), FILE_REFUSAL),
        *(takes("content[].image_file.detail", detail, file(detail=detail)) for detail in details),
        takes("content[].image_file.detail", "left out → auto", file(), file(detail="auto")),
        refuses(
            "content[].image_file.detail",
            "any other",
            file(detail="huge"),
            not_one_of("content[0].image_file.detail", "huge", details),
        ),
    ]


def _attachments() -> list[Check]:
    def sent(**fields: Any) -> dict[str, Any]:
        return {"attachments": [{"file_id": FILE, "tools": [{"type": "file_search"}], **fields}]}

    kinds = ["code_interpreter", "file_search"]
    return [
        takes("attachments", "[]", {"attachments": []}),
        takes("attachments", "null → []", {"attachments": None}, {"attachments": []}),
        refuses("attachments", "no array", {"attachments": {}}, wrong_type("attachments", "an array", "an object")),
        takes("attachments", "a file", sent()),
        takes("attachments[].file_id", "a file", sent()),
        refuses("attachments[].file_id", "an unknown one", sent(file_id=NO_FILE), FILE_REFUSAL),
        takes("attachments[].tools", "several", sent(tools=[{"type": kind} for kind in kinds])),
        *(takes("attachments[].tools[].type", kind, sent(tools=[{"type": kind}])) for kind in kinds),
        refuses(
            "attachments[].tools[].type",
            "any other",
            sent(tools=[{"type": "function"}]),
            not_one_of("attachments[0].tools[0].type", "function", kinds),
        ),
    ]


def bounded(subject: str) -> list[Check]:
    """An array of messages holds so many."""
    many = [{"role": "user", "content": "Hello"}] * 1_001
    return because(AT_ONCE, refuses(subject, "1,001 messages", {subject: many}, too_many(subject, 1_000, 1_001)))
