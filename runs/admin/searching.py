"""Looking for runs by an id, or by words of a thread's title or of a model's name."""

from __future__ import annotations

from functools import reduce
from operator import and_
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from sovereign.accounts.admin.base import ProjectAdmin, projects_allowing
from sovereign.accounts.admin.lists import LOOKED_AT, looks_like_id
from threads.models import Thread

MOST_TITLED = 1_000  # threads, those in which something happened last, whose runs a word of their titles finds


class SearchedByTitle(ProjectAdmin):
    """Threads are found before their runs: a likeness would else be looked for in every run, joined with its thread."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        words = search_term.split()
        if not words or looks_like_id(search_term.strip()):
            return super().get_search_results(request, queryset, search_term)
        models = [name for name in self._models(request) if all(word.casefold() in name.casefold() for word in words)]
        wanted = Q(thread_id__in=self._titled(request, words))
        return queryset.filter(wanted | Q(model__in=models) if models else wanted), False

    def _titled(self, request: HttpRequest, words: list[str]) -> list[str]:
        projects = projects_allowing(request, self.view_scope)
        threads = Thread.objects.all() if projects is None else Thread.objects.filter(project_id__in=projects)
        found = threads.filter(reduce(and_, (Q(title__icontains=word) for word in words)))
        return list(found.order_by("-last_activity_at").values_list("pk", flat=True)[:MOST_TITLED])

    def _models(self, request: HttpRequest) -> set[str]:
        """Of the newest runs that the person sees."""
        newest = self.get_queryset(request).order_by("-created_at", "-id")
        return set(newest.values_list("model", flat=True)[:LOOKED_AT])
