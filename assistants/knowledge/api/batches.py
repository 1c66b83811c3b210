from __future__ import annotations

from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from assistants.knowledge.api.members import FILTER, page_of_files
from assistants.knowledge.api.settling import when_settled
from assistants.knowledge.api.store_objects import VectorStoreFileBatchObject, VectorStoreFileList
from assistants.knowledge.api.store_serializers import FileBatchRequest, files_of
from assistants.knowledge.models import FileBatch, IngestionStatus
from assistants.knowledge.rendering import render_batch
from assistants.knowledge.services import members
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.api.base import ApiView
from sovereign.accounts.scopes import STORES_READ, STORES_WRITE
from sovereign.core.api.polling import POLL_AFTER, polled
from sovereign.core.api.schema import PAGE_PARAMETERS


def batch_response(batch: FileBatch) -> Response:
    shown = render_batch(batch)
    return polled(Response(shown), is_over=shown["status"] != IngestionStatus.IN_PROGRESS, since=batch.created_at)


class FileBatchesView(ApiView):
    """Put many files into a vector store."""

    scopes = {"POST": STORES_WRITE}
    serializer_class = FileBatchRequest

    @extend_schema(
        operation_id="createVectorStoreFileBatch",
        request=FileBatchRequest,
        parameters=[POLL_AFTER],
        responses=VectorStoreFileBatchObject,
    )
    def post(self, request: Request, vector_store_id: str) -> Response:
        """Put many files into a vector store.

        Either `file_ids`, with one chunking strategy and the same attributes for all, or `files`, each with its own.
        """
        principal, files = principal_of(request), files_of(self.body())
        return batch_response(members.create_batch(principal=principal, store_id=vector_store_id, files=files))


class FileBatchView(ApiView):
    """Read one batch."""

    scopes = {"GET": STORES_READ}

    @extend_schema(
        operation_id="getVectorStoreFileBatch", parameters=[POLL_AFTER], responses=VectorStoreFileBatchObject
    )
    def get(self, request: Request, vector_store_id: str, batch_id: str) -> HttpResponseBase:
        """Read how far a batch is.

        One that was just made is waited for, for a moment.
        """
        principal = principal_of(request)

        def answer() -> Response:
            return batch_response(members.get_batch(principal=principal, store_id=vector_store_id, batch_id=batch_id))

        return when_settled(vector_store_id, principal, answer)


class FileBatchCancelView(ApiView):
    """Give a batch up."""

    scopes = {"POST": STORES_WRITE}

    @extend_schema(
        operation_id="cancelVectorStoreFileBatch",
        request=None,
        parameters=[POLL_AFTER],
        responses=VectorStoreFileBatchObject,
    )
    def post(self, request: Request, vector_store_id: str, batch_id: str) -> Response:
        """Give up the files of a batch that are not done.

        Those that are done stay. A batch that is done is answered as it is.
        """
        principal = principal_of(request)
        return batch_response(members.cancel_batch(principal=principal, store_id=vector_store_id, batch_id=batch_id))


class FileBatchFilesView(ApiView):
    """List the files of a batch."""

    scopes = {"GET": STORES_READ}

    @extend_schema(
        operation_id="listFilesInVectorStoreBatch",
        parameters=[*PAGE_PARAMETERS, FILTER],
        responses=VectorStoreFileList,
    )
    def get(self, request: Request, vector_store_id: str, batch_id: str) -> HttpResponseBase:
        """The files of a batch.

        Those that were just put there are waited for, for a moment.
        """
        principal = principal_of(request)

        def answer() -> Response:
            batch = members.get_batch(principal=principal, store_id=vector_store_id, batch_id=batch_id)
            return Response(page_of_files(batch.files.all(), request.query_params, store_id=vector_store_id))

        return when_settled(vector_store_id, principal, answer)
