"""Files and uploads as the contract's objects."""

from __future__ import annotations

from typing import Any

from assistants.knowledge.models import File, Upload, UploadPart


def render_file(file: File) -> dict[str, Any]:
    return {
        "object": "file",
        "id": file.id,
        "purpose": file.purpose,
        "filename": file.filename,
        "bytes": file.bytes,
        "created_at": int(file.created_at.timestamp()),
        "expires_at": int(file.expires_at.timestamp()) if file.expires_at else None,
        "status": file.status,
        "status_details": file.status_details or None,
    }


def render_deleted_file(file_id: str) -> dict[str, Any]:
    return {"object": "file", "deleted": True, "id": file_id}


def render_upload(upload: Upload, file: File | None = None) -> dict[str, Any]:
    """:param file: what it has become."""
    rendered = {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.bytes,
        "created_at": int(upload.created_at.timestamp()),
        "filename": upload.filename,
        "purpose": upload.purpose,
        "status": upload.status,
        "expires_at": int(upload.expires_at.timestamp()),
    }
    return rendered | ({"file": render_file(file)} if file is not None else {})


def render_part(part: UploadPart) -> dict[str, Any]:
    return {
        "id": part.id,
        "object": "upload.part",
        "created_at": int(part.created_at.timestamp()),
        "upload_id": part.upload_id,
    }
