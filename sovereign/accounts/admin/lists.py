"""Lists that stay quick however many rows there are: nothing of them reads a whole table."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from django.contrib.admin import helpers
from django.contrib.admin.filters import (
    AllValuesFieldListFilter,
    RelatedFieldListFilter,
    RelatedOnlyFieldListFilter,
)
from django.core.exceptions import FieldDoesNotExist
from django.core.paginator import Paginator
from django.db.models import CharField, Model, TextField
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.admin import checkbox
from unfold.views import ChangeList

from sovereign.accounts.models import Project

MOST_COUNTED = 10_000  # rows; whoever looks for one further behind filters or searches
LOOKED_AT = 2_000  # rows, the newest, whose values a filter offers


ID = re.compile(r"[a-z]+_[0-9a-z]{26}")


def looks_like_id(words: str) -> bool:
    """
    >>> looks_like_id("run_01m8157zvv7cec9z5b3ks1aet0"), looks_like_id("run_01")
    (True, False)
    """
    return ID.fullmatch(words) is not None


class BoundedPaginator(Paginator):
    """Counts, and leafs through, the first 10,000 rows. ``is_cut`` where there are more."""

    template_name = "admin/pagination_bounded.html"

    @cached_property
    def _found(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by().values("pk")[: MOST_COUNTED + 1].count())

    @cached_property
    def count(self) -> int:
        return min(self._found, MOST_COUNTED)

    @property
    def is_cut(self) -> bool:
        return self._found > MOST_COUNTED


class QuickChangeList(ChangeList):
    """Looks for the page's rows first, and reads all that is shown of them, and counted, for those alone.

    A database that has to sort would else count for every row that there is.
    """

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.list_editable:  # whose forms need a queryset
            return
        found = list(self.result_list.values_list("pk", flat=True))
        rows = self.apply_select_related(self.model_admin.get_queryset(request)).in_bulk(found)
        self.result_list = [rows[pk] for pk in found if pk in rows]


@cache
def choosing_markup(language: str) -> str:
    """The theme's box before a row of a list, with a place for the row's key; its words are the language's."""
    return str(checkbox.render(helpers.ACTION_CHECKBOX_NAME, "{}"))


class ProjectFilter(RelatedFieldListFilter):
    """Offers the projects that the person sees rows of; whether there are any is not looked for."""

    def field_choices(self, field: Any, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        rows = model_admin.projects_seen(request)
        return [(pk, name) for pk, name in rows.values_list("pk", "name")]


class RecentValuesFilter(AllValuesFieldListFilter):
    """Offers the values of the newest rows that the person sees."""

    lookup_choices: Any

    def __init__(self, field: Any, request: Any, params: Any, model: Any, model_admin: Any, field_path: str) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        newest = model_admin.get_queryset(request).order_by(*model._meta.ordering, "-pk")
        values = set(newest.values_list(field_path, flat=True)[:LOOKED_AT])
        self.lookup_choices = sorted(values, key=lambda value: (value is None, value))


def quick(model: type[Model], item: Any) -> Any:
    """An entry of ``list_filter`` with a filter that reads no whole table, where Django would take one that does."""
    if not isinstance(item, str):
        return item
    try:
        field: Any = model._meta.get_field(item)
    except FieldDoesNotExist:
        return item
    if field.is_relation:
        return (item, ProjectFilter if field.related_model is Project else RelatedOnlyFieldListFilter)
    if isinstance(field, CharField | TextField) and not field.choices:
        return (item, RecentValuesFilter)
    return item
