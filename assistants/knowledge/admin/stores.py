"""Vector stores: made, filled by dropping files, watched while they are read, and tried with a question."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.timezone import now
from unfold.decorators import display
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from assistants.knowledge.admin import receiving, trying, wording
from assistants.knowledge.admin.contents import as_json, contents
from assistants.knowledge.models import Purpose, StoreFile, VectorStore
from assistants.knowledge.services import members, stores
from assistants.knowledge.services.filling import NewFile
from sovereign.accounts.admin.base import ProjectAdmin
from sovereign.accounts.admin.careful import CarefulChanges, CarefulForm
from sovereign.accounts.admin.fields import MetadataField
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import FILES_WRITE, STORES_READ, STORES_WRITE
from sovereign.core import times
from sovereign.core.errors import ApiError

READABLE = "PDF, Word, PowerPoint, Excel, HTML, Markdown, text, CSV, JSON and source code; several at once."
SETTINGS = ("name", "description", "expires_after_days", "metadata")


class StoreForm(CarefulForm):
    expires_after_days = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=365,
        widget=UnfoldAdminIntegerFieldWidget,
        label="Expires after",
        help_text="Days in which nobody searches it, 1 to 365. Empty: never.",
    )
    metadata = MetadataField()

    class Meta:
        model = VectorStore
        fields = (*SETTINGS, "project")
        help_texts = {"name": "How assistants' pages name it.", "description": "One sentence for people."}


class StoreChangeList(ChangeList):
    """Counts the files of the stores on the page, all in one query."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        tallies = StoreFile.objects.tallies("store_id", [store.pk for store in self.result_list])
        for store in self.result_list:
            store.tally = tallies[store.pk]


@admin.register(VectorStore)
class VectorStoreAdmin(CarefulChanges, ProjectAdmin):
    form = StoreForm
    view_scope = STORES_READ
    empty_words = "A vector store holds files in pieces that are found by what they mean. Make one and fill it."
    add_scope = change_scope = delete_scope = STORES_WRITE
    list_display = ("name_shown", "state", "files_shown", "size", "used", "expires", "project")
    list_filter = ("project",)
    list_select_related = ("project",)
    search_fields = ("name", "description", "=id")
    search_help_text = "Name, description or id"
    ordering = ("-created_at", "-id")
    list_before_template = "admin/knowledge/stores.html"
    change_form_outer_before_template = "admin/knowledge/store.html"
    readonly_fields = ("id", "created_at", "last_active_at", "expires")
    fieldsets = (
        ("Settings", {"fields": (("name", "project"), "description", ("expires_after_days", "expires"), "metadata")}),
        ("About", {"classes": ("collapse",), "fields": ("id", ("created_at", "last_active_at"))}),
    )
    add_fieldsets = ((None, {"fields": ("name", "project", "description", "expires_after_days", "metadata")}),)

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[StoreChangeList]:
        return StoreChangeList

    def get_urls(self) -> list[URLPattern]:
        views: dict[str, tuple[str, Callable[..., HttpResponse]]] = {
            "contents": ("contents/", self.contents_view),
            "retry": ("files/<file_id>/retry/", self.retry_view),
            "remove": ("files/<file_id>/remove/", self.remove_view),
        }
        own = [
            path(f"<path:object_id>/{route}", self.admin_site.admin_view(view), name=f"knowledge_vectorstore_{name}")
            for name, (route, view) in views.items()
        ]
        return [*own, *super().get_urls()]

    # ------------------------------------------------------------------------------------- columns

    @admin.display(description="name", ordering="name")
    def name_shown(self, store: VectorStore) -> str:
        return str(store)

    @display(description="state", label=wording.STORE_LABELS)
    def state(self, store: Any) -> str:
        return wording.EXPIRED if wording.is_expired(store, now()) else wording.state_of_store(store.tally)

    @admin.display(description="files")
    def files_shown(self, store: Any) -> str:
        return wording.summary(store.tally) if store.tally.total else "0"

    @admin.display(description="size")
    def size(self, store: Any) -> str:
        return wording.size(store.tally.usage_bytes)

    @admin.display(description="last used", ordering="last_active_at")
    def used(self, store: VectorStore) -> str:
        return times.shown(store.last_active_at)

    @admin.display(description="expires")
    def expires(self, store: VectorStore) -> str:
        return wording.expiry(store, now())

    # ------------------------------------------------------------------------------------- one store

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """The page; with ``?query=`` also what is found for it, which the event loop waits for."""
        store = self.get_object(request, unquote(object_id))
        if store is None or not self.has_view_permission(request, store):
            return super().change_view(request, object_id, form_url, extra_context)
        question = trying.question_of(request)
        context = {**(extra_context or {}), **self._shown(request, store), "question": question}
        response = super().change_view(request, object_id, form_url, context)
        if question is None or request.method != "GET" or response.status_code != 200:
            return response
        return trying.answered(request, response, store, self.principal_for(request, store), question)

    def _shown(self, request: HttpRequest, store: VectorStore) -> dict[str, Any]:
        address = reverse("admin:knowledge_vectorstore_change", args=[quote(store.pk)])
        return {
            "is_expired": wording.is_expired(store, now()),
            "readable": READABLE,
            "caution": trying.caution(store.project_id),
            "may_add": self._may_add_files(request, store),
            "address": address,
            "contents_address": reverse("admin:knowledge_vectorstore_contents", args=[quote(store.pk)]),
            **self._contents(request, store),
        }

    def _contents(self, request: HttpRequest, store: VectorStore) -> dict[str, Any]:
        address = reverse("admin:knowledge_vectorstore_change", args=[quote(store.pk)])
        return contents(request, store, may_change=self.has_change_permission(request, store), address=address)

    def _may_add_files(self, request: HttpRequest, store: VectorStore) -> bool:
        return self.has_change_permission(request, store) and self.allowed(request, FILES_WRITE, store)

    def contents_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """``GET``: what is in it, for the script. ``POST``: files for it."""
        store = self._store(request, object_id)
        if request.method != "POST":
            return as_json(self._contents(request, store))
        if not self._may_add_files(request, store):
            raise PermissionDenied
        principal = self.principal_for(request, store)
        use = partial(attach, principal=principal, store_id=store.pk)
        return receiving.respond(
            request,
            lambda: receiving.receive(request, principal=principal, purpose=Purpose.ASSISTANTS, use=use),
            following=reverse("admin:knowledge_vectorstore_change", args=[quote(store.pk)]),
            where=f"in {store} now, and will be read",
        )

    def retry_view(self, request: HttpRequest, object_id: str, file_id: str) -> HttpResponse:
        """Put a file in again that failed or was cancelled: it is read from its beginning."""
        store = self._to_change(request, object_id)
        principal = self.principal_for(request, store)
        return self._done(
            request, store, lambda: attach(principal=principal, store_id=store.pk, file_id=unquote(file_id))
        )

    def remove_view(self, request: HttpRequest, object_id: str, file_id: str) -> HttpResponse:
        """Take a file out; the file itself stays."""
        store = self._to_change(request, object_id)
        principal = self.principal_for(request, store)
        return self._done(
            request,
            store,
            lambda: members.detach_file(principal=principal, store_id=store.pk, file_id=unquote(file_id)),
        )

    def _store(self, request: HttpRequest, object_id: str) -> VectorStore:
        """:raises Http404: unknown, or of a project whose stores the person does not see."""
        store: VectorStore | None = self.get_object(request, unquote(object_id))
        if store is None or not self.has_view_permission(request, store):
            raise Http404("no such store")
        return store

    def _to_change(self, request: HttpRequest, object_id: str) -> VectorStore:
        """As ``_store``, for a ``POST`` of somebody who may change it."""
        store = self._store(request, object_id)
        if request.method != "POST" or not self.has_change_permission(request, store):
            raise PermissionDenied
        return store

    def _done(self, request: HttpRequest, store: VectorStore, change: Callable[[], Any]) -> HttpResponse:
        """Do it, and go back to the page whose button it was."""
        try:
            change()
        except ApiError as error:
            self.message_user(request, error.message, messages.ERROR)
        following = request.POST.get("next", "")
        if not url_has_allowed_host_and_scheme(following, {request.get_host()}, require_https=request.is_secure()):
            following = reverse("admin:knowledge_vectorstore_change", args=[quote(store.pk)])
        return HttpResponseRedirect(following)

    # ------------------------------------------------------------------------------------- changes

    def save_model(self, request: HttpRequest, obj: VectorStore, form: Any, change: bool) -> None:
        self.set_project(request, obj)
        principal = self.principal_for(request, obj)
        names = form.changed_data if change else SETTINGS
        fields = {name: form.cleaned_data[name] for name in names if name in SETTINGS}
        fields |= {name: fields[name] or None for name in ("name", "description") if name in fields}
        if change:
            stores.update_store(principal=principal, store_id=obj.pk, **fields)
        else:
            obj.pk = stores.create_store(principal=principal, **fields).pk
        obj.refresh_from_db()

    def response_add(
        self, request: HttpRequest, obj: VectorStore, post_url_continue: str | None = None
    ) -> HttpResponse:
        """To its page: the files come next."""
        self.message_user(request, f"{obj} is made. Put files into it.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:knowledge_vectorstore_change", args=[quote(obj.pk)]))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list[Any], Any, set[str], list[str]]:
        """What people have to know, and not a line for each of a million chunks."""
        tallies = StoreFile.objects.tallies("store_id", [store.pk for store in objs])
        told = [f"{store} ({wording.files(tallies[store.pk].total)}, which stay under Files)" for store in objs]
        return told, {"vector stores": len(told)}, set(), []

    def delete_model(self, request: HttpRequest, obj: VectorStore) -> None:
        stores.delete_store(principal=self.principal_for(request, obj), store_id=obj.pk)


def attach(*, principal: Principal, store_id: str, file_id: str) -> None:
    """Put one file into a store, or in again."""
    members.attach_files(principal=principal, store_id=store_id, files=[NewFile(file_id)])
