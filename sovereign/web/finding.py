"""The search over everything in the admin: pages, and rows by their words or their id, as far as a person may see them.

It is bounded: some rows of each kind, of those kinds whose search reads no large table. Nothing is remembered of it,
so that what somebody may not see any more is not found any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.text import get_text_list
from django.views.decorators.http import require_safe

from sovereign.core.fields import IdDefault
from sovereign.core.visible import visible
from sovereign.web.admin_home import sidebar

SHORTEST, LONGEST = 2, 200  # characters
SHOWN = 5  # rows of a kind
PAGES_SHOWN = 8
ID = re.compile(r"[a-z_]{2,16}[_-][0-9A-Za-z]{6,48}")
#: whose rows are looked for by words, in this order
SEARCHED = (
    "assistants.assistant", "prompts.prompt", "evaluations.evaluationset", "knowledge.file", "knowledge.vectorstore",
    "catalog.function", "catalog.mcpserver", "alerts.alertrule", "inference.provider", "inference.registeredmodel",
    "accounts.apikey", "accounts.project", "accounts.user",
)  # fmt: skip
#: large tables: their own lists look for the words
LISTS = (("threads.thread", "Conversations"),)


@dataclass(frozen=True, slots=True)
class Found:
    """:ivar kind: of what: a page, a run."""

    title: str
    kind: str
    address: str


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """``?s=``: a page with what is found; with ``&part=1`` the list alone, for the search that lies over a page."""
    term = " ".join(request.GET.get("s", "").split())[:LONGEST]
    found = find(request, term)
    kinds = get_text_list(sorted({_plural(page) for page in _searched(request)}), "and")
    context = {"term": term, "found": found, "is_short": len(term) < SHORTEST, "kinds": kinds}
    if "part" in request.GET:
        return TemplateResponse(request, "admin/frame/found.html", context)
    return TemplateResponse(
        request, "admin/frame/search.html", {**admin.site.each_context(request), "title": "Search", **context}
    )


def find(request: HttpRequest, term: str) -> list[Found]:
    """The row with this id first, then pages, then rows."""
    if len(term) < SHORTEST:
        return []
    if ID.fullmatch(term) and (row := _by_id(request, term)):
        return [row]
    return [*_pages(request, term), *_rows(request, term), *_lists(request, term)]


def _by_id(request: HttpRequest, identifier: str) -> Found | None:
    for model, page in admin.site._registry.items():
        default = model._meta.pk.default if model._meta.pk is not None else None
        if not (isinstance(default, IdDefault) and identifier.startswith(default.prefix)):
            continue
        if page.has_view_permission(request) and _has_page(page):
            row = page.get_queryset(request).filter(pk=identifier).first()
            if row is not None:
                return _found(page, row)
    return None


def _pages(request: HttpRequest, term: str) -> list[Found]:
    wanted = term.casefold()
    every = [Found(item["title"], "page", item["link"]) for group in sidebar(request) for item in group["items"]] + [
        Found(f"New {_name(page)}", "page", _address(page, "add")) for page in _with_new(request)
    ]
    return [found for found in every if wanted in found.title.casefold()][:PAGES_SHOWN]


def _rows(request: HttpRequest, term: str) -> Iterator[Found]:
    for page in _searched(request):
        rows, may_repeat = page.get_search_results(request, page.get_queryset(request), term)
        if may_repeat:
            rows = page.get_queryset(request).filter(Exists(rows.filter(pk=OuterRef("pk")).order_by()))
        for row in rows.order_by(*page.model._meta.ordering, "-pk")[:SHOWN]:
            yield _found(page, row)


def _lists(request: HttpRequest, term: str) -> Iterator[Found]:
    for label, title in LISTS:
        page = _registered().get(label)
        if page is not None and page.has_module_permission(request):
            address = f"{_address(page, 'changelist')}?{urlencode({'q': term})}"
            yield Found(f"{title} with “{visible(term)}”", "list", address)


def _searched(request: HttpRequest) -> list[Any]:
    pages = _registered()
    return [pages[label] for label in SEARCHED if label in pages and pages[label].has_module_permission(request)]


def _with_new(request: HttpRequest) -> list[Any]:
    return [page for page in admin.site._registry.values() if page.has_add_permission(request) and _has_page(page)]


def _registered() -> dict[str, Any]:
    return {model._meta.label_lower: page for model, page in admin.site._registry.items()}


def _has_page(page: Any) -> bool:
    """Some have only a list."""
    try:
        return bool(_address(page, "change", "1"))
    except NoReverseMatch:
        return False


def _found(page: Any, row: Any) -> Found:
    title = visible(str(row))[:LONGEST]
    return Found(title or str(row.pk), _name(page), _address(page, "change", quote(row.pk)))


def _name(page: Any) -> str:
    return str(page.model._meta.verbose_name)


def _plural(page: Any) -> str:
    return str(page.model._meta.verbose_name_plural)


def _address(page: Any, view: str, *args: str) -> str:
    meta = page.model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{view}", args=args)
