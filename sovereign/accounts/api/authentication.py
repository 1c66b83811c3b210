"""How DRF learns who is asking, and what they may: no view of ``/v1`` answers without both."""

from __future__ import annotations

from typing import Any

import structlog
from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from sovereign.accounts import credentials
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError

BETA_HEADER = "OpenAI-Beta"
BETA_VERSION = "assistants=v2"
CONTEXT = ("project", "key", "user")  # what a request adds to its log lines


class Refusal(ApiError, exceptions.APIException):
    """An ``ApiError`` that DRF knows as one of its own: the browsable API asks for permissions to decide on forms."""

    def __init__(self, error: ApiError) -> None:
        ApiError.__init__(
            self,
            error.message,
            status=error.status,
            type=error.type,
            param=error.param,
            code=error.code,
            headers=error.headers,
        )
        self.detail = exceptions.ErrorDetail(error.message)
        self.status_code = error.status


class KeyUser:
    """``request.user`` of a request with an API key: authenticated, and nobody in the database."""

    pk = id = None
    is_authenticated = is_active = True
    is_anonymous = is_staff = is_superuser = False

    __slots__ = ("key_id",)

    def __init__(self, key_id: str | None) -> None:
        self.key_id = key_id

    def __str__(self) -> str:
        return str(self.key_id)

    def get_username(self) -> str:
        return str(self.key_id)


class CredentialsAuthentication(SessionAuthentication):
    """``request.auth`` becomes the ``Principal``. Sessions need the CSRF token for unsafe methods, keys do not."""

    def authenticate(self, request: Request) -> tuple[Any, Principal] | None:
        structlog.contextvars.unbind_contextvars(*CONTEXT)
        person = getattr(request._request, "user", None)
        session = getattr(request._request, "session", {})
        try:
            principal = credentials.read_if_any(
                request.headers, person, session_project=session.get(credentials.SESSION_PROJECT)
            )
        except ApiError as error:
            raise Refusal(error) from None
        if principal is None:
            return None
        structlog.contextvars.bind_contextvars(
            project=principal.project_id, key=principal.key_id, user=principal.user_id
        )
        if principal.key_id is not None:
            return KeyUser(principal.key_id), principal
        self.enforce_csrf(request)
        return person, principal

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class HasScope(BasePermission):
    """A view declares ``scopes = {"GET": "assistants:read", …}``; what it does not declare is refused.

    ``requires_beta = True`` asks requests with an API key for ``OpenAI-Beta: assistants=v2``.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        try:
            principal = principal_of(request)
            if getattr(view, "requires_beta", False) and principal.key_id is not None:
                require_beta(request)
            scope = _scope_of(view, str(request.method))
            if scope is None:
                # a method without a handler goes on to its 405; a handler without a scope is refused
                return not hasattr(view, str(request.method).lower())
            principal.require(scope)
        except Refusal:
            raise
        except ApiError as error:
            raise Refusal(error) from None
        return True


def _scope_of(view: Any, method: str) -> str | None:
    scopes: dict[str, str] = getattr(view, "scopes", None) or {}
    if method in ("HEAD", "OPTIONS") and method not in scopes:
        return scopes.get("GET") or next(iter(scopes.values()), None)
    return scopes.get(method)


def principal_of(request: Any) -> Principal:
    """:raises ApiError: 401 (E2), nobody is known to be asking."""
    principal = getattr(request, "auth", None)
    if not isinstance(principal, Principal):
        raise credentials.missing_key()
    return principal


def require_beta(request: Request) -> None:
    """:raises ApiError: error E3 of the contract, unless a setting made the header optional."""
    if not settings.SOVEREIGN.require_beta_header:
        return
    given = {item.strip().lower() for item in request.headers.get(BETA_HEADER, "").split(",")}
    if BETA_VERSION not in given:
        raise ApiError(
            "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again by setting the "
            "header 'OpenAI-Beta: assistants=v2'.",
            code="invalid_beta",
        )


class CredentialsScheme(OpenApiAuthenticationExtension):
    """``CredentialsAuthentication`` in the OpenAPI document."""

    target_class = "sovereign.accounts.api.authentication.CredentialsAuthentication"
    name = "ApiKeyAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "sk-sov-…"}
