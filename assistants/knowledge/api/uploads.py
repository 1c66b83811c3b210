from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from assistants.knowledge import storage
from assistants.knowledge.api.file_objects import UploadObject, UploadPartObject
from assistants.knowledge.api.file_rendering import render_part, render_upload
from assistants.knowledge.api.file_serializers import PartRequest, UploadCompletion, UploadRequest
from assistants.knowledge.api.files import StoringView, expiry_of
from assistants.knowledge.services import uploads
from assistants.knowledge.storage import Stored
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.api.base import ApiView
from sovereign.accounts.api.receiving import KeepingView
from sovereign.accounts.scopes import FILES_WRITE


class UploadsView(ApiView):
    """Begin an upload."""

    scopes = {"POST": FILES_WRITE}
    serializer_class = UploadRequest

    @extend_schema(operation_id="createUpload", request=UploadRequest, responses=UploadObject)
    def post(self, request: Request) -> Response:
        """Begin an upload.

        It takes parts for an hour, and becomes a file when it is completed.
        """
        body = self.body()
        upload = uploads.create_upload(
            principal=principal_of(request),
            purpose=body["purpose"],
            filename=body["filename"],
            bytes=body["bytes"],
            mime_type=body["mime_type"],
            file_expires_after=expiry_of(body),
        )
        return Response(render_upload(upload))


class UploadPartsView(StoringView):
    """Add a part to an upload."""

    scopes = {"POST": FILES_WRITE}
    serializer_class = PartRequest
    file_field = "data"

    @classmethod
    def file_limit(cls) -> int:
        return uploads.MAXIMUM_PART_BYTES

    def admit(self, request: Request, **names: str) -> None:
        uploads.get_upload(principal=principal_of(request), **names)

    @extend_schema(operation_id="addUploadPart", request=PartRequest, responses=UploadPartObject)
    def post(self, request: Request, upload_id: str) -> Response:
        """Add a part.

        At most 64 MB; parts may come at the same time and in any order.
        """
        part = uploads.add_part(principal=principal_of(request), upload_id=upload_id, stored=self.stored)
        return Response(render_part(part))


class UploadCompletionView(KeepingView):
    """Complete an upload."""

    scopes = {"POST": FILES_WRITE}
    serializer_class = UploadCompletion

    def keep(self, request: Request, **names: str) -> Stored | None:
        body = self.body()
        return uploads.assemble(
            principal=principal_of(request),
            upload_id=names["upload_id"],
            part_ids=body["part_ids"],
            md5=body.get("md5"),
        )

    def give_up(self, stored: Stored) -> None:
        storage.give_up(stored)

    @extend_schema(operation_id="completeUpload", request=UploadCompletion, responses=UploadObject)
    def post(self, request: Request, upload_id: str) -> Response:
        """Complete an upload.

        The parts, in this order, become a file. Together they have to be as large as was announced.
        """
        principal = principal_of(request)
        upload, file = uploads.complete_upload(principal=principal, upload_id=upload_id, stored=self.stored)
        return Response(render_upload(upload, file))


class UploadCancellationView(ApiView):
    """Cancel an upload."""

    scopes = {"POST": FILES_WRITE}

    @extend_schema(operation_id="cancelUpload", request=None, responses=UploadObject)
    def post(self, request: Request, upload_id: str) -> Response:
        """Cancel an upload.

        It takes no parts any more, and those that it has are removed.
        """
        return Response(render_upload(uploads.cancel_upload(principal=principal_of(request), upload_id=upload_id)))
