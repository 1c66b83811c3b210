"""The front door: three ways in, and what the engine is doing right now."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from inference.starter.figures import percent
from sovereign import __version__
from sovereign.accounts.tokens import PREFIX
from sovereign.web import engines
from sovereign.web.alerts import open_alerts

NO_MODEL = "gpt-4o"  # names of OpenAI's models mean the default model, whichever that will be

SAMPLE = """\
from openai import OpenAI
client = OpenAI(base_url="{base_url}", api_key="{key}")
assistant = client.beta.assistants.create(model="{model}", instructions="Be brief.")
thread = {{"messages": [{{"role": "user", "content": "What is Sovereign?"}}]}}
with client.beta.threads.create_and_run_stream(assistant_id=assistant.id, thread=thread) as stream:
    for text in stream.text_deltas: print(text, end="", flush=True)
"""


@require_safe
@ensure_csrf_cookie
def landing(request: HttpRequest) -> HttpResponse:
    """A page for people; name, version and links for programs that ask for JSON."""
    accepts = request.headers.get("Accept", "")
    response = JsonResponse(_links(request)) if _asks_for_json(accepts) else _page(request)
    patch_vary_headers(response, ["Accept"])
    return response


@require_safe
def status(request: HttpRequest) -> JsonResponse:
    """What :func:`engines.summary` says; the landing page and the chat ask every few seconds."""
    return JsonResponse(engines.summary(detailed=is_staff(request)), headers={"Cache-Control": "no-store"})


def is_staff(request: HttpRequest) -> bool:
    return request.user.is_active and request.user.is_staff


def _asks_for_json(accepts: str) -> bool:
    return "application/json" in accepts and "text/html" not in accepts


def _links(request: HttpRequest) -> dict[str, Any]:
    paths = {
        "api": "/v1",
        "openapi": "/openapi.json",
        "docs": "/docs",
        "redoc": "/redoc",
        "chat": "/chat/",
        "admin": "/admin/",
        "health": "/health",
    }
    return {
        "name": "Sovereign",
        "version": __version__,
        "links": {name: request.build_absolute_uri(path) for name, path in paths.items()},
    }


def _page(request: HttpRequest) -> HttpResponse:
    engine = engines.summary(detailed=is_staff(request))
    base_url = request.build_absolute_uri("/v1")
    sample = SAMPLE.format(base_url=base_url, key=f"{PREFIX}…", model=engine["model"] or NO_MODEL)
    context = {
        "engine": engine,
        "alerts": open_alerts(request) if is_staff(request) else None,
        "base_url": base_url,
        "sample": sample,
        "starter": starter_figures(),
    }
    return render(request, "web/landing.html", context)


def starter_figures() -> dict[str, int] | None:
    """What the demonstration model was measured to do, in percent; its card has the rest."""
    answers, tools = percent("questions about the product"), percent("right tool where one fits")
    return None if answers is None or tools is None else {"answers": answers, "tools": tools}
