"""Files that come with a form: into the storage, and then in one transaction into a row and where they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse

from assistants.knowledge import storage
from assistants.knowledge.models import File
from assistants.knowledge.services import files
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import FILES_WRITE
from sovereign.core.database import transact
from sovereign.core.errors import ApiError

FIELD = "files"  # the name of every input for files
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


def receive(
    request: HttpRequest, *, principal: Principal, purpose: str, use: Callable[..., Any] | None = None
) -> Received:
    """Make files of what a form brought, one by one: a refusal of one leaves the others.

    :param use: called with the ``file_id`` of each new file, in the transaction that makes it: what it refuses is not
        kept.
    :raises ApiError: no file was chosen; 403, the principal may not upload.
    """
    principal.require(FILES_WRITE)
    uploads = request.FILES.getlist(FIELD)
    if not uploads:
        raise ApiError("Choose at least one file.", param=FIELD, code="missing_required_parameter")
    received = Received()
    for upload in uploads:
        try:
            received.added.append(_receive(principal, purpose, upload, use))
        except ApiError as error:
            received.refused.append((upload.name or "", error.message))
    return received


def _receive(principal: Principal, purpose: str, upload: UploadedFile, use: Callable[..., Any] | None) -> File:
    stored = storage.save(upload.chunks())

    def recorded() -> File:
        file = files.create_file(principal=principal, purpose=purpose, filename=upload.name or "", stored=stored)
        if use is not None:
            use(file_id=file.pk)
        return file

    with files.unless_refused(stored):
        return transact(recorded)


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
