"""Where an invitation leads: somebody new makes an account, somebody known joins the project."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.forms import UserCreationForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from sovereign.accounts import credentials, services
from sovereign.accounts.models import Invitation, Membership, User
from sovereign.core.errors import ApiError
from sovereign.web.people import sessions
from sovereign.web.people.refusals import is_within_limit, too_many
from sovereign.web.people.who import person


class RegistrationForm(UserCreationForm):
    """A user name and a password; Django's checks of both."""

    class Meta:
        model = User
        fields = ("username", "first_name", "last_name")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, secret: str) -> HttpResponse:
    """``POST`` joins: the person of the session, or somebody new with the user name and password of the form."""
    if request.method == "POST" and not is_within_limit(request, "invitation"):
        return too_many(request)
    try:
        found = services.find_invitation(secret)
        form = RegistrationForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and request.user.is_authenticated:
            return _welcome(request, services.accept_invitation(secret=secret, user=person(request)))
        if request.method == "POST" and form.is_valid():
            return _registered(request, secret, form)
    except ApiError as error:
        return _refused(request, error)
    return _page(request, found, form)


def _page(request: HttpRequest, found: Invitation, form: RegistrationForm) -> HttpResponse:
    context = {"invitation": found, "form": form, "sign_on": settings.SOVEREIGN.sign_on}
    status = 422 if form.is_bound else 200
    return render(request, "web/people/invitation.html", context, status=status)


def _registered(request: HttpRequest, secret: str, form: RegistrationForm) -> HttpResponse:
    given = form.cleaned_data
    user, membership = services.register_invited(
        secret=secret,
        username=given["username"],
        password=given["password1"],
        first_name=given["first_name"],
        last_name=given["last_name"],
    )
    login(request, user)
    sessions.begin(request)
    return _welcome(request, membership)


def _welcome(request: HttpRequest, membership: Membership) -> HttpResponse:
    request.session[credentials.SESSION_PROJECT] = membership.project_id
    return HttpResponseRedirect(reverse("chat"))


def _refused(request: HttpRequest, error: ApiError) -> HttpResponse:
    title, text = _("This invitation leads nowhere"), error.message
    if error.code == "already_member":
        title, text = _("You are a member already"), _("This invitation was not used up: somebody else may come by it.")
    if error.code == "invitation_not_found":
        text = _("It was used, revoked, or is older than a week. Ask whoever sent it for another.")
    return render(request, "web/error.html", {"title": title, "text": text}, status=error.status)
