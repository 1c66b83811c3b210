"""The pages' words in other languages: the scripts' catalogue, and the switch.

Templates and views are translated by Django; scripts say their texts through ``static/web/words.js``, which finds the
translations in a script that stands before them.
"""

from __future__ import annotations

import gettext
import hashlib
import json
from functools import cache

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import translation
from django.views.decorators.http import require_POST, require_safe
from django.views.i18n import LANGUAGE_QUERY_PARAMETER, set_language

from sovereign.accounts.services import save_profile
from sovereign.web.people.who import person

DOMAIN = "djangojs"
DIGEST_LENGTH = 12
FOR_EVER = "public, max-age=31536000, immutable"


def address() -> str:
    """Where a page in the active language gets its scripts' words; ``""`` where they are said as they are written."""
    language = translation.get_language() or settings.LANGUAGE_CODE
    if language == settings.LANGUAGE_CODE or not script(language):
        return ""
    return f"{reverse('words', args=[language])}?v={_digest(language)}"


@require_safe
def words(request: HttpRequest, language: str) -> HttpResponse:
    """The catalogue of one language as a script. Its address changes with it, so browsers may keep it."""
    if language not in dict(settings.LANGUAGES):
        raise Http404
    is_current = request.GET.get("v") == _digest(language)
    headers = {"Cache-Control": FOR_EVER if is_current else "no-cache"}
    return HttpResponse(script(language), content_type="text/javascript; charset=utf-8", headers=headers)


@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Another language for this browser, and for whoever is logged in."""
    chosen = request.POST.get(LANGUAGE_QUERY_PARAMETER, "")
    if request.user.is_authenticated and chosen in dict(settings.LANGUAGES):
        save_profile(user=person(request), language=chosen)
    return set_language(request)


def remember(answer: HttpResponse, language: str) -> HttpResponse:
    """The browser keeps a language for when nobody is logged in; ``""``: the one that it asks for."""
    if language:
        answer.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            language,
            max_age=settings.LANGUAGE_COOKIE_AGE,
            secure=settings.LANGUAGE_COOKIE_SECURE,
            samesite="Lax",
        )
    else:
        answer.delete_cookie(settings.LANGUAGE_COOKIE_NAME, samesite="Lax")
    return answer


@cache
def script(language: str) -> str:
    """``globalThis.sovereignWords = {text: translation or [one, many]}``; ``""`` without a catalogue.

    Two forms are enough as long as every language here has the plural of English and German.
    """
    try:
        catalogue = gettext.translation(DOMAIN, settings.LOCALE_PATHS[0], [language])
    except FileNotFoundError:
        return ""
    found: dict[str, str | dict[int, str]] = {}
    for key, said in catalogue._catalog.items():  # type: ignore[attr-defined]  # as Django reads it
        if isinstance(key, tuple):
            forms = found.setdefault(key[0], {})
            assert isinstance(forms, dict)
            forms[key[1]] = said
        elif key:  # "" is the catalogue's header
            found[key] = said
    listed = {text: list(said.values()) if isinstance(said, dict) else said for text, said in found.items()}
    return f"globalThis.sovereignWords = {json.dumps(listed, ensure_ascii=False)};\n"


@cache
def _digest(language: str) -> str:
    return hashlib.sha256(script(language).encode()).hexdigest()[:DIGEST_LENGTH]
