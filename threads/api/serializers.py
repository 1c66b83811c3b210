"""What the thread and message routes take."""

from __future__ import annotations

from typing import Any

from assistants.api.fields import ToolResourcesSerializer
from sovereign.core.api.unions import Union
from sovereign.core.api.validation import (
    Metadata,
    StrictChoice,
    StrictField,
    StrictList,
    StrictSerializer,
    StrictString,
    refuse,
    refuse_at,
    refuse_type,
    supported,
)
from threads.models import Message

TEXT_LENGTH = 256_000
# two bounds of ours on the work of one request, for whose transaction others wait: a body of 16 MiB holds half a
# million parts or messages, and a thousand messages take half a second
MAXIMUM_PARTS = 1_000
MAXIMUM_MESSAGES_AT_ONCE = 1_000
MAXIMUM_TOOLS = 128  # of an attachment, of which there are two kinds
ADDRESS_LENGTH = 15_000_000  # an image may be in its address; the whole body is at most 16 MiB
DETAILS = ["auto", "low", "high"]
PART_TYPES = ["text", "image_url", "image_file"]
ATTACHMENT_TOOLS = ["code_interpreter", "file_search"]


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
        if not isinstance(data, dict):
            raise refuse_type("an object", data)
        kind = data.get("type")
        if kind is None:
            raise refuse_at("type", "Missing required parameter: '{param}'.", "missing_required_parameter")
        if kind not in PART_TYPES:
            shown = str(kind)[:64].replace("{", "").replace("}", "")
            raise refuse_at(
                "type", f"Invalid value: '{shown}'. Supported values are: {supported(PART_TYPES)}.", "invalid_value"
            )
        return PARTS[kind].checked(data)


class AttachmentTool(StrictSerializer):
    type = StrictChoice(choices=ATTACHMENT_TOOLS)


class Attachment(StrictSerializer):
    """A file for the thread's tools."""

    file_id = StrictString(max_length=64)
    tools = StrictList(child=AttachmentTool(), maximum=MAXIMUM_TOOLS, required=False)


class MessageRequest(StrictSerializer):
    role = StrictChoice(choices=Message.Role.values)
    content = ContentField()
    attachments = StrictList(child=Attachment(), maximum=MAXIMUM_PARTS, required=False, allow_null=True)
    metadata = Metadata()

    def validate_content(self, content: Any) -> Any:
        if content == "":
            raise refuse("Message content must be non-empty.", "invalid_value")
        return content


class ModifyMessageRequest(StrictSerializer):
    metadata = Metadata()


class ThreadRequest(StrictSerializer):
    messages = StrictList(child=MessageRequest(), maximum=MAXIMUM_MESSAGES_AT_ONCE, required=False, allow_null=True)
    tool_resources = ToolResourcesSerializer(required=False, allow_null=True)
    metadata = Metadata()


class ModifyThreadRequest(StrictSerializer):
    tool_resources = ToolResourcesSerializer(required=False, allow_null=True)
    metadata = Metadata()
