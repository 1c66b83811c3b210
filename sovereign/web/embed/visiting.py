"""How a visitor's page asks for JSON: with the visitor's token in a header, and never with a session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from assistants.embeds.services import still_visits, visit_of
from runs.streaming.rights import Rights
from sovereign.core.errors import ApiError
from sovereign.core.origins import is_own_origin
from sovereign.web.chat.answers import answered, body_of

LARGEST_BODY = 256 * 1024  # bytes: the longest message that a key can allow, each of its characters escaped, has less


@dataclass(frozen=True, slots=True)
class VisitorsRights(Rights):
    """What a visitor watches with: the embed's key, and the visit."""

    def stand(self) -> bool:
        return Rights.stand(self) and still_visits(self.principal.visitor_id or "")


def from_own_page(request: HttpRequest) -> None:
    """:raises ApiError: 403, a page of another site asks: only the one in the frame does, and it is ours."""
    origin = request.headers.get("Origin")
    is_foreign = request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")
    if is_foreign or (origin is not None and not is_own_origin(origin, request.get_host())):
        raise ApiError("Only the embedded page may ask this.", status=HTTPStatus.FORBIDDEN, code="foreign_origin")


def refuse_other_methods(request: HttpRequest, method: str) -> None:
    """:raises ApiError: 405."""
    if request.method != method:
        raise ApiError(
            f"Not allowed method: {request.method}", status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": method}
        )


def visitor_page(method: str) -> Callable[[Callable[..., Any]], Callable[..., HttpResponseBase]]:
    """A view ``(request, visit, body, **names)`` of a visitor who was let in. CSRF is no affair of a door that takes
    no cookies."""

    def decorate(view: Callable[..., Any]) -> Callable[..., HttpResponseBase]:
        @csrf_exempt
        @wraps(view)
        def answer(request: HttpRequest, public_key: str, **names: str) -> HttpResponseBase:
            def make() -> Any:
                refuse_other_methods(request, method)
                from_own_page(request)
                visit = visit_of(public_key, _token(request))
                body = body_of(request, LARGEST_BODY) if method == "POST" else {}
                return view(request, visit, body, **names)

            return answered(make)

        return answer

    return decorate


def _token(request: HttpRequest) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme == "Bearer" else ""
