"""What the routes of files and uploads answer, for the documentation."""

from __future__ import annotations

from rest_framework import serializers

from assistants.knowledge.models import File, Purpose, Upload
from sovereign.core.api.schema import UnixTime, list_of


class FileObject(serializers.Serializer):
    """A file that was uploaded."""

    object = serializers.ChoiceField(choices=["file"])
    id = serializers.CharField()
    purpose = serializers.ChoiceField(choices=Purpose.values)
    filename = serializers.CharField()
    bytes = serializers.IntegerField()
    created_at = UnixTime()
    expires_at = UnixTime(allow_null=True)
    status = serializers.ChoiceField(choices=File.Status.values)
    status_details = serializers.CharField(allow_null=True)


FileList = list_of(FileObject)


class DeletedFile(serializers.Serializer):
    """The file is gone, from every vector store as well."""

    object = serializers.ChoiceField(choices=["file"])
    deleted = serializers.BooleanField()
    id = serializers.CharField()


class UploadObject(serializers.Serializer):
    """A file that comes in parts."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["upload"])
    bytes = serializers.IntegerField()
    created_at = UnixTime()
    filename = serializers.CharField()
    purpose = serializers.ChoiceField(choices=Purpose.values)
    status = serializers.ChoiceField(choices=Upload.Status.values)
    expires_at = UnixTime()
    file = FileObject(required=False)


class UploadPartObject(serializers.Serializer):
    """Some of the bytes of an upload."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["upload.part"])
    created_at = UnixTime()
    upload_id = serializers.CharField()
