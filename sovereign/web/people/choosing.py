"""Whether an account that was invited with somebody's address is theirs: they are asked before anything is made.

Nobody checked the address of that account, so who proved to have the same one is not let into it. They either log in
with its password and connect, or go on as somebody new: else they would have two accounts without having chosen it.
"""

from __future__ import annotations

import secrets
from time import time
from typing import Any

from allauth.socialaccount.helpers import complete_social_login
from allauth.socialaccount.models import SocialLogin
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from sovereign.web.people.refusals import is_within_limit, refusal, too_many

HELD = "arrival"  # in the session
GOOD_FOR = 600  # seconds
IS_NEW = "is_somebody_new"  # in an arrival's state, which is the server's: they were asked
THEIRS, NEW = "theirs", "new"


def ask(request: HttpRequest, sociallogin: SocialLogin) -> HttpResponse:
    """Keep the arrival in the session, in place of one before, and ask. The issuer's token is not kept."""
    sociallogin.token = None
    held = {"id": secrets.token_urlsafe(16), "until": time() + GOOD_FOR, "login": sociallogin.serialize()}
    request.session[HELD] = held
    return HttpResponseRedirect(reverse("login-elsewhere-whose"))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """``POST`` answers for the arrival that the form is of, once.

    :raises SuspiciousOperation: no such answer.
    """
    if request.method == "POST" and not is_within_limit(request, "sign_on"):
        return too_many(request)
    held = _held(request)
    if held is None:
        return _over(request)
    if request.method != "POST":
        return render(
            request, "web/people/choosing.html", {"arrival": held["id"], "sign_on": settings.SOVEREIGN.sign_on}
        )
    choice = request.POST.get("choice")
    if choice not in (THEIRS, NEW):
        raise SuspiciousOperation("no such choice")
    if not constant_time_compare(request.POST.get("arrival", ""), held["id"]):
        return _over(request)
    del request.session[HELD]
    if choice == THEIRS:
        return HttpResponseRedirect(f"{reverse('login')}?next={reverse('account-connect')}")
    return _as_somebody_new(request, held["login"])


def _held(request: HttpRequest) -> dict[str, Any] | None:
    """The session's arrival, where it is not too old and of the issuer that there is now."""
    held: dict[str, Any] | None = request.session.get(HELD)
    if held is None or held["until"] < time():
        return None
    return held if held["login"]["account"]["provider"] == settings.SOVEREIGN.sign_on.provider_id else None


def _as_somebody_new(request: HttpRequest, kept: dict[str, Any]) -> HttpResponse:
    sociallogin = SocialLogin.deserialize(kept)
    sociallogin.state[IS_NEW] = True
    answer: HttpResponse = complete_social_login(request, sociallogin)
    return answer


def _over(request: HttpRequest) -> HttpResponse:
    return refusal(request, _("This was answered already, or too long ago. Log in again."))
