"""Two assistants side by side, asked by one box: two conversations, which are one in the list."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from sovereign.web.chat.answers import Asked, json_page
from sovereign.web.chat.files import limits
from sovereign.web.chat.pages import frame, in_project, last_run, no_project
from sovereign.web.chat.people import own_thread, principal_of
from sovereign.web.chat.sidebar import title_of
from threads import comparing
from threads.models import Thread

SIDES = (("left", gettext_lazy("Left")), ("right", gettext_lazy("Right")))


@require_safe
@login_required
@ensure_csrf_cookie
def page(request: HttpRequest) -> HttpResponse:
    """``?left=&right=`` assistants, ``?thread=`` one of the two conversations in which they were asked."""
    try:
        principal = principal_of(request)
    except ApiError as error:
        return no_project(request, error)
    named = request.GET.get("thread")
    thread = own_thread(request, principal, named) if named else None
    if thread is not None and thread.compared_with is None:
        raise Http404
    if thread is not None and thread.project_id != principal.project_id:
        return in_project(request, thread.project_id)
    return render(request, "web/chat/compare.html", _context(request, principal, thread))


@json_page("POST", spends=True)
def begin(asked: Asked) -> dict[str, Any]:
    """Two threads for a comparison: ``{"left": id, "right": id}``."""

    def act() -> dict[str, str]:
        left, right = comparing.begin(principal=asked.principal)
        return {"left": left.pk, "right": right.pk}

    told: dict[str, str] = asked.once(act)
    return told


def _context(request: HttpRequest, principal: Principal, thread: Thread | None) -> dict[str, Any]:
    around = frame(request, principal)
    pair = comparing.pair_of(thread) if thread is not None else (None, None)
    awake = [assistant["id"] for assistant in around["assistants"] if not assistant["is_at_rest"]]
    sides = [
        _side(request, name, title, own, awake[place : place + 1])
        for place, ((name, title), own) in enumerate(zip(SIDES, pair, strict=True))
    ]
    return {
        **around,
        "thread": pair[0] or thread,
        "sides": sides,
        "page": {
            "sides": {side["name"]: side["thread"] for side in sides},
            "current": getattr(pair[0] or thread, "pk", None),
            "title": title_of(thread) if thread is not None else None,
            "sidebar": around["sidebar"],
            "assistants": around["assistants"],
            "csrf_cookie": settings.CSRF_COOKIE_NAME,
            "limits": limits(),
            "project": principal.project_id,
            "urls": {
                "chat": reverse("chat"),
                "compare": reverse("chat-compare"),
                "begin": reverse("chat-compare-begin"),
                "threads": reverse("chat-threads"),
                "status": reverse("status"),
            },
        },
    }


def _side(request: HttpRequest, name: str, title: Any, thread: Thread | None, first: list[str]) -> dict[str, Any]:
    """:param first: whom it begins with, where the address says nothing."""
    chosen = request.GET.get(name) or next(iter(first), "")
    if thread is not None:
        chosen = last_run(thread)[0] or chosen
    return {"name": name, "title": title, "chosen": chosen, "thread": thread.pk if thread is not None else None}
