"""What is said to somebody who comes from elsewhere and is not logged in, and to whoever comes too often."""

from __future__ import annotations

from allauth.core.internal import ratelimit
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _


def refusal(request: HttpRequest, text: str) -> HttpResponse:
    """A page that says why nobody was logged in."""
    return render(request, "web/error.html", {"title": _("You are not logged in"), "text": text}, status=403)


def is_within_limit(request: HttpRequest, action: str) -> bool:
    """Counts the request, whatever its method. See ``ACCOUNT_RATE_LIMITS``."""
    return ratelimit.consume(request, app="allauth.account", action=action, limit_get=True) is not None


def too_many(request: HttpRequest) -> HttpResponse:
    return render(request, "web/error.html", {"title": _("Too many attempts. Wait for a minute.")}, status=429)


def failed() -> str:
    """What is said of whatever an issuer does wrong."""
    return _("What came back could not be used. Try again; if it happens again, tell your administrator.")
