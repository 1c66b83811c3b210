"""The one place where an exception becomes an answer of ``/v1``."""

from __future__ import annotations

from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from sovereign.core import errors
from sovereign.core.api.validation import validation_error

log = structlog.get_logger(__name__)


def exception_handler(exception: Exception, context: dict[str, Any]) -> Response:
    """Every exception, expected or not, in the contract's envelope (DRF's ``EXCEPTION_HANDLER``)."""
    set_rollback()
    error = as_api_error(exception, context)
    return Response(error.body(), status=error.status, headers=error.headers)


def as_api_error(exception: Exception, context: dict[str, Any]) -> errors.ApiError:
    request = context.get("request")
    match exception:
        case errors.ApiError():
            return exception
        case exceptions.ValidationError():
            return validation_error(exception)
        case exceptions.ParseError():
            return errors.ApiError(
                "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
                "library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"
            )
        case exceptions.UnsupportedMediaType():  # a header that is none: every type that is one is read
            return errors.unsupported_content_type(getattr(request, "content_type", None) or "")
        case exceptions.MethodNotAllowed():
            path = getattr(request, "path", "")
            return errors.ApiError(f"Invalid method for URL ({getattr(request, 'method', '')} {path})", status=405)
        case exceptions.APIException():
            return errors.ApiError(str(exception.detail), status=exception.status_code, headers=_headers_of(exception))
        case Http404():
            path = getattr(request, "path", "")
            return errors.ApiError(f"Invalid URL ({getattr(request, 'method', 'GET')} {path})", status=404)
        case PermissionDenied():
            return errors.ApiError("You have insufficient permissions for this operation.", status=403)
        case SuspiciousOperation():  # too many parameters and the like: Django's own limits
            return errors.ApiError("The request was refused because it exceeds a limit of this server.")
        case OperationalError() | InterfaceError():
            log.error("database_unavailable", exc_info=exception)
            return errors.database_unavailable()
    request_id = getattr(request, "request_id", "unknown")
    log.error("unexpected_exception", exc_info=exception)
    return errors.server_error(request_id)


def _headers_of(exception: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if header := getattr(exception, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if wait := getattr(exception, "wait", None):
        headers["Retry-After"] = str(max(1, round(wait)))
    return headers
