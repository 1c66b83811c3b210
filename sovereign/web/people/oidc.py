"""Logging in elsewhere, by OpenID Connect: allauth's way of it, held to what the operator said.

The code comes back for a verifier (PKCE) and a state of this session. The id token's signature is always checked, its
issuer is the one of ``OIDC_ISSUER``, and user info is of whom the token is about. allauth asks the issuer by
``requests``: an address that the operator wrote, like those of engines, so that the rules of ``core.egress``, which are
for what members write, do not apply.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from allauth.socialaccount.models import SocialToken
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.core.cache import caches
from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from requests import RequestException

from sovereign.web.people.refusals import failed, is_within_limit, refusal, too_many

log = structlog.get_logger(__name__)

PROCESSES = {"", "login"}
REMEMBERED = 600  # seconds
NEEDED = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
MALFORMED = (KeyError, TypeError, ValueError, AttributeError)  # by what an issuer says that is no issuer


class Adapter(OpenIDConnectOAuth2Adapter):
    """Stricter than allauth's own, which believes what it fetched itself."""

    @property
    def openid_config(self) -> dict[str, Any]:
        """What the issuer says of itself; this process remembers it for ten minutes. Keys are asked for anew each time,
        so that a new one is known at once.

        :raises OAuth2Error: the document is another issuer's.
        """
        key = f"discovery:{self.provider_id}"
        config: dict[str, Any] | None = caches["process"].get(key)
        if config is None:
            config = super().openid_config
            if config["issuer"].rstrip("/") != settings.SOVEREIGN.sign_on.issuer:
                raise OAuth2Error("the issuer calls itself otherwise")
            for name in NEEDED:
                _ = config[name]  # what lacks one is not kept
            caches["process"].set(key, config, REMEMBERED)
        return config

    def complete_login(self, request: HttpRequest, app: Any, token: SocialToken, **kwargs: Any) -> Any:
        """:raises OAuth2Error: no token that says who came, or two that say different people."""
        self.did_fetch_access_token = False  # else the signature would not be looked at
        login = super().complete_login(request, app, token, **kwargs)
        said = login.account.extra_data
        if not said.get("id_token") or said["id_token"]["sub"] != said["userinfo"]["sub"]:
            raise OAuth2Error("user info is not of whom the token is about")
        return login

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        return request.build_absolute_uri(reverse("login-elsewhere-done"))


class Provider(OpenIDConnectProvider):
    oauth2_adapter_class = Adapter


class Connecting(OAuth2LoginView):
    """What comes back belongs to the account of this session; ``connecting`` asks for its password before."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answer: HttpResponse = self.get_provider().redirect(
            request, process=AuthProcess.CONNECT, next_url=reverse("account")
        )
        return answer


@never_cache
@require_POST
def begin(request: HttpRequest) -> HttpResponse:
    """Logging in. Whoever wants to connect an account goes another way: ``connecting``."""
    if {*request.POST.getlist("process"), *request.GET.getlist("process")} - PROCESSES:
        raise SuspiciousOperation("no such process")  # allauth knows more, by which nobody is logged in
    return leave(request, OAuth2LoginView)


def leave(request: HttpRequest, view: Any) -> HttpResponse:
    """A page that leads to the issuer: as the answer to a form, a redirect to elsewhere is refused by browsers.

    :param view: of allauth, which redirects there.
    """
    if not is_within_limit(request, "sign_on"):
        return too_many(request)
    answer = _guarded(request, view)
    if answer.status_code != 302:
        return answer
    context = {"address": answer["Location"], "name": settings.SOVEREIGN.sign_on.name}
    return render(request, "web/people/leaving.html", context)


@never_cache
@require_GET
def done(request: HttpRequest) -> HttpResponse:
    """Where the issuer sends people back to."""
    return _guarded(request, OAuth2CallbackView)


def _guarded(request: HttpRequest, view: Any) -> HttpResponse:
    sign_on = settings.SOVEREIGN.sign_on
    if not sign_on:
        raise Http404
    try:
        called: Callable[[HttpRequest], HttpResponse] = view.adapter_view(Adapter(request, sign_on.provider_id))
        return called(request)
    except (RequestException, OAuth2Error, *MALFORMED) as error:
        log.warning("sign_on_failed", exception=type(error).__name__)
        return refusal(request, failed())


urlpatterns = [
    path("login/oidc", begin, name="login-elsewhere"),
    path("login/oidc/callback", done, name="login-elsewhere-done"),
]
