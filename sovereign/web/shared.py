"""A conversation as whoever has its link reads it: no login, nothing to do, nothing but what was said."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe

from sovereign.web.people.refusals import is_within_limit, too_many
from sovereign.web.rendering.conversations import fitting, shown
from threads.answers import in_answers, joined
from threads.links import services

AT_ONCE = 200  # messages of a page
TEXT_AT_ONCE = 300_000  # characters of them
#: nobody who gets the page tells others its address: no search engine, no server that it links to, no cache
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}


@require_safe
def shared(request: HttpRequest, secret: str) -> HttpResponse:
    """``?after=`` a position: what follows it.

    :raises Http404: unknown, revoked, of a thread that was deleted or a project that was archived: nobody learns which.
    """
    if not is_within_limit(request, "shared"):
        return too_many(request)
    link = services.opened(secret)
    if link is None:
        raise Http404("no such link")
    after = request.GET.get("after", "")
    start = int(after) if after.isascii() and after.isdecimal() and len(after) < 10 else 0
    messages = services.messages_of(link, after=start, limit=AT_ONCE + 1)
    whole = [joined(parts) for parts in in_answers(messages)]
    page = fitting(whole[:-1] if len(messages) > AT_ONCE else whole, TEXT_AT_ONCE)
    context = {
        "title": link.title,
        "shared_at": link.created_at,
        "messages": shown(page),
        "following": page[-1].position if len(whole) > len(page) else None,
    }
    return HttpResponse(render_to_string("web/shared.html", context, request), headers=HEADERS)
