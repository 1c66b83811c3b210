"""Errors in the contract's envelope: ``{"error": {"message", "type", "param", "code"}}``.

Services raise them, the DRF handler and the streams render them; nothing else decides their text.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

INVALID_REQUEST = "invalid_request_error"
SERVER_ERROR = "server_error"
SHOWN_ID = 200  # characters


class ApiError(Exception):
    """A request that cannot be fulfilled, with what the client is told about it."""

    def __init__(
        self,
        message: str,
        *,
        status: int = HTTPStatus.BAD_REQUEST,
        type: str = INVALID_REQUEST,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = int(status)
        self.type = type
        self.param = param
        self.code = code
        self.headers = headers or {}
        self.details = details or {}  # beside what the contract knows

    def body(self) -> dict[str, Any]:
        told = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": {**told, **self.details}}


def not_found(kind: str, identifier: str) -> ApiError:
    """The same answer for an unknown object and for another tenant's. Of a long id the beginning is repeated."""
    return ApiError(f"No {kind} found with id '{identifier[:SHOWN_ID]}'.", status=HTTPStatus.NOT_FOUND)


def no_such_file(identifier: str) -> ApiError:
    """As ``not_found``, in the words that files have always had."""
    message = f"No such File object: {identifier[:SHOWN_ID]}"
    return ApiError(message, status=HTTPStatus.NOT_FOUND, param="id")


def model_not_found(model: str) -> ApiError:
    return ApiError(
        f"The model '{model}' does not exist", status=HTTPStatus.NOT_FOUND, param="model", code="model_not_found"
    )


def unsupported_model(model: str) -> ApiError:
    """For a model that exists and is no chat model."""
    return ApiError(
        f"The requested model '{model}' cannot be used with the Assistants API.",
        param="model",
        code="unsupported_model",
    )


def forbidden(scope: str) -> ApiError:
    return ApiError(
        f"You have insufficient permissions for this operation. Missing scopes: {scope}.",
        status=HTTPStatus.FORBIDDEN,
        code="insufficient_permissions",
    )


def unsupported_content_type(content_type: str, accepted: str = "application/json") -> ApiError:
    shown = content_type[:SHOWN_ID]
    return ApiError(
        f"Unsupported content type: '{shown}'. This API method only accepts '{accepted}' requests, but you "
        f"specified the header 'Content-Type: {shown}'. Please try again with a supported content type.",
        status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        code="unsupported_content_type",
    )


def request_too_large(limit: int, param: str | None = None) -> ApiError:
    """
    :param limit: bytes that a body may have.
    :param param: the field with which it had more.
    """
    size = f"{limit // 1024**2} MB" if limit >= 1024**2 else f"{limit // 1024} KB"
    shown = param[:SHOWN_ID] if param is not None else None
    return ApiError(f"The body is larger than {size}.", status=413, param=shown, code="request_too_large")


def unauthorized(message: str, code: str | None = None) -> ApiError:
    return ApiError(message, status=HTTPStatus.UNAUTHORIZED, code=code, headers={"WWW-Authenticate": "Bearer"})


def database_unavailable() -> ApiError:
    return unavailable("The database is not available at the moment. Please retry.")


def unavailable(message: str, retry_after: int = 1) -> ApiError:
    return ApiError(
        message,
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        type=SERVER_ERROR,
        code="service_unavailable",
        headers={"Retry-After": str(retry_after)},
    )


def server_error(request_id: str) -> ApiError:
    """For an exception nobody expected: the request id, and no text of the exception."""
    return ApiError(
        "The server had an error processing your request. Sorry about that! You can retry your request, or tell "
        f"your administrator the request ID {request_id}.",
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        type=SERVER_ERROR,
    )
