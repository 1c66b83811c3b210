"""A thread's messages for a page: fifty at once from wherever, and those in which words were found."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlencode

from django.http import HttpRequest

from threads import search
from threads.models import Message, Thread
from threads.querysets import MessageQuerySet

SHOWN = 50  # messages of a page
ABOVE = 10  # of them before the one that was asked for
FOUND_SHOWN = 50
AROUND = 120  # characters of a found message, before and after what was looked for
LARGEST = 2**31 - 1


def conversation(request: HttpRequest, thread: Thread) -> dict[str, Any]:
    """``conversation`` (messages, oldest first), ``paging`` and ``searched``, for ``admin/threads/conversation.html``.

    ``?before=`` or ``?after=`` a position, or ``?message=`` its id, says which are shown: else the newest.
    ``?search=`` has words that messages are looked through for, which the list one comes from may bring along.
    """
    rows = Message.objects.of_thread(thread.pk)
    shown = _shown(request, rows)
    words = request.GET.get("search", _searched_in_list(request)).strip()
    return {
        "conversation": shown,
        "paging": _paging(rows, shown, words),
        "searched": _searched(thread, words) if words else {"words": ""},
        "thread_id": thread.pk,
    }


def _shown(request: HttpRequest, rows: MessageQuerySet) -> list[Message]:
    before, after = _number(request, "before"), _number(request, "after")
    wanted = rows.filter(pk=request.GET["message"]).first() if "message" in request.GET else None
    if wanted is not None:
        above = rows.filter(position__lt=wanted.position).order_by("-position")[:ABOVE]
        below = rows.filter(position__gte=wanted.position).order_by("position")[: SHOWN - ABOVE]
        return [*reversed(above), *below]
    if after is not None:
        return list(rows.filter(position__gt=after).order_by("position")[:SHOWN])
    earlier = rows if before is None else rows.filter(position__lt=before)
    return list(earlier.order_by("-position")[:SHOWN])[::-1]


def _number(request: HttpRequest, name: str) -> int | None:
    given = request.GET.get(name, "")
    return min(int(given), LARGEST) if given.isascii() and given.isdecimal() else None


def _paging(rows: MessageQuerySet, shown: list[Message], words: str) -> dict[str, Any]:
    """Where one is, and the addresses of what is before and behind it."""
    total = rows.count()
    if not shown:
        return {"total": total, "newest": _address(words) if total else ""}
    first, last = shown[0].position, shown[-1].position
    before = rows.filter(position__lt=first).count()
    behind = total - before - len(shown)
    return {
        "total": total,
        "first": before + 1,
        "last": before + len(shown),
        "oldest": _address(words, after=0) if before else "",
        "earlier": _address(words, before=first) if before else "",
        "later": _address(words, after=last) if behind > 0 else "",
        "newest": _address(words) if behind > 0 else "",
    }


def _address(words: str, **place: Any) -> str:
    return f"?{urlencode({**place, 'search': words})}#conversation"


def _searched_in_list(request: HttpRequest) -> str:
    """What was looked for in the list from which somebody came here."""
    return parse_qs(request.GET.get("_changelist_filters", "")).get("q", [""])[0]


def _searched(thread: Thread, words: str) -> dict[str, Any]:
    found = search.within(thread_id=thread.pk, query=words, limit=FOUND_SHOWN + 1)
    shown = found.messages[:FOUND_SHOWN]
    return {
        "words": words,
        "found": [
            {
                "message": message,
                "address": f"?{urlencode({'message': message.pk, 'search': words})}#{message.pk}",
                "pieces": pieces(message.text, words.split()),
            }
            for message in shown
        ],
        "is_everything": found.is_everything and len(found.messages) <= FOUND_SHOWN,
    }


def pieces(text: str, words: list[str]) -> list[dict[str, Any]]:
    """The text around the first of the words, in pieces ``{"text", "is_found"}``.

    >>> [(piece["text"], piece["is_found"]) for piece in pieces("Where is the station?", ["STATION"])]
    [('Where is the ', False), ('station', True), ('?', False)]
    """
    any_word = re.compile("|".join(map(re.escape, words)), re.IGNORECASE)
    first = any_word.search(text)
    start = max(0, first.start() - AROUND) if first else 0
    end = (first.end() if first else 0) + AROUND
    excerpt = f"{'…' * (start > 0)}{text[start:end]}{'…' * (end < len(text))}"
    made, place = [], 0
    for hit in any_word.finditer(excerpt):
        made += [{"text": excerpt[place : hit.start()], "is_found": False}, {"text": hit.group(), "is_found": True}]
        place = hit.end()
    return [piece for piece in [*made, {"text": excerpt[place:], "is_found": False}] if piece["text"]]
