"""The only door for changing uploads: files that come in parts, in any order, within an hour.

A part is a content of its own until the upload is completed. Putting the parts together takes as long as it takes to
copy them, so it happens before the transaction that makes the file (:func:`assemble`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import Count, Sum

from assistants.knowledge import storage
from assistants.knowledge.models import File, Upload, UploadPart
from assistants.knowledge.services import files, quota
from assistants.knowledge.storage import Draft, Stored
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import FILES_WRITE
from sovereign.core.database import now, service, visible_row
from sovereign.core.errors import ApiError, not_found

LIFETIME = timedelta(hours=1)
MAXIMUM_BYTES = 8 * 1024**3
MAXIMUM_PART_BYTES = 64 * 1024**2
MAXIMUM_PARTS = 10_000


def get_upload(*, principal: Principal, upload_id: str) -> Upload:
    """:raises ApiError: 404, for an unknown upload and for another project's alike."""
    upload = visible_row(Upload, principal, upload_id)
    if upload is None:
        raise not_found("upload", upload_id)
    return upload


@service
def create_upload(
    *,
    principal: Principal,
    purpose: str,
    filename: str,
    bytes: int,
    mime_type: str,
    file_expires_after: timedelta | None = None,
) -> Upload:
    """Announce a file of so many bytes.

    :param file_expires_after: of the file that it becomes.
    :raises ApiError: 400, the project would have more than it may, or has too many uploads already.
    """
    principal.require(FILES_WRITE)
    quota.leave_turn(principal.project_id)
    quota.leave_room(principal.project_id, bytes)
    seconds = round(file_expires_after.total_seconds()) if file_expires_after else None
    upload: Upload = Upload.objects.create(
        project_id=principal.project_id,
        purpose=purpose,
        filename=filename,
        bytes=bytes,
        mime_type=mime_type,
        file_expires_after=seconds,
        expires_at=now() + LIFETIME,
        created_by_user=principal.user_id,
        created_by_key=principal.key_id,
    )
    audit.record(principal, "upload.created", upload, purpose=purpose, bytes=bytes)
    return upload


@service
def add_part(*, principal: Principal, upload_id: str, stored: Stored) -> UploadPart:
    """Add a stored content, which the caller removes where the transaction fails.

    :raises ApiError: 404; 400, the upload takes no parts any more, or its parts or the project's files are too much.
    """
    upload = _pending(principal, upload_id, "add parts to")
    held = upload.parts.aggregate(total=Sum("bytes", default=0), count=Count("pk"))
    if held["count"] >= MAXIMUM_PARTS:
        raise ApiError(f"An upload may have {MAXIMUM_PARTS} parts at most.", param="data", code="invalid_value")
    if held["total"] + stored.bytes > upload.bytes + MAXIMUM_PART_BYTES:  # one may be sent again: its answer was lost
        raise ApiError(
            f"The parts would have {held['total'] + stored.bytes} bytes, but {upload.bytes} were announced.",
            param="data",
            code="invalid_value",
        )
    quota.leave_room(principal.project_id, stored.bytes)
    part: UploadPart = UploadPart.objects.create(upload=upload, bytes=stored.bytes, storage_key=stored.key)
    transaction.on_commit(lambda: storage.settle(stored.key), robust=True)
    return part


def assemble(*, principal: Principal, upload_id: str, part_ids: Sequence[str], md5: str | None = None) -> Stored | None:
    """Copy the parts, in this order, into one content; the caller removes it where nothing comes of it.

    ``None`` where the upload is not pending: :func:`complete_upload` says why.

    :param md5: of the whole, in hexadecimal.
    :raises ApiError: 404, an upload or part that is not there; 400, the bytes are not those that were announced; 507.
    """
    upload = get_upload(principal=principal, upload_id=upload_id)
    if upload.status != Upload.Status.PENDING:
        return None
    parts = _in_order(upload, part_ids)
    total = sum(part.bytes for part in parts)
    if total != upload.bytes:
        raise ApiError(
            f"The parts have {total} bytes, but {upload.bytes} were announced.", param="part_ids", code="invalid_value"
        )
    checksum = hashlib.md5(usedforsecurity=False)
    with Draft() as draft:
        for piece in _pieces(upload, parts):
            draft.write(piece)
            checksum.update(piece)
        if upload.status != Upload.Status.PENDING:
            return None
        if md5 is not None and md5 != checksum.hexdigest():
            raise ApiError(
                f"The parts have the MD5 checksum {checksum.hexdigest()}, but {md5} was expected.",
                param="md5",
                code="invalid_value",
            )
        return draft.keep()


def _pieces(upload: Upload, parts: Sequence[UploadPart]) -> Iterator[bytes]:
    """All bytes in order; they end early where the upload does."""
    for part in parts:
        try:
            yield from storage.pieces(part.storage_key)
        except FileNotFoundError:
            upload.refresh_from_db(fields=["status"])
            if upload.status == Upload.Status.PENDING:
                raise
            return


def _in_order(upload: Upload, part_ids: Sequence[str]) -> list[UploadPart]:
    found = {part.id: part for part in upload.parts.all()}
    named: set[str] = set()
    for index, part_id in enumerate(part_ids):
        if part_id not in found:
            raise not_found("upload part", part_id)
        if part_id in named:
            raise ApiError(f"The part '{part_id}' is named twice.", param=f"part_ids[{index}]", code="invalid_value")
        named.add(part_id)
    return [found[part_id] for part_id in part_ids]


@service
def complete_upload(*, principal: Principal, upload_id: str, stored: Stored | None) -> tuple[Upload, File]:
    """Make the upload a file, of the content that :func:`assemble` gave.

    :raises ApiError: 404; 400, it is completed, cancelled or expired.
    """
    upload = _pending(principal, upload_id, "complete")
    assert stored is not None  # it was pending before, too
    _drop_parts(upload)  # first: what they take is the file's from now on
    seconds = upload.file_expires_after
    file = files.create_file(
        principal=principal,
        purpose=upload.purpose,
        filename=upload.filename,
        stored=stored,
        expires_after=timedelta(seconds=seconds) if seconds else None,
    )
    upload.file = file
    end_upload(upload, Upload.Status.COMPLETED)
    return upload, file


@service
def cancel_upload(*, principal: Principal, upload_id: str) -> Upload:
    """:raises ApiError: 404; 400, it is completed, cancelled or expired."""
    upload = _pending(principal, upload_id, "cancel")
    end_upload(upload, Upload.Status.CANCELLED)
    audit.record(principal, "upload.cancelled", upload)
    return upload


def end_upload(upload: Upload, status: str) -> None:
    """No parts any more, inside the caller's transaction; what they were is removed after the commit."""
    upload.status = status
    upload.save(update_fields=["status", "file"])
    _drop_parts(upload)


def _drop_parts(upload: Upload) -> None:
    for part in upload.parts.all():
        files.remove_content(part.storage_key)
    upload.parts.all().delete()


def _pending(principal: Principal, upload_id: str, what: str) -> Upload:
    """The upload with its row locked. :raises ApiError: 404; 400, it is over."""
    principal.require(FILES_WRITE)
    upload = visible_row(Upload, principal, upload_id, lock=True)
    if upload is None:
        raise not_found("upload", upload_id)
    status = upload.status
    if status == Upload.Status.PENDING and upload.expires_at <= now():
        status = Upload.Status.EXPIRED
    if status != Upload.Status.PENDING:
        raise ApiError(f"Cannot {what} upload with status '{status}'.")
    return upload
