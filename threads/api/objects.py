"""What the thread and message routes answer, for the documentation; a run's events carry the same objects."""

from __future__ import annotations

from rest_framework import serializers

from assistants.api.objects import ToolResourcesObject
from sovereign.core.api.schema import UnixTime, deleted, list_of
from sovereign.core.api.unions import OneOf, Union
from sovereign.core.api.validation import Metadata
from threads.api.serializers import ATTACHMENT_TOOLS
from threads.models import Message
from threads.shapes import DETAILS

INCOMPLETE_REASONS = ["content_filter", "max_tokens", "run_cancelled", "run_expired", "run_failed"]


class FileReference(serializers.Serializer):
    file_id = serializers.CharField()


class FileCitation(serializers.Serializer):
    """Where in a searched file a statement comes from."""

    type = serializers.ChoiceField(choices=["file_citation"])
    text = serializers.CharField()
    start_index = serializers.IntegerField(min_value=0)
    end_index = serializers.IntegerField(min_value=0)
    file_citation = FileReference()


class FilePath(serializers.Serializer):
    """A file that the code interpreter made."""

    type = serializers.ChoiceField(choices=["file_path"])
    text = serializers.CharField()
    start_index = serializers.IntegerField(min_value=0)
    end_index = serializers.IntegerField(min_value=0)
    file_path = FileReference()


ANNOTATION = Union("Annotation", (FileCitation, FilePath))


class TextObject(serializers.Serializer):
    value = serializers.CharField()
    annotations = serializers.ListField(child=OneOf(ANNOTATION))


class TextContent(serializers.Serializer):
    """Text."""

    type = serializers.ChoiceField(choices=["text"])
    text = TextObject()


class ImageFileObject(serializers.Serializer):
    file_id = serializers.CharField()
    detail = serializers.ChoiceField(choices=DETAILS, default="auto")


class ImageFileContent(serializers.Serializer):
    """An image that is a file here."""

    type = serializers.ChoiceField(choices=["image_file"])
    image_file = ImageFileObject()


class ImageUrlObject(serializers.Serializer):
    url = serializers.CharField()
    detail = serializers.ChoiceField(choices=DETAILS, default="auto")


class ImageUrlContent(serializers.Serializer):
    """An image elsewhere, or inside its address."""

    type = serializers.ChoiceField(choices=["image_url"])
    image_url = ImageUrlObject()


class RefusalContent(serializers.Serializer):
    """The model declined to answer."""

    type = serializers.ChoiceField(choices=["refusal"])
    refusal = serializers.CharField()


CONTENT = Union("MessageContent", (TextContent, ImageFileContent, ImageUrlContent, RefusalContent))


class AttachmentToolObject(serializers.Serializer):
    type = serializers.ChoiceField(choices=ATTACHMENT_TOOLS)


class AttachmentObject(serializers.Serializer):
    """A file that came with a message, and the tools it was added to."""

    file_id = serializers.CharField()
    tools = serializers.ListField(child=AttachmentToolObject())


class MessageIncompleteDetails(serializers.Serializer):
    reason = serializers.ChoiceField(choices=INCOMPLETE_REASONS)


class ThreadObject(serializers.Serializer):
    """A conversation."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["thread"])
    created_at = UnixTime()
    metadata = Metadata(required=True, allow_null=False)
    tool_resources = ToolResourcesObject()


class MessageObject(serializers.Serializer):
    """A message of a thread."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["thread.message"])
    created_at = UnixTime()
    assistant_id = serializers.CharField(allow_null=True)
    thread_id = serializers.CharField()
    run_id = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(choices=Message.Status.choices)
    incomplete_details = MessageIncompleteDetails(allow_null=True)
    completed_at = UnixTime(allow_null=True)
    incomplete_at = UnixTime(allow_null=True)
    role = serializers.ChoiceField(choices=Message.Role.choices)
    content = serializers.ListField(child=OneOf(CONTENT))
    attachments = serializers.ListField(child=AttachmentObject())
    metadata = Metadata(required=True, allow_null=False)


class ModifiedMessageObject(MessageObject):
    """A message as its modification answers it: with the older list of its attachments' files."""

    file_ids = serializers.ListField(child=serializers.CharField())


MessageList = list_of(MessageObject)
DeletedThread = deleted("thread")
DeletedMessage = deleted("thread.message")
