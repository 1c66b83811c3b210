"""Files: seen, uploaded several at once, downloaded where that is allowed, and deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, Prefetch, QuerySet, Subquery
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.timezone import now
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget

from assistants.knowledge.admin import receiving, wording
from assistants.knowledge.admin.reception import ReceptionView
from assistants.knowledge.models import File, Purpose, StoreFile
from assistants.knowledge.services import files
from sovereign.accounts.admin.base import ProjectAdmin, principal_for
from sovereign.accounts.models import Project
from sovereign.accounts.scopes import FILES_READ, FILES_WRITE
from sovereign.core import times
from sovereign.core.errors import ApiError

STORES_NAMED = 2  # in a list
STORES_SHOWN = 50  # on a file's page
#: What a file may be uploaded for here; the others are the service's own.
PURPOSES = [(purpose.value, words) for purpose, words in (
    (Purpose.ASSISTANTS, "assistants: to be searched, or given to tools"),
    (Purpose.USER_DATA, "user_data: whatever an application needs"),
    (Purpose.VISION, "vision: images for models that see"),
    (Purpose.BATCH, "batch"),
    (Purpose.FINE_TUNE, "fine-tune"),
    (Purpose.EVALS, "evals"),
)]  # fmt: skip


class UploadForm(forms.Form):
    """Where files go and what they are for; the files themselves are beside it."""

    project = forms.ModelChoiceField(Project.objects.none(), widget=UnfoldAdminSelectWidget)
    purpose = forms.ChoiceField(choices=PURPOSES, widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, projects: QuerySet[Project], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["project"]
        field.queryset = projects
        only = list(projects[:2])
        if len(only) == 1:  # nothing to choose
            field.initial, field.empty_label = only[0].pk, None


@admin.register(File)
class FileAdmin(ProjectAdmin):
    view_scope = FILES_READ
    empty_words = "Upload files, or drop them on an assistant's page: it looks things up in them."
    add_scope = delete_scope = FILES_WRITE
    list_display = ("filename", "size", "purpose", "stores", "age", "expires", "project")
    list_filter = ("purpose", "project")
    list_select_related = ("project",)
    search_fields = ("filename", "=id")
    search_help_text = "Name or id"
    ordering = ("-created_at", "-id")
    list_before_template = "admin/knowledge/files.html"
    actions_detail = ("download",)
    fieldsets = (
        (None, {"fields": ("filename", ("size", "purpose"), ("created_at", "expires"), "in_stores")}),
        ("More", {"classes": ("collapse",), "fields": ("id", "project", "status", "sha256", "uploaded_by")}),
    )
    readonly_fields = (
        *("filename", "size", "purpose", "created_at", "expires", "in_stores"),
        *("id", "project", "status", "sha256", "uploaded_by"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        memberships = StoreFile.objects.select_related("store").order_by("-created_at", "-id")
        counted = StoreFile.objects.filter(file=OuterRef("pk")).order_by().values("file")
        return (
            super()
            .get_queryset(request)
            .annotate(store_count=Subquery(counted.annotate(number=Count("pk")).values("number")))
            .prefetch_related(Prefetch("memberships", memberships[:STORES_SHOWN], to_attr="newest_memberships"))
        )

    @admin.display(description="size", ordering="bytes")
    def size(self, file: File) -> str:
        return wording.size(file.bytes)

    @admin.display(description="age", ordering="-created_at")
    def age(self, file: File) -> str:
        return wording.age(file.created_at, now())

    @admin.display(description="expires", ordering="expires_at")
    def expires(self, file: File) -> str:
        return times.shown(file.expires_at) if file.expires_at else "never"

    @admin.display(description="in stores")
    def stores(self, file: Any) -> str:
        names = [str(membership.store) for membership in file.newest_memberships[:STORES_NAMED]]
        more = (file.store_count or 0) - len(names)
        return ", ".join(names) + (f" and {more} more" if more > 0 else "") or "–"

    @admin.display(description="in stores")
    def in_stores(self, file: Any) -> str:
        if not file.newest_memberships:
            return "none"
        links = format_html_join(
            ", ",
            '<a class="sv-link" href="{}">{}</a> ({})',
            (
                (reverse("admin:knowledge_vectorstore_change", args=[quote(member.store_id)]), member.store,
                 wording.state_of(member))
                for member in file.newest_memberships
            ),
        )  # fmt: skip
        more = (file.store_count or 0) - len(file.newest_memberships)
        return format_html("{} and {} more", links, more) if more > 0 else links

    @admin.display(description="uploaded by")
    def uploaded_by(self, file: File) -> str:
        return file.created_by_key or (f"user {file.created_by_user}" if file.created_by_user else "")

    # ------------------------------------------------------------------------------------- uploads

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(ReceptionView.as_view())
        return [path("receive/", view, name="knowledge_file_receive"), *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """A page that takes several files; its script sends them one by one."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = UploadForm(request.POST or None, projects=self._projects(request))
        if request.method == "POST":
            return receiving.respond(
                request,
                lambda: self._received(request, form),
                following=reverse("admin:knowledge_file_changelist"),
                where="uploaded",
            )
        context = {
            **self.admin_site.each_context(request),
            "title": "Upload files",
            "opts": self.opts,
            "form": form,
            "contents_address": request.path,
        }
        return TemplateResponse(request, "admin/knowledge/upload.html", context)

    def _received(self, request: HttpRequest, form: UploadForm) -> receiving.Received:
        """:raises ApiError: no project or purpose of those that are offered, or no file."""
        if not form.is_valid():
            raise ApiError("Choose a project, and what the files are for.")
        principal = principal_for(request, form.cleaned_data["project"].pk)
        return receiving.receive(request, principal=principal, purpose=form.cleaned_data["purpose"])

    def _projects(self, request: HttpRequest) -> QuerySet[Project]:
        projects: QuerySet[Project] | None = self.get_field_queryset(None, File._meta.get_field("project"), request)
        assert projects is not None
        return projects

    # ------------------------------------------------------------------------------------- downloads

    def has_download_permission(self, request: HttpRequest, object_id: str) -> bool:
        file = self.get_object(request, unquote(str(object_id)))
        return file is not None and self.has_view_permission(request, file) and self._may_be_given_out(file)

    @staticmethod
    def _may_be_given_out(file: File) -> bool:
        return file.purpose not in settings.SOVEREIGN.no_downloads_of

    @action(description="Download", url_path="download", permissions=["download"], icon="download")
    def download(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The bytes as they were uploaded, and never as a page of ours."""
        file = self.get_object(request, unquote(object_id))
        if file is None:
            raise Http404("no such file")
        try:
            content = files.open_content(file)
        except ApiError as error:
            self.message_user(request, error.message, messages.ERROR)
            return HttpResponseRedirect(reverse("admin:knowledge_file_change", args=[quote(file.pk)]))
        response = FileResponse(
            content, as_attachment=True, filename=file.filename, content_type="application/octet-stream"
        )
        response["Content-Length"] = str(file.bytes)
        response["Cache-Control"] = "private, no-store"
        return response

    # ------------------------------------------------------------------------------------- deleting

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list[Any], Any, set[str], list[str]]:
        """What people have to know, and not a line for each of a million chunks."""
        told = [_loss(file) for file in objs]
        return told, {"files": len(told)}, set(), []

    def delete_model(self, request: HttpRequest, obj: File) -> None:
        files.delete_file(principal=self.principal_for(request, obj), file_id=obj.pk)


def _loss(file: Any) -> str:
    memberships: Sequence[StoreFile] = getattr(file, "newest_memberships", None) or list(
        file.memberships.select_related("store")[:STORES_SHOWN]
    )
    if not memberships:
        return f"{file.filename} ({wording.size(file.bytes)})"
    stores = ", ".join(str(membership.store) for membership in memberships)
    return f"{file.filename} ({wording.size(file.bytes)}); it will not be found any more in: {stores}"
