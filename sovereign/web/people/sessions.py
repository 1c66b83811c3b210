"""Where somebody is logged in: a list, and an end to each. Open sockets and streams end within seconds of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from allauth.usersessions.models import UserSession
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

SEEN_EVERY = 300  # seconds between two notes that somebody is here
#: what a browser says of itself, the telling one first, and what people call it
BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrom": "Chrome", "Safari": "Safari"}
SYSTEMS = {"Windows": "Windows", "Android": "Android", "iPhone|iPad": "iOS", "Mac OS": "macOS", "Linux": "Linux"}


class SeenMiddleware:
    """Notes, now and then, that a session is used: when a browser opens a page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        if request.headers.get("Sec-Fetch-Dest") == "document" and request.user.is_authenticated:
            key = f"seen:{hashlib.sha256((request.session.session_key or '').encode()).hexdigest()}"
            if cache.add(key, True, SEEN_EVERY):
                note(request)
        return answer


def begin(request: HttpRequest) -> None:
    """Somebody has logged in: their session is listed, and those that are over are not any more."""
    UserSession.objects.purge_and_list(request.user)
    note(request)


def note(request: HttpRequest) -> None:
    """The session of a request is listed, as seen now."""
    if request.user.is_authenticated and request.session.session_key:
        UserSession.objects.create_from_request(request)


@never_cache
@require_safe
@login_required
def page(request: HttpRequest) -> HttpResponse:
    note(request)
    listed = sorted(UserSession.objects.purge_and_list(request.user), key=lambda one: one.last_seen_at, reverse=True)
    shown = [{"session": one, "device": device(one.user_agent), "is_current": one.is_current()} for one in listed]
    return render(request, "web/people/sessions.html", {"sessions": shown})


@require_POST
@login_required
def end(request: HttpRequest) -> HttpResponse:
    """``session``: the number of one of the person's own; ``others``: all but the one that asks.

    :raises Http404: somebody else's, or one that has ended.
    """
    own = UserSession.objects.filter(user_id=request.user.pk).exclude(session_key=request.session.session_key)
    if "others" not in request.POST:
        asked = request.POST.get("session", "")
        own = own.filter(pk=int(asked)) if asked.isdecimal() and len(asked) < 19 else own.none()
        if not own.exists():
            raise Http404
    for session in own:
        session.end()
    return HttpResponseRedirect(reverse("account-sessions"))


def device(user_agent: str) -> str:
    """
    >>> device("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    'Firefox, Linux'
    """
    found = [
        next((name for mark, name in names.items() if re.search(mark, user_agent)), "") for names in (BROWSERS, SYSTEMS)
    ]
    return ", ".join(filter(None, found)) or _("Another device")
