"""What the routes of files and uploads take."""

from __future__ import annotations

import re
from typing import Any

from rest_framework.exceptions import ValidationError

from assistants.knowledge.models import Purpose
from assistants.knowledge.models.files import FILENAME_LENGTH
from assistants.knowledge.services.uploads import MAXIMUM_BYTES, MAXIMUM_PARTS
from sovereign.core.api.validation import (
    SHOWN,
    StrictChoice,
    StrictField,
    StrictList,
    StrictNumber,
    StrictSerializer,
    StrictString,
    refuse,
    refuse_type,
)
from sovereign.core.errors import ApiError

#: The purposes that a client may give, in the order of the contract's refusal.
GIVEN_PURPOSES = [
    Purpose.FINE_TUNE.value,
    Purpose.ASSISTANTS.value,
    Purpose.BATCH.value,
    Purpose.USER_DATA.value,
    Purpose.VISION.value,
    Purpose.EVALS.value,
]
SHORTEST, LONGEST = 3_600, 2_592_000  # seconds until a file expires
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
WHOLE = re.compile(r"-?[0-9]{1,18}")
MD5 = re.compile(r"[0-9a-fA-F]{32}")


class FormPurpose(StrictField):
    """The purpose in a form, refused in the words that files have always had (E30)."""

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": GIVEN_PURPOSES}

    def to_internal_value(self, data: Any) -> str:
        if data not in GIVEN_PURPOSES:
            shown = str(data)[:SHOWN]
            raise ApiError(f"'{shown}' is not one of {GIVEN_PURPOSES} - 'purpose'", param="purpose")
        return str(data)


class Filename(StrictString):
    """What a file is called, without the folders that some clients send before it. It is only ever shown."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=FILENAME_LENGTH, min_length=1, **options)

    def to_internal_value(self, data: Any) -> str:
        name = data.replace("\\", "/").rpartition("/")[2] if isinstance(data, str) else data
        name = super().to_internal_value(name)
        if CONTROL.search(name) or name in (".", ".."):
            raise refuse("Invalid '{param}': the name has a character that is not allowed.", "invalid_value")
        return name


class FormNumber(StrictNumber):
    """A whole number, which a form can only give as text."""

    def to_internal_value(self, data: Any) -> float | int:
        return super().to_internal_value(int(data) if isinstance(data, str) and WHOLE.fullmatch(data) else data)


class FileExpiry(StrictSerializer):
    """When a file is deleted: so many seconds after it was made."""

    anchor = StrictChoice(choices=["created_at"])
    seconds = StrictNumber(minimum=SHORTEST, maximum=LONGEST, integer=True)


class FormExpiry(FileExpiry):
    seconds = FormNumber(minimum=SHORTEST, maximum=LONGEST, integer=True)


class FileField(StrictField):
    """A file in a form, as it was received: its name, its size and its digest."""

    expected = "a file"

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "binary"}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict) or "sha256" not in data:
            raise refuse_type(self.expected, data)
        if not data["bytes"]:
            raise refuse("File is empty.", "invalid_value")
        return data


class FormSerializer(StrictSerializer):
    """A form: what is missing is told in the words that files have always had."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        for name, field in self.fields.items():
            if field.required and name not in data:
                raise ApiError(f"'{name}' is a required property")
        return super().to_internal_value(data)


class FileRequest(FormSerializer):
    """A file and what it is for."""

    file = FileField()
    purpose = FormPurpose()
    expires_after = FormExpiry(required=False)

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        try:
            attributes["filename"] = Filename().run_validation(attributes["file"]["filename"])
        except ValidationError as error:
            raise ValidationError({"filename": error.detail}) from None
        return attributes


class PartRequest(FormSerializer):
    """Some of the bytes of an upload."""

    data = FileField()  # type: ignore[assignment]  # the contract's name, and DRF's


class UploadRequest(StrictSerializer):
    """A file that will come in parts."""

    filename = Filename()
    purpose = StrictChoice(choices=GIVEN_PURPOSES)
    bytes = StrictNumber(minimum=1, maximum=MAXIMUM_BYTES, integer=True)
    mime_type = StrictString(max_length=255)
    expires_after = FileExpiry(required=False, allow_null=True)


class Md5(StrictString):
    """A checksum in hexadecimal."""

    def to_internal_value(self, data: Any) -> str:
        checksum = super().to_internal_value(data)
        if not MD5.fullmatch(checksum):
            raise refuse("Invalid '{param}': expected 32 hexadecimal characters.", "invalid_value")
        return checksum.lower()


class UploadCompletion(StrictSerializer):
    """The parts in the order in which they make the file."""

    part_ids = StrictList(child=StrictString(max_length=64), minimum=1, maximum=MAXIMUM_PARTS)
    md5 = Md5(required=False, allow_null=True)
