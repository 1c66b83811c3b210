"""Which assistants a person sees on the admin's pages."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

from assistants.models import Assistant
from sovereign.accounts.admin.base import principals_of, projects_allowing
from sovereign.accounts.scopes import ASSISTANTS_READ


def visible_assistants(request: HttpRequest, rows: QuerySet[Any] | None = None) -> QuerySet[Any]:
    """Those of ``rows``, of all where none are given, that the person sees in any of their projects."""
    every: Any = Assistant.objects.all() if rows is None else rows
    if projects_allowing(request, ASSISTANTS_READ) is None:
        return every
    seeing = [principal for principal in principals_of(request).values() if principal.allows(ASSISTANTS_READ)]
    return reduce(or_, [every.visible_to(principal) for principal in seeing], every.none())
