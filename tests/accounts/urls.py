"""The product's routes, and before them one view for every scope."""

from typing import Any

from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response

from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.api.base import ApiView
from sovereign.accounts.scopes import ALL_SCOPES


class Echo(ApiView):
    """Says who asked."""

    def get(self, request: Request, **_: Any) -> Response:
        principal = principal_of(request)
        return Response(
            {
                "project": principal.project_id,
                "user": principal.user_id,
                "key": principal.key_id,
                "role": principal.role,
                "scopes": sorted(principal.scopes),
                "environment": principal.environment,
            }
        )

    def post(self, request: Request, **_: Any) -> Response:
        return self.get(request)


class WithoutScopes(Echo):
    pass


class ReadOnly(Echo):
    scopes = {"GET": "models:read"}


class Beta(Echo):
    scopes = {"GET": "models:read", "POST": "models:read"}
    requires_beta = True


def view_for(scope: str) -> type[Echo]:
    return type("ScopedEcho", (Echo,), {"scopes": {"GET": scope, "POST": scope}})


urlpatterns = [
    path("v1/echo", view_for("models:read").as_view()),
    path("v1/read_only", ReadOnly.as_view()),
    path("v1/without_scopes", WithoutScopes.as_view()),
    path("v1/beta", Beta.as_view()),
    *(path(f"v1/scope/{scope}", view_for(scope).as_view()) for scope in sorted(ALL_SCOPES)),
    path("", include("sovereign.urls")),
]
