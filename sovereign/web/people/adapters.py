"""What allauth asks us: who asks, who may come in by OpenID Connect, and what is said where it does not work out."""

from __future__ import annotations

import unicodedata
from typing import Any

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal import ratelimit
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin
from allauth.socialaccount.providers.base.constants import AuthError, AuthProcess
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from sovereign.accounts import audit, credentials, services
from sovereign.accounts.models import Invitation
from sovereign.accounts.tokens import digest_of
from sovereign.core.errors import ApiError
from sovereign.core.forwarding import client_address
from sovereign.web.people import choosing
from sovereign.web.people.arrivals import Arrival, MayBeKnown, invitation_in, let_in
from sovereign.web.people.oidc import Provider
from sovereign.web.people.refusals import failed, refusal

log = structlog.get_logger(__name__)

PROVIDER = "openid_connect"
SHOWN_MESSAGES = "socialaccount/messages/account_connected"  # of what allauth would tell by messages


class AccountAdapter(DefaultAccountAdapter):
    def get_client_ip(self, request: HttpRequest) -> str:
        """Whose attempts are counted."""
        return client_address(request.META)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """:raises ValidationError: too many wrong ones for this name, from this address or from all."""
        super().pre_authenticate(request, **credentials)
        key = f"{ratelimit.get_ip(request)} {self._get_login_attempts_cache_key(request, **credentials)}"
        usage = ratelimit.consume(request, app="allauth.account", action="login_failed_here", key=key)
        if not usage:
            raise self.validation_error("too_many_login_attempts")
        self._login_failed_rl_usage.usage += usage.usage  # given back together, where the password is right

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """The name alone: what the browser calls the server is anybody's word."""
        return unicodedata.normalize("NFKC", str(credentials.get("username", ""))).casefold()

    def respond_user_inactive(self, request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
        issuer, provider = settings.SOVEREIGN.sign_on.issuer, settings.SOVEREIGN.sign_on.provider_id
        subjects = SocialAccount.objects.filter(user_id=user.pk, provider=provider).values_list("uid", flat=True)
        audit.arrival_refused(subjects.first() or "", "account_closed", issuer=issuer, user=user.pk)
        return refusal(request, _("Your account is closed. Ask an administrator."))

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **more: Any
    ) -> None:
        if (message_template or "").startswith(SHOWN_MESSAGES):
            super().add_message(request, level, message_template, *args, **more)


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """One provider, described by the environment alone: rows of allauth's own table are not read."""

    def list_apps(self, request: HttpRequest, provider: Any = None, client_id: Any = None) -> list[SocialApp]:
        sign_on = settings.SOVEREIGN.sign_on
        if not sign_on:
            return []
        return [
            SocialApp(
                provider=PROVIDER,
                provider_id=sign_on.provider_id,
                name=sign_on.name,
                client_id=sign_on.client_id,
                secret=sign_on.client_secret,
                settings={"server_url": sign_on.issuer, "oauth_pkce_enabled": True},
            )
        ]

    def get_provider(self, request: HttpRequest, provider: Any, client_id: Any = None) -> Any:
        return Provider(request, app=self.get_app(request, provider))

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Somebody who was never here comes in, or is told why not. Nobody is given an account that was there before:
        its own person connects it, logged in, on their account's page.
        """
        is_connecting = sociallogin.state.get("process") == AuthProcess.CONNECT
        if is_connecting:
            _note_whose(request, sociallogin)
        if is_connecting or sociallogin.is_existing:
            return
        came = Arrival.of(sociallogin.account.extra_data.get("userinfo") or {})
        secret = invitation_in(sociallogin.state.get("next"))
        try:
            with transaction.atomic():
                user, membership = let_in(came, secret, is_new=choosing.IS_NEW in sociallogin.state)
                sociallogin.connect(request, user)
        except ApiError as error:
            _note_refused(sociallogin, came, secret, error)
            raise ImmediateHttpResponse(refusal(request, error.message)) from None
        except MayBeKnown:
            raise ImmediateHttpResponse(choosing.ask(request, sociallogin)) from None
        request.session[credentials.SESSION_PROJECT] = membership.project_id
        if secret is not None:
            sociallogin.state["next"] = reverse("chat")  # the invitation is used up

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Any = None,
        extra_context: Any = None,
    ) -> None:
        log.warning("sign_on_failed", error=str(error), exception=type(exception).__name__)
        words = _("You have not logged in there.") if error == AuthError.CANCELLED else failed()
        raise ImmediateHttpResponse(refusal(request, words))

    def get_connect_redirect_url(self, request: HttpRequest, socialaccount: Any) -> str:
        return reverse("account")


def note_connection(request: HttpRequest, sociallogin: SocialLogin, **_more: Any) -> None:
    """The audit log has who can log in from elsewhere since when (``social_account_added``)."""
    issuer = settings.SOVEREIGN.sign_on.issuer
    audit.record_of_person(sociallogin.user.pk, "user.connected", sociallogin.user, issuer=issuer)
    came = Arrival.of(sociallogin.account.extra_data.get("userinfo") or {})
    services.verify_email(user=sociallogin.user, email=came.email)


def _note_whose(request: HttpRequest, sociallogin: SocialLogin) -> None:
    """Somebody connects what is another's already: allauth refuses it, and the audit log has it."""
    if sociallogin.is_existing and sociallogin.user != request.user:
        issuer = settings.SOVEREIGN.sign_on.issuer
        audit.arrival_refused(sociallogin.account.uid, "connected_to_another", issuer=issuer, user=request.user.pk)


def _note_refused(sociallogin: SocialLogin, came: Arrival, secret: str | None, error: ApiError) -> None:
    """Where they came by an invitation, good or not, it is its project's affair; the secret is nobody's."""
    invitation = Invitation.objects.filter(digest=digest_of(secret)).first() if secret is not None else None
    by = {"project_id": invitation.project_id, "invitation": invitation.pk} if invitation is not None else {}
    issuer, reason = settings.SOVEREIGN.sign_on.issuer, error.code or "refused"
    audit.arrival_refused(sociallogin.account.uid, reason, issuer=issuer, email=came.email, **by)
