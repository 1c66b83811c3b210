"""What the routes of vector stores answer, for the documentation."""

from __future__ import annotations

from rest_framework import serializers

from assistants.knowledge.api.fields import Attributes, ExpiresAfter, StaticChunking
from assistants.knowledge.models import IngestionStatus
from sovereign.core.api.schema import UnixTime, deleted, list_of
from sovereign.core.api.validation import Metadata


class FileCounts(serializers.Serializer):
    """How many files are in which state."""

    in_progress = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    total = serializers.IntegerField()


class VectorStoreObject(serializers.Serializer):
    """A set of files that is searched as one."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["vector_store"])
    created_at = UnixTime()
    name = serializers.CharField(allow_null=True)
    description = serializers.CharField(allow_null=True)
    usage_bytes = serializers.IntegerField()
    file_counts = FileCounts()
    status = serializers.ChoiceField(choices=["in_progress", "completed", "expired"])
    expires_after = ExpiresAfter(allow_null=True)
    expires_at = UnixTime(allow_null=True)
    last_active_at = UnixTime()
    metadata = Metadata(required=True, allow_null=False)


class IngestionError(serializers.Serializer):
    """Why a file cannot be searched."""

    code = serializers.ChoiceField(choices=["server_error", "unsupported_file", "invalid_file"])
    message = serializers.CharField()


class VectorStoreFileObject(serializers.Serializer):
    """A file in a vector store."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["vector_store.file"])
    usage_bytes = serializers.IntegerField()
    created_at = UnixTime()
    vector_store_id = serializers.CharField()
    status = serializers.ChoiceField(choices=IngestionStatus.values)
    last_error = IngestionError(allow_null=True)
    chunking_strategy = StaticChunking()
    attributes = Attributes(required=True, allow_null=False)


class VectorStoreFileBatchObject(serializers.Serializer):
    """Files that were put into a vector store together."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["vector_store.file_batch"])
    created_at = UnixTime()
    status = serializers.ChoiceField(choices=IngestionStatus.values)
    vector_store_id = serializers.CharField()
    file_counts = FileCounts()


class PassageObject(serializers.Serializer):
    """A piece of a file's text."""

    type = serializers.ChoiceField(choices=["text"])
    text = serializers.CharField()


class PassagePage(serializers.Serializer):
    """What was made of a file for its search, in the file's order."""

    object = serializers.ChoiceField(choices=["vector_store.file_content.page"])
    data = PassageObject(many=True)  # type: ignore[assignment]  # the contract's name, and DRF's
    has_more = serializers.BooleanField()
    next_page = serializers.CharField(allow_null=True)


class SearchResultObject(serializers.Serializer):
    """A passage that was found."""

    file_id = serializers.CharField()
    filename = serializers.CharField()
    score = serializers.FloatField(min_value=0, max_value=1)
    attributes = Attributes(required=True, allow_null=False)
    content = PassageObject(many=True)


class SearchResultsPage(serializers.Serializer):
    """What was found, best first."""

    object = serializers.ChoiceField(choices=["vector_store.search_results.page"])
    search_query = serializers.ListField(child=serializers.CharField())
    data = SearchResultObject(many=True)  # type: ignore[assignment]  # as above
    has_more = serializers.BooleanField()
    next_page = serializers.CharField(allow_null=True)


VectorStoreList = list_of(VectorStoreObject)
VectorStoreFileList = list_of(VectorStoreFileObject)
DeletedVectorStore = type("DeletedVectorStore", (deleted("vector_store"),), {"__doc__": "The vector store is gone."})
DeletedVectorStoreFile = type(
    "DeletedVectorStoreFile", (deleted("vector_store.file"),), {"__doc__": "The file is not in the store any more."}
)
