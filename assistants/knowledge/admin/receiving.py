"""Files that come with a form: into the storage, and then in one transaction into a row and where they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from rest_framework.exceptions import ValidationError as Refusal

from assistants.knowledge import storage
from assistants.knowledge.api.file_serializers import Filename
from assistants.knowledge.models import File
from assistants.knowledge.services import files
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import FILES_WRITE
from sovereign.core.api.validation import validation_error
from sovereign.core.database import transact
from sovereign.core.errors import ApiError

FIELD, IDS = "files", "file_ids"  # the names of what a form brings
NAMED = 3  # names that one message lists


@dataclass(slots=True)
class Received:
    """What became of the files of a form.

    :ivar refused: name and reason of each that was.
    :ivar more: what else the page's script is told.
    """

    added: list[File] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)

    def note(self, name: str, work: Callable[[], File]) -> None:
        """Do it, and note what became of it."""
        try:
            self.added.append(work())
        except ApiError as error:
            self.refused.append((name, error.message))
        except Refusal as refusal:
            self.refused.append((name, validation_error(Refusal({"filename": refusal.detail})).message))


def receive(
    request: HttpRequest, *, principal: Principal, purpose: str, use: Callable[..., Any] | None = None
) -> Received:
    """Take what a form brought, one by one: a refusal of one file leaves the others.

    That is files, or (``file_ids``) those that the script has sent before (``reception``).

    :param use: called with the ``file_id`` of each, for a new file in the transaction that makes it: what it refuses
        is not kept.
    :raises ApiError: no file was chosen; 403, the principal may not upload.
    """
    principal.require(FILES_WRITE)
    received = Received()
    for upload in request.FILES.getlist(FIELD):
        received.note(upload.name or "", partial(_receive, principal, purpose, upload, use))
    for file_id in request.POST.getlist(IDS):
        received.note(file_id, partial(_use, principal, file_id, use))
    if not (received.added or received.refused):
        raise ApiError("Choose at least one file.", param=FIELD, code="missing_required_parameter")
    return received


def _receive(principal: Principal, purpose: str, upload: UploadedFile, use: Callable[..., Any] | None) -> File:
    if not upload.size:
        raise ApiError("File is empty.", param=FIELD, code="invalid_value")
    filename = Filename().run_validation(upload.name)
    stored = storage.save(upload.chunks())

    def recorded() -> File:
        file = files.create_file(principal=principal, purpose=purpose, filename=filename, stored=stored)
        if use is not None:
            use(file_id=file.pk)
        return file

    with files.unless_refused(stored):
        return transact(recorded)


def _use(principal: Principal, file_id: str, use: Callable[..., Any] | None) -> File:
    file = files.get_file(principal=principal, file_id=file_id)
    if use is not None:
        use(file_id=file.pk)
    return file


def respond(request: HttpRequest, work: Callable[[], Received], *, following: str, where: str) -> HttpResponse:
    """Do it and tell what became of the files: to the script as JSON, to others in messages on the page ``following``.

    :param where: where those are that were taken, as in ``"uploaded"``.
    """
    is_script = "application/json" in request.headers.get("Accept", "")
    try:
        received = work()
    except ApiError as error:
        if is_script:
            return JsonResponse({"message": error.message}, status=error.status)
        messages.error(request, error.message)
        return HttpResponseRedirect(following)
    if is_script:
        return JsonResponse(_told(received))
    _tell(request, received, where)
    return HttpResponseRedirect(following)


def _tell(request: HttpRequest, received: Received, where: str) -> None:
    if names := [file.filename for file in received.added]:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        messages.success(request, f"{', '.join(names[:NAMED])}{more} {'is' if len(names) == 1 else 'are'} {where}.")
    for name, reason in received.refused:
        messages.error(request, f"{name}: {reason}")


def _told(received: Received) -> dict[str, Any]:
    return {
        "added": [file.filename for file in received.added],
        "refused": [{"name": name, "message": reason} for name, reason in received.refused],
        **received.more,
    }
