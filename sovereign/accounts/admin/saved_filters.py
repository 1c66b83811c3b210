"""Filters of a list that a person keeps under a name: saved, chosen and deleted on the list itself."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin

from sovereign.accounts.models import SavedFilter
from sovereign.accounts.services import saved_filters
from sovereign.core.errors import ApiError


class SavedFilters(ModelAdmin):
    """A list with the filters that this person has saved of it; ``templates/admin/change_list.html`` shows them."""

    def get_urls(self) -> list[URLPattern]:
        views = (("filters/save/", self.save_filter_view, "save_filter"),
                 ("filters/<int:number>/delete/", self.delete_filter_view, "delete_filter"))  # fmt: skip
        own = [path(route, self.admin_site.admin_view(view), name=self._named(name)) for route, view, name in views]
        inner: list[URLPattern] = super().get_urls()
        return [*own, *inner]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {**(extra_context or {}), "saved": self._saved(request)}
        response: HttpResponse = super().changelist_view(request, context)
        return response

    def save_filter_view(self, request: HttpRequest) -> HttpResponse:
        """``POST`` ``name`` and ``query``."""
        self._require_post(request)
        query = saved_filters.cleaned(request.POST.get("query", ""))
        try:
            saved = saved_filters.save_filter(
                user_id=request.user.pk or 0, page=self._list_name, name=request.POST.get("name", ""), query=query
            )
        except ApiError as error:
            self.message_user(request, error.message, messages.ERROR)
        else:
            self.message_user(request, f"The filter “{saved.name}” is saved.", messages.SUCCESS)
        return self._list(query)

    def delete_filter_view(self, request: HttpRequest, number: int) -> HttpResponse:
        """``POST``; ``query`` is where one comes back to. :raises Http404: it is another's, or of another list."""
        self._require_post(request)
        try:
            gone = saved_filters.delete_filter(user_id=request.user.pk or 0, page=self._list_name, pk=number)
        except ApiError:
            raise Http404("no such filter") from None
        self.message_user(request, f"The filter “{gone.name}” is deleted.", messages.SUCCESS)
        return self._list(saved_filters.cleaned(request.POST.get("query", "")))

    def _saved(self, request: HttpRequest) -> dict[str, Any]:
        now = saved_filters.cleaned(request.META.get("QUERY_STRING", ""))
        own = SavedFilter.objects.filter(user_id=request.user.pk or 0, page=self._list_name)
        return {
            "query": now,
            "save_address": reverse(f"admin:{self._named('save_filter')}"),
            "filters": [
                {
                    "name": one.name,
                    "address": f"?{one.query}",
                    "is_current": one.query == now,
                    "delete_address": reverse(f"admin:{self._named('delete_filter')}", args=[one.pk]),
                }
                for one in own[: saved_filters.MOST]
            ],
        }

    @property
    def _list_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}"

    def _named(self, view: str) -> str:
        return f"{self._list_name}_{view}"

    def _list(self, query: str) -> HttpResponse:
        address = reverse(f"admin:{self._named('changelist')}")
        return HttpResponseRedirect(f"{address}?{query}" if query else address)

    def _require_post(self, request: HttpRequest) -> None:
        if request.method != "POST" or not self.has_view_permission(request):
            raise PermissionDenied
