"""Content security policies: nothing that a model or a member wrote can run or load anything in our pages.

Every page is local-only. Ours run no inline code and load no remote image. The admin's Alpine compiles its attributes
(``unsafe-eval``) but runs no inline script either; Redoc and the browsable API style themselves inline.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

HEADER = "Content-Security-Policy"
NONCE_BYTES = 16

_BASE = {
    "default-src": "'none'",
    "script-src": "'self' 'nonce-{nonce}'",
    "style-src": "'self' 'nonce-{nonce}'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
_INLINE_STYLES = {"style-src": "'self' 'unsafe-inline'"}

#: The first prefix that a path begins with decides; everything else gets the strict policy.
LOOSER: tuple[tuple[str, dict[str, str]], ...] = (
    ("/admin/", {**_INLINE_STYLES, "script-src": "'self' 'unsafe-eval'"}),
    ("/docs", _INLINE_STYLES),
    ("/redoc", {**_INLINE_STYLES, "worker-src": "'self' blob:"}),
    ("/v1/", _INLINE_STYLES),
)


class ContentSecurityPolicyMiddleware:
    """Sets the header, and gives templates ``request.csp_nonce`` for what must stand inline."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        nonce = SimpleLazyObject(lambda: secrets.token_urlsafe(NONCE_BYTES))
        request.csp_nonce = nonce  # type: ignore[attr-defined]
        response = self.get_response(request)
        if response.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault(HEADER, policy(request.path, str(nonce)))
        return response


def policy(path: str, nonce: str, more: Mapping[str, str] | None = None) -> str:
    """The policy for a page at ``path``.

    :param more: what is different on this page alone; nothing in it is filled in.
    """
    looser = next((changes for prefix, changes in LOOSER if path.startswith(prefix)), {})
    directives = {name: value.format(nonce=nonce) for name, value in {**_BASE, **looser}.items()}
    if not nonce:
        directives = {name: value.replace(" 'nonce-'", "") for name, value in directives.items()}
    return "; ".join(f"{name} {value}" for name, value in {**directives, **(more or {})}.items())
