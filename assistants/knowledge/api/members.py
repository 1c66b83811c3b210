from __future__ import annotations

from typing import Any

from django.http import QueryDict
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from assistants.knowledge.api.settling import when_settled
from assistants.knowledge.api.store_objects import (
    DeletedVectorStoreFile,
    PassagePage,
    VectorStoreFileList,
    VectorStoreFileObject,
)
from assistants.knowledge.api.store_serializers import (
    ModifyStoreFileRequest,
    StoreFileRequest,
    file_of,
    state_asked_for,
)
from assistants.knowledge.api.stores import READ_AND_WRITE
from assistants.knowledge.models import FormerPlace, IngestionStatus, StoreFile
from assistants.knowledge.querysets import StoreFileQuerySet
from assistants.knowledge.rendering import render_content, render_deleted, render_file, render_files
from assistants.knowledge.services import members, stores
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.api.base import ApiView
from sovereign.accounts.scopes import STORES_READ
from sovereign.core.api.pagination import page_of, paginate_together
from sovereign.core.api.polling import POLL_AFTER, polled
from sovereign.core.api.schema import PAGE_PARAMETERS

PASSAGES = 1_000  # of a page of a file's content
FILTER = OpenApiParameter(
    "filter",
    {"type": "string", "enum": IngestionStatus.values},
    description="Only the files in this state.",
)


def page_of_files(files: StoreFileQuerySet, query: QueryDict, *, store_id: str) -> dict[str, Any]:
    """A page of files in a store, those in one state where that is asked for: in the order they were put there.

    A cursor is any file of the store: one that was shown may be in another state by now, or taken out.
    """
    state = state_asked_for(query)
    wanted = files if state is None else files.filter(status=state)
    return paginate_together(
        wanted,
        page_of(query),
        order_by=("created_at", "file_id"),
        render=render_files,
        key="file_id",
        places=(StoreFile.objects.filter(store=store_id), FormerPlace.objects.filter(store=store_id)),
    )


def file_response(member: StoreFile) -> Response:
    is_over = member.status != IngestionStatus.IN_PROGRESS
    return polled(Response(render_file(member)), is_over=is_over, since=member.created_at)


class VectorStoreFilesView(ApiView):
    """List the files of a vector store, or put one there."""

    scopes = READ_AND_WRITE
    serializer_class = StoreFileRequest

    @extend_schema(
        operation_id="listVectorStoreFiles", parameters=[*PAGE_PARAMETERS, FILTER], responses=VectorStoreFileList
    )
    def get(self, request: Request, vector_store_id: str) -> HttpResponseBase:
        """The files of a vector store.

        Those that were just put there are waited for, for a moment.
        """
        principal = principal_of(request)

        def answer() -> Response:
            store = stores.get_store(principal=principal, store_id=vector_store_id)
            return Response(page_of_files(store.files.all(), request.query_params, store_id=store.id))

        return when_settled(vector_store_id, principal, answer)

    @extend_schema(
        operation_id="createVectorStoreFile",
        request=StoreFileRequest,
        parameters=[POLL_AFTER],
        responses=VectorStoreFileObject,
    )
    def post(self, request: Request, vector_store_id: str) -> Response:
        """Put a file into a vector store.

        It is ingested in the background: until that is done its status is `in_progress`. A file that is there already
        gets the attributes that are sent, and is ingested again where it failed or is to be cut in another way.
        """
        files = [file_of(self.body())]
        (member,) = members.attach_files(principal=principal_of(request), store_id=vector_store_id, files=files)
        return file_response(member)


class VectorStoreFileView(ApiView):
    """Read one file of a vector store, change what is said about it, or take it out."""

    scopes = READ_AND_WRITE
    serializer_class = ModifyStoreFileRequest

    @extend_schema(operation_id="getVectorStoreFile", parameters=[POLL_AFTER], responses=VectorStoreFileObject)
    def get(self, request: Request, vector_store_id: str, file_id: str) -> HttpResponseBase:
        """Read a file of a vector store: how far it is, and why it failed.

        One that was just put there is waited for, for a moment.
        """
        principal = principal_of(request)

        def answer() -> Response:
            return file_response(members.get_file(principal=principal, store_id=vector_store_id, file_id=file_id))

        return when_settled(vector_store_id, principal, answer)

    @extend_schema(
        operation_id="updateVectorStoreFileAttributes",
        request=ModifyStoreFileRequest,
        parameters=[POLL_AFTER],
        responses=VectorStoreFileObject,
    )
    def post(self, request: Request, vector_store_id: str, file_id: str) -> Response:
        """Replace the attributes of a file in a vector store."""
        member = members.update_attributes(
            principal=principal_of(request), store_id=vector_store_id, file_id=file_id, **self.body()
        )
        return file_response(member)

    @extend_schema(operation_id="deleteVectorStoreFile", responses=DeletedVectorStoreFile)
    def delete(self, request: Request, vector_store_id: str, file_id: str) -> Response:
        """Take a file out of a vector store.

        The file itself stays.
        """
        members.detach_file(principal=principal_of(request), store_id=vector_store_id, file_id=file_id)
        return Response(render_deleted(file_id, "vector_store.file"))


class VectorStoreFileContentView(ApiView):
    """Read what was made of a file for its search."""

    scopes = {"GET": STORES_READ}

    @extend_schema(
        operation_id="retrieveVectorStoreFileContent",
        parameters=[OpenApiParameter("page", str, description="A page's `next_page`, for the one behind it.")],
        responses=PassagePage,
    )
    def get(self, request: Request, vector_store_id: str, file_id: str) -> Response:
        """Read the text of a file in a vector store.

        It comes in passages, without what the chunking strategy lets neighbours share.
        """
        texts, next_page = members.content_page(
            principal=principal_of(request),
            store_id=vector_store_id,
            file_id=file_id,
            page=request.query_params.get("page"),
            limit=PASSAGES,
        )
        return Response(render_content(texts, next_page))
