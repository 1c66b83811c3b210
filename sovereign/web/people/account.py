"""A person's own page: what they are called, how they read, where they are logged in, their password."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

from allauth.core import ratelimit
from allauth.usersessions.models import UserSession
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from sovereign.accounts import services
from sovereign.accounts.models import User
from sovereign.web import words
from sovereign.web.people import sessions
from sovereign.web.people.connecting import connections
from sovereign.web.people.who import person


@cache
def _zones() -> list[tuple[str, str]]:
    return [(name, name.replace("_", " ")) for name in sorted(available_timezones()) if "/" in name or name == "UTC"]


class ProfileForm(forms.ModelForm):
    language = forms.ChoiceField(
        label=_("Language"), required=False, choices=lambda: [("", _("As my browser asks")), *settings.LANGUAGES]
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone"), required=False, choices=lambda: [("", _("As my browser tells")), *_zones()]
    )

    class Meta:
        model = User
        fields = ("first_name", "last_name", "language", "time_zone")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def page(request: HttpRequest) -> HttpResponse:
    user = person(request)
    form = ProfileForm(request.POST if request.method == "POST" else None, instance=user)
    if request.method == "POST" and form.is_valid():
        services.save_profile(user=user, **form.cleaned_data)
        with translation.override(user.language or translation.get_language()):
            messages.success(request, translation.gettext("Saved."))
        return words.remember(HttpResponseRedirect(reverse("account")), user.language)
    context = {
        "form": form,
        "sign_on": settings.SOVEREIGN.sign_on,
        "is_connected": connections(user).exists(),
        "has_password": user.has_usable_password(),
    }
    return render(request, "web/people/account.html", context, status=422 if form.is_bound else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def password(request: HttpRequest) -> HttpResponse:
    """Another password; the sessions elsewhere end with the old one."""
    user = person(request)
    problem, given = "", request.POST if request.method == "POST" else None
    if given is not None and not ratelimit.consume(request, action="change_password", user=user):
        problem, given = (
            translation.gettext("Too many attempts. Wait for a minute."),
            None,
        )  # what was given is not looked at
    form = PasswordChangeForm(user, given)
    if form.is_bound and user.has_usable_password() and form.is_valid():
        _change(request, user, form.cleaned_data["new_password1"])
        messages.success(request, _("Your password is changed. You are logged out everywhere else."))
        return HttpResponseRedirect(reverse("account"))
    context = {"form": form, "sign_on": settings.SOVEREIGN.sign_on, "has_password": user.has_usable_password()}
    status = 429 if problem else 422 if form.is_bound else 200
    return render(request, "web/people/password.html", context | {"problem": problem}, status=status)


def _change(request: HttpRequest, user: User, new: str) -> None:
    UserSession.objects.filter(session_key=request.session.session_key).delete()  # it gets another key
    services.set_password(user=user, password=new, by=user.pk)
    update_session_auth_hash(request, user)
    sessions.note(request)
