"""Logging in by password. Elsewhere is ``oidc``; whoever tries too often waits, at any of the doors."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from sovereign.web import errors
from sovereign.web.people import sessions


class LoginForm(AuthenticationForm):
    """Django's, with allauth's limits: of attempts from one address, and of wrong passwords for one name."""

    def clean(self) -> dict[str, Any]:
        username, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if username is not None and password:
            self.user_cache = get_adapter().authenticate(self.request, username=username, password=password)
            if self.user_cache is None:
                raise self.get_invalid_login_error()
            self.confirm_login_allowed(self.user_cache)
        return self.cleaned_data


class Login(LoginView):
    template_name = "web/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(sign_on=settings.SOVEREIGN.sign_on, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        answer = super().form_valid(form)
        sessions.begin(self.request)
        return answer


def of_admin(request: HttpRequest) -> HttpResponse:
    """The admin has no login of its own: whoever it sends here goes to ours, or is told that it is not theirs."""
    following = request.GET.get("next", reverse("admin:index"))
    if not request.user.is_authenticated:
        return redirect_to_login(following)
    if not admin.site.has_permission(request):
        return errors.forbidden(request)
    return HttpResponseRedirect(reverse("admin:index"))
