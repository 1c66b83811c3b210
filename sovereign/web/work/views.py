"""The page of work that is under way, and its buttons."""

from __future__ import annotations

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from sovereign.core.errors import ApiError
from sovereign.web.work.jobs import KINDS, ended

NOT_FOUND = 404


def work(request: HttpRequest) -> HttpResponse:
    """What is under way in the projects that the person sees, by kinds, and what ended last."""
    groups = [(name, kind, kind.under_way(request)) for name, kind in KINDS.items()]
    context = {
        **admin.site.each_context(request),
        "title": "Work under way",
        "groups": [{"name": name, "title": kind.title, "jobs": jobs} for name, kind, jobs in groups if jobs],
        "ended": ended(request),
    }
    return TemplateResponse(request, "admin/work/work.html", context)


def cancel(request: HttpRequest) -> HttpResponse:
    """``POST`` with ``kind`` and ``id``: call it off, and back to the page.

    :raises Http404: no such work, or none that the person sees.
    """
    kind = KINDS.get(request.POST.get("kind", ""))
    if request.method != "POST":
        raise PermissionDenied
    wanted = request.POST.get("id", "")
    if kind is None or kind.cancel is None or "\x00" in wanted:
        raise Http404("no such work")
    try:
        kind.cancel(request, wanted)
    except ApiError as error:
        if error.status == NOT_FOUND:
            raise Http404(error.message) from None
        messages.error(request, error.message)
    else:
        messages.success(request, "It was called off.")
    return HttpResponseRedirect(reverse("work"))
