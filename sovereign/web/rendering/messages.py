"""Messages as HTML: what assistants say is Markdown, what people say stands there as they typed it."""

from __future__ import annotations

import hashlib
from html import escape
from typing import Any

import orjson
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext

from sovereign.web.rendering.cache import Cache
from sovereign.web.rendering.markdown import TooMuchWorkError, as_html
from sovereign.web.rendering.places import marked
from sovereign.web.rendering.safety import clean
from threads.models import Message

LONGEST = 100_000  # characters of a text; of what is longer no Markdown is read
CACHED = 8 * 1024**2  # characters of HTML that a process remembers
_cache = Cache(CACHED)


def rendered(message: Message, *, is_bare: bool = False) -> SafeString:
    """All texts of a message. See :func:`rendered_texts`."""
    return mark_safe("".join(rendered_texts(message, is_bare=is_bare)))  # noqa: S308 - each was cleaned


def rendered_texts(message: Message, *, is_bare: bool = False) -> list[str]:
    """The HTML of each of the message's texts, in their order; images are the page's affair.

    :param is_bare: for pages on which nothing can be opened: citations are numbers, files names.
    """
    key = _key(message, is_bare)
    if (known := _cache.get(key)) is None:
        known = _rendered(message, is_bare)
        _cache.put(key, known)
    return known


def is_cached(message: Message, *, is_bare: bool = False) -> bool:
    return _cache.get(_key(message, is_bare)) is not None


def _key(message: Message, is_bare: bool) -> tuple[Any, ...]:
    digest = hashlib.blake2b(orjson.dumps(message.content), digest_size=16).digest()
    return message.pk, message.role, digest, is_bare, get_language()


def _rendered(message: Message, is_bare: bool) -> list[str]:
    texts, first = [], 0
    for part in message.content:
        if part.get("type") != "text":
            continue
        value, annotations = part["text"]["value"], part["text"].get("annotations") or []
        is_plain = message.role == Message.Role.USER or len(value) > LONGEST
        texts.append(plain(value) if is_plain else _formatted(value, annotations, first, is_bare))
        first += len(annotations)
    return texts


def plain(text: str) -> str:
    return f'<p class="plain">{escape(text)}</p>'


def _formatted(text: str, annotations: list[Any], first: int, is_bare: bool) -> str:
    found = marked(text, annotations, first=first)
    try:
        html = as_html(found, is_bare=is_bare)
    except TooMuchWorkError:
        return plain(text)
    if found.sources:
        names = "".join(f"<li>{escape(name or gettext('a file'))}</li>" for name in found.sources.values())
        label = escape(gettext("Sources"))
        html += f'<ol class="sources" aria-label="{label}">{names}</ol>'
    return clean(html)
