"""What is said where no view could: the contract's envelope to programs, a page to people."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop
from django.views.csrf import csrf_failure

from sovereign.core.errors import ApiError, server_error


def wants_page(request: HttpRequest) -> bool:
    """Whether a browser asks for a page; programs name JSON, or nothing in particular."""
    return not request.path.startswith("/v1/") and "text/html" in request.headers.get("Accept", "")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """``handler404``."""
    if wants_page(request):
        return render(request, "web/error.html", {"title": _("There is nothing here"), "text": NOT_FOUND}, status=404)
    return _envelope(ApiError(f"Invalid URL ({request.method} {request.path})", status=404))


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """``handler403``."""
    if wants_page(request):
        return render(
            request, "web/error.html", {"title": _("This is not yours to see"), "text": FORBIDDEN}, status=403
        )
    return _envelope(ApiError("You have insufficient permissions for this operation.", status=403))


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """``CSRF_FAILURE_VIEW``: also of who has no cookies any more. Pages are told what Django tells them."""
    if wants_page(request):
        return csrf_failure(request, reason)
    return _envelope(ApiError(f"CSRF Failed: {reason}", status=403))


def failed(request: HttpRequest) -> HttpResponse:
    """``handler500``: the request id, and no text of the exception."""
    request_id = getattr(request, "request_id", "unknown")
    if wants_page(request):
        words = _("That is our fault, not yours. Try again, or tell your administrator the request {request_id}.")
        text = words.format(request_id=request_id)
        return render(request, "web/error.html", {"title": _("Something went wrong"), "text": text}, status=500)
    return _envelope(server_error(request_id))


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """``handler400``: refused before any view, for its ``Host`` most of all."""
    if wants_page(request):
        return render(
            request, "web/error.html", {"title": _("That was no request"), "text": _(BAD_REQUEST)}, status=400
        )
    return _envelope(ApiError(BAD_REQUEST))


def _envelope(error: ApiError) -> JsonResponse:
    return JsonResponse(error.body(), status=error.status)


NOT_FOUND = gettext_lazy("The address leads nowhere, or to something that was deleted or belongs to somebody else.")
BAD_REQUEST = gettext_noop(
    "The request was refused: this server does not answer under that name, or it exceeds a limit."
)
FORBIDDEN = gettext_lazy("Your role does not allow it. An owner or administrator of the project can change that.")
