"""What a message may say, whoever takes it: threads, runs, and cases of evaluations."""

from __future__ import annotations

from typing import Any

from sovereign.core.api.unions import Union
from sovereign.core.api.validation import (
    StrictChoice,
    StrictField,
    StrictList,
    StrictSerializer,
    StrictString,
    by_type,
    refuse_type,
)

TEXT_LENGTH = 256_000
# a bound of ours on the work of one request, for whose transaction others wait: 16 MiB hold half a million parts
MAXIMUM_PARTS = 1_000
ADDRESS_LENGTH = 15_000_000  # an image may be in its address; the whole body is at most 16 MiB
DETAILS = ["auto", "low", "high"]


class TextPart(StrictSerializer):
    type = StrictChoice(choices=["text"])
    text = StrictString(max_length=TEXT_LENGTH)


class ImageAddress(StrictSerializer):
    url = StrictString(max_length=ADDRESS_LENGTH)
    detail = StrictChoice(choices=DETAILS, default="auto")


class ImageUrlPart(StrictSerializer):
    type = StrictChoice(choices=["image_url"])
    image_url = ImageAddress()


class ImageFile(StrictSerializer):
    file_id = StrictString(max_length=64)
    detail = StrictChoice(choices=DETAILS, default="auto")


class ImageFilePart(StrictSerializer):
    type = StrictChoice(choices=["image_file"])
    image_file = ImageFile()


PARTS = {"text": TextPart, "image_url": ImageUrlPart, "image_file": ImageFilePart}
PART = Union("MessagePart", (TextPart, ImageUrlPart, ImageFilePart))


class ContentField(StrictField):
    """A string, or an array of at least one part."""

    expected = "one of a string or array of objects"

    def schema(self) -> dict[str, Any]:
        text = {"type": "string", "maxLength": TEXT_LENGTH}
        return {"oneOf": [text, {"type": "array", "minItems": 1, "maxItems": MAXIMUM_PARTS, "items": PART}]}

    def to_internal_value(self, data: Any) -> str | list[dict[str, Any]]:
        if isinstance(data, str):
            return StrictString(max_length=TEXT_LENGTH).to_internal_value(data)
        if not isinstance(data, list):
            raise refuse_type(self.expected, data)
        parts = StrictList(child=PartField(), minimum=1, maximum=MAXIMUM_PARTS)
        return parts.run_validation(data)


class PartField(StrictField):
    """One part of a message, checked by its type."""

    expected = "an object"

    def schema(self) -> Union:
        return PART

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        return by_type(data, PARTS)
