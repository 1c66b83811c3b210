from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from assistants.knowledge import storage
from assistants.knowledge.api.file_objects import DeletedFile, FileList, FileObject
from assistants.knowledge.api.file_rendering import render_deleted_file, render_file
from assistants.knowledge.api.file_serializers import FileRequest
from assistants.knowledge.models import File, Purpose
from assistants.knowledge.services import files
from assistants.knowledge.storage import Draft, Stored
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.api.base import ApiView
from sovereign.accounts.api.receiving import ReceivingView
from sovereign.accounts.credentials import PAGE_PROJECT, person_in
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import FILES_READ, FILES_WRITE
from sovereign.core.api.pagination import BY_CREATION, page_of, paginate
from sovereign.core.api.schema import PAGE_PARAMETERS
from sovereign.core.errors import ApiError

MAXIMUM_LIMIT = 10_000
LIST_PARAMETERS = [
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 0, "maximum": MAXIMUM_LIMIT, "default": MAXIMUM_LIMIT},
        description="How many files a page has at most.",
    ),
    OpenApiParameter("purpose", str, description="Only files of this purpose."),
    *PAGE_PARAMETERS[1:],
]


def expiry_of(body: dict[str, Any]) -> timedelta | None:
    """How long after it is made the file of a body is deleted."""
    expiry = body.get("expires_after")
    return timedelta(seconds=expiry["seconds"]) if expiry else None


class StoringView(ReceivingView):
    """A view that receives a file into the storage."""

    def new_draft(self) -> Draft:
        return Draft()

    def give_up(self, stored: Stored) -> None:
        storage.give_up(stored)


class FilesView(StoringView):
    """List the project's files, or upload one."""

    scopes = {"GET": FILES_READ, "POST": FILES_WRITE}
    serializer_class = FileRequest
    file_field = "file"

    @classmethod
    def file_limit(cls) -> int:
        limit: int = settings.SOVEREIGN.maximum_file_bytes
        return limit

    @extend_schema(operation_id="listFiles", parameters=LIST_PARAMETERS, responses=FileList)
    def get(self, request: Request) -> Response:
        """The project's files."""
        query = request.query_params
        visible = File.objects.visible_to(principal_of(request))
        if purpose := query.get("purpose"):
            visible = visible.filter(purpose=_known_purpose(purpose))
        page = page_of(query, default=MAXIMUM_LIMIT, maximum=MAXIMUM_LIMIT)
        return Response(paginate(visible, page, order_by=BY_CREATION, render=render_file))

    @extend_schema(operation_id="createFile", request=FileRequest, responses=FileObject)
    def post(self, request: Request) -> Response:
        """Upload a file.

        A form with the file and what it is for. Larger files, and those on bad lines, come in parts: see uploads.
        """
        body = self.body()
        file = files.create_file(
            principal=principal_of(request),
            purpose=body["purpose"],
            filename=body["filename"],
            stored=self.stored,
            expires_after=expiry_of(body),
        )
        return Response(render_file(file))


def _known_purpose(purpose: str) -> str:
    if purpose not in Purpose.values:
        shown = purpose[:64]
        raise ApiError(f"'{shown}' is not one of {Purpose.values} - 'purpose'", param="purpose")
    return purpose


class FileView(ApiView):
    """Read or delete one file."""

    scopes = {"GET": FILES_READ, "DELETE": FILES_WRITE}

    @extend_schema(operation_id="retrieveFile", responses=FileObject)
    def get(self, request: Request, file_id: str) -> Response:
        """Read what is known of a file."""
        return Response(render_file(files.get_file(principal=principal_of(request), file_id=file_id)))

    @extend_schema(operation_id="deleteFile", responses=DeletedFile)
    def delete(self, request: Request, file_id: str) -> Response:
        """Delete a file.

        It leaves every vector store, and every list of files that it was in.
        """
        files.delete_file(principal=principal_of(request), file_id=file_id)
        return Response(render_deleted_file(file_id))


class FileContentView(ApiView):
    """Download one file."""

    scopes = {"GET": FILES_READ}

    @extend_schema(operation_id="downloadFile", responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, file_id: str) -> FileResponse:
        """Download a file.

        The bytes as they were uploaded, always as an attachment: a browser shows none of them.
        """
        file = files.get_file(principal=_reader(request, file_id), file_id=file_id)
        if file.purpose in settings.SOVEREIGN.no_downloads_of:
            raise ApiError(f"Not allowed to download files of purpose: {file.purpose}")
        response = FileResponse(
            files.open_content(file),
            as_attachment=True,
            filename=file.filename,
            content_type="application/octet-stream",
        )
        response["Content-Length"] = str(file.bytes)
        return response


def _reader(request: Request, file_id: str) -> Principal:
    """Who asks, in the file's project: a page's script says which one the page is about, but its links and pictures
    cannot, and the session may have turned to another one."""
    principal = principal_of(request)
    if principal.user_id is None or PAGE_PROJECT in request.headers:
        return principal
    project_id = File.objects.filter(pk=file_id).values_list("project_id", flat=True).first()
    there = None if project_id is None else person_in(principal.user_id, project_id)
    return there if there is not None and there.allows(FILES_READ) else principal
