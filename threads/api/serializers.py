"""What the thread and message routes take."""

from __future__ import annotations

from typing import Any

from assistants.api.fields import ToolResourcesSerializer
from sovereign.core.api.validation import (
    Metadata,
    StrictChoice,
    StrictList,
    StrictSerializer,
    StrictString,
    refuse,
)
from threads.models import Message
from threads.shapes import MAXIMUM_PARTS, ContentField

# a bound of ours on the work of one request, for whose transaction others wait: a body of 16 MiB holds half a million
# messages, and a thousand take half a second
MAXIMUM_MESSAGES_AT_ONCE = 1_000
MAXIMUM_TOOLS = 128  # of an attachment, of which there are two kinds
ATTACHMENT_TOOLS = ["code_interpreter", "file_search"]


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
