"""Logging in elsewhere with an account that is here: connected by its own person, who can undo it."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.socialaccount.models import SocialAccount
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from sovereign.accounts import audit
from sovereign.accounts.models import User
from sovereign.web.people import oidc
from sovereign.web.people.who import person


class PasswordForm(forms.Form):
    """That it is its own person: a browser that was left open connects nobody. Wrong ones count as they do at the
    login.
    """

    password = forms.CharField(
        label=gettext_lazy("Your password here"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, request: HttpRequest, user: User, data: Any = None) -> None:
        super().__init__(data)
        self.request, self.user = request, user

    def clean_password(self) -> str:
        given: str = self.cleaned_data["password"]
        if get_adapter().authenticate(self.request, username=self.user.username, password=given) != self.user:
            raise forms.ValidationError(_("This is not your password."))
        return given


def connections(user: User) -> QuerySet[SocialAccount]:
    """Those by which the person can log in: of the issuer that there is now."""
    return SocialAccount.objects.filter(user=user, provider=settings.SOVEREIGN.sign_on.provider_id)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def connect(request: HttpRequest) -> HttpResponse:
    """``POST`` with the password goes on to the issuer.

    :raises Http404: there is none.
    """
    user = _person_of_house(request)
    if connections(user).exists():
        return HttpResponseRedirect(reverse("account"))
    form = PasswordForm(request, user, request.POST if request.method == "POST" else None)
    if form.is_bound and user.has_usable_password() and form.is_valid():
        return oidc.leave(request, oidc.Connecting)
    context = {"form": form, "sign_on": settings.SOVEREIGN.sign_on, "has_password": user.has_usable_password()}
    return render(request, "web/people/connect.html", context, status=422 if form.is_bound else 200)


@require_POST
@login_required
def disconnect(request: HttpRequest) -> HttpResponse:
    """Not where it is the only way to log in. Twice is once.

    :raises Http404: there is no issuer.
    """
    user = _person_of_house(request)
    if _disconnected(user):
        messages.success(request, _("Disconnected. From now on you log in with your password."))
    else:
        messages.error(request, _("This is your only way to log in. Ask an administrator for a password first."))
    return HttpResponseRedirect(reverse("account"))


@transaction.atomic
def _disconnected(user: User) -> bool:
    """The row is locked: nobody takes the password away meanwhile."""
    if not User.objects.select_for_update(no_key=True).get(pk=user.pk).has_usable_password():
        return False
    if connections(user).delete()[0]:
        audit.record_of_person(user.pk, "user.disconnected", user, issuer=settings.SOVEREIGN.sign_on.issuer)
    return True


def _person_of_house(request: HttpRequest) -> User:
    if not settings.SOVEREIGN.sign_on:
        raise Http404
    return person(request)
