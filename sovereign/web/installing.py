"""The chat as an app of its own: what browsers ask for to install it, and what they show without a network.

The service worker (``static/web/service_worker.js``) keeps static files and one page for when nothing can be reached.
It keeps nothing that anybody said: neither pages of the chat nor answers of the API are stored by it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

PAPER, ACCENT = "#f7f5f0", "#17624a"
ICONS = (("icon-192", 192, "any"), ("icon-512", 512, "any"), ("maskable-512", 512, "maskable"))
SCRIPT = "web/service_worker.js"


@require_safe
def manifest(request: HttpRequest) -> JsonResponse:
    """The web app manifest."""
    drawn = {"src": static("web/mark.svg"), "sizes": "any", "type": "image/svg+xml"}
    told = {
        "id": reverse("chat"),
        "name": "Sovereign",
        "short_name": "Sovereign",
        "description": _("Conversations with the assistants of the house."),
        "start_url": reverse("chat"),
        "scope": "/",
        "display": "standalone",
        "background_color": PAPER,
        "theme_color": ACCENT,
        "icons": [drawn, *(_icon(name, size, purpose) for name, size, purpose in ICONS)],
    }
    return JsonResponse(told, content_type="application/manifest+json")


def _icon(name: str, size: int, purpose: str) -> dict[str, str]:
    address = static(f"web/icons/{name}.png")
    return {"src": address, "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}


@require_safe
def service_worker(request: HttpRequest) -> HttpResponse:
    """At the root of all addresses: a worker serves the pages below its own, and browsers look for news of it."""
    return HttpResponse(_script(), content_type="text/javascript; charset=utf-8", headers={"Cache-Control": "no-cache"})


@require_safe
def offline(request: HttpRequest) -> HttpResponse:
    """What is shown in the place of a page that cannot be reached; the same for everybody."""
    return render(request, "web/offline.html")


@cache
def _script() -> bytes:
    return Path(str(finders.find(SCRIPT))).read_bytes()
