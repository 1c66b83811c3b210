"""The script that other sites load, and the page that it shows in a frame."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language, override
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe

from assistants.embeds.models import EmbedKey
from assistants.embeds.services import answering, shown
from assistants.snapshots import Content
from sovereign.web import csp, engines

LOADER = "web/embed/loader.js"


@require_safe
def loader(request: HttpRequest) -> HttpResponse:
    """``/embed.js``: the same for everybody; it says nothing of any key."""
    headers = {"Cache-Control": "public, max-age=300", "Cross-Origin-Resource-Policy": "cross-origin"}
    return HttpResponse(_loader(), content_type="text/javascript; charset=utf-8", headers=headers)


@cache
def _loader() -> str:
    path = finders.find(LOADER)
    assert isinstance(path, str)
    return Path(path).read_text()


@require_safe
@xframe_options_exempt
def page(request: HttpRequest, public_key: str) -> HttpResponse:
    """The chat of one key, for frames on its origins and nowhere else.

    ``?language=``: that of the page around it.

    :raises Http404: unknown, revoked, withdrawn, of an archived project or assistant: nobody learns which.
    """
    embed = shown(public_key)
    deployment = answering(embed) if embed is not None else None
    if embed is None or deployment is None:
        raise Http404("no such embed")
    model = Content.of_json(deployment.version.content).model
    context = {
        "page": _page(embed),
        "assistant": embed.assistant,
        "is_demonstration": bool(engines.demonstrations({model}, embed.project_id)),
    }
    with _spoken(request):
        response = render(request, "web/embed/page.html", context)
        response["Content-Language"] = get_language() or settings.LANGUAGE_CODE
    response[csp.HEADER] = csp.policy(request.path, "", {"frame-ancestors": " ".join(embed.origins)})
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    return response


def _spoken(request: HttpRequest) -> AbstractContextManager[None]:
    """In the language of the site around it, where we speak that; else in the one that the browser asks for."""
    wanted = request.GET.get("language", "").partition("-")[0].lower()
    return override(wanted) if wanted in dict(settings.LANGUAGES) else nullcontext()


def _page(embed: EmbedKey) -> dict[str, Any]:
    return {
        "key": embed.public_key,
        "base": reverse("embed", args=[embed.public_key]),
        "name": embed.assistant.name or "",
        "origins": embed.origins,
        "longest": embed.longest_message,
        "is_open": embed.allows_anonymous,
    }
