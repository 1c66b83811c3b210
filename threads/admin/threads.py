"""Conversations, to be read: another person's chat is opened by a role that may, and that is written down."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from unfold.decorators import display

from sovereign.accounts.admin.base import ProjectAdmin, known, projects_allowing
from sovereign.accounts.scopes import CONVERSATIONS_READ, THREADS_REDACT, THREADS_WRITE
from sovereign.core import times
from sovereign.core.errors import ApiError
from threads.admin.reading import conversation
from threads.admin.redacting import RedactsMessages
from threads.exporting import SUFFIXES, begin_export, exported
from threads.exports import services as exports
from threads.models import Message, Thread
from threads.search import saying
from threads.services import delete_thread, note_reading

KINDS = {"json": "JSON", "md": "Markdown"}
MOST_EXPORTED = 10_000  # threads
MOST_AT_ONCE = 200  # of them that are sent while they are written; others are written in the background
MESSAGES_AT_ONCE = 2_000  # likewise: some seconds
NAMED = 100  # threads, before they are deleted


class OriginFilter(admin.SimpleListFilter):
    """Who begins threads: people in the chat, programs over the API."""

    title = "origin"
    parameter_name = "origin"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("chat", "Chat"), ("api", "API")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(owner__isnull=self.value() == "api") if self.value() else queryset


@admin.register(Thread)
class ThreadAdmin(RedactsMessages, ProjectAdmin):
    view_scope = CONVERSATIONS_READ
    empty_words = "A conversation begins in the chat, or when a program makes a thread over the API."
    delete_scope = THREADS_WRITE
    list_display = ("title_shown", "origin", "message_count", "state", "project", "active_last")
    list_filter = (OriginFilter, "project")
    list_select_related = ("project", "owner")
    search_fields = ("title", "id", "owner__username")
    search_help_text = "Title, words of messages, id or person"
    list_after_template = "admin/threads/searched.html"
    actions = ("export_json", "export_markdown")
    ordering = ("-last_activity_at", "-id")
    fieldsets = (
        (None, {"fields": (("origin", "project"), ("created_at", "last_activity_at"), "id", "its_runs")}),
        ("More", {"classes": ("collapse",), "fields": ("metadata", "tool_resources")}),
    )
    readonly_fields = (
        "id", "origin", "project", "created_at", "last_activity_at", "its_runs", "metadata", "tool_resources",
    )  # fmt: skip
    change_form_outer_after_template = "admin/threads/conversation.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        messages = Message.objects.filter(thread=OuterRef("pk")).order_by().values("thread")
        count = messages.annotate(total=Count("pk")).values("total")
        return known(request, super().get_queryset(request).filter(trashed_at=None)).annotate(
            messages_total=Coalesce(Subquery(count), 0)
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export_view)
        file_view = self.admin_site.admin_view(self.exported_file_view)
        return [
            path("exports/<str:export_id>/file/", file_view, name="threads_export_file"),
            path("<path:object_id>/export/<str:kind>/", view, name="threads_thread_export"),
            *super().get_urls(),
        ]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Threads whose title, id or person is like it, and those whose newest messages hold its words."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        said = saying(queryset, search_term) if search_term.strip() else []
        return (found | queryset.filter(pk__in=said), may_repeat) if said else (found, may_repeat)

    # ------------------------------------------------------------------------------------- columns

    @admin.display(description="conversation", ordering="title")
    def title_shown(self, thread: Thread) -> str:
        return str(thread)

    @admin.display(description="begun by")
    def origin(self, thread: Thread) -> str:
        return thread.owner.get_username() if thread.owner else "the API"

    @admin.display(description="messages")
    def message_count(self, thread: Any) -> int:
        return int(thread.messages_total)

    @display(description="state", label={"answering": "info"})
    def state(self, thread: Thread) -> str:
        return "answering" if thread.active_run_id else "at rest"

    @admin.display(description="last activity", ordering="last_activity_at")
    def active_last(self, thread: Thread) -> str:
        return times.shown(thread.last_activity_at)

    @admin.display(description="runs")
    def its_runs(self, thread: Thread) -> str:
        address = reverse("admin:runs_run_changelist")
        return format_html('<a class="sv-link" href="{}?thread={}">See its runs</a>', address, thread.pk)

    # ------------------------------------------------------------------------------------- its page

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        thread = self.get_object(request, unquote(object_id))
        context = {**(extra_context or {})}
        if thread is not None and self.has_view_permission(request, thread):
            note_reading(principal=self.principal_for(request, thread), thread=thread)
            context |= conversation(request, thread) | self._ways_of(request, thread)
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def _ways_of(self, request: HttpRequest, thread: Thread) -> dict[str, Any]:
        """What one may do on the page besides reading it."""
        return {
            "exports": [(KINDS[kind], self._export_address(thread, kind)) for kind in SUFFIXES],
            "may_redact": self.allowed(request, THREADS_REDACT, thread),
        }

    @staticmethod
    def _export_address(thread: Thread, kind: str) -> str:
        return reverse("admin:threads_thread_export", args=[quote(thread.pk), kind])

    # ------------------------------------------------------------------------------------- taking along

    def export_view(self, request: HttpRequest, object_id: str, kind: str) -> HttpResponseBase:
        """The thread as a file. :raises Http404: no such thread, or no such kind of file."""
        thread = self.found(request, object_id, to_change=False)
        if kind not in SUFFIXES:
            raise Http404("no such kind of file")
        return self._file(request, [thread], kind)

    @admin.action(description="Export as JSON", permissions=["view"])
    def export_json(self, request: HttpRequest, queryset: QuerySet[Thread]) -> HttpResponseBase | None:
        return self._files(request, queryset, "json")

    @admin.action(description="Export as Markdown", permissions=["view"])
    def export_markdown(self, request: HttpRequest, queryset: QuerySet[Thread]) -> HttpResponseBase | None:
        return self._files(request, queryset, "md")

    def exported_file_view(self, request: HttpRequest, export_id: str) -> HttpResponseBase:
        """A file that was written in the background, for who asked for it, as long as they may read its threads.

        :raises Http404: there is none, or none of theirs.
        """
        try:
            export = exports.of_person(user_id=request.user.pk or 0, export_id=export_id)
            allowed = projects_allowing(request, self.view_scope)
            if allowed is not None and export.project_id not in allowed:
                raise Http404("no such export")
            content = exports.open_file(export)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise Http404(error.message) from None
            self.message_user(request, error.message, messages.ERROR)  # the bucket does not answer
            return HttpResponseRedirect(reverse("work"))
        answer = FileResponse(
            content, as_attachment=True, filename=f"{export.pk}.{export.kind}", content_type=SUFFIXES[export.kind]
        )
        answer["Content-Length"] = str(export.bytes)
        answer["Cache-Control"] = "private, no-store"
        return answer

    def _files(self, request: HttpRequest, queryset: QuerySet[Thread], kind: str) -> HttpResponseBase | None:
        threads = list(queryset.select_related(None).only("id", "project_id")[: MOST_EXPORTED + 1])
        if len(threads) > MOST_EXPORTED:
            self.message_user(request, f"At most {MOST_EXPORTED:,} threads are exported at once.", messages.ERROR)
            return None
        return self._file(request, threads, kind)

    def _file(self, request: HttpRequest, threads: Sequence[Thread], kind: str) -> HttpResponseBase:
        """At once where it is short; else it is written in the background, a file for each project."""
        if len(threads) > MOST_AT_ONCE or Message.objects.filter(thread__in=threads).count() > MESSAGES_AT_ONCE:
            return self._begun_in_background(request, threads, kind)
        begun = [
            begin_export(principal=self.principal_for(request, thread), thread_id=thread.pk, kind=kind)
            for thread in threads
        ]
        name = begun[0].pk if len(begun) == 1 else "threads"
        answer = StreamingHttpResponse(exported(begun, kind), content_type=SUFFIXES[kind])
        answer["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
        answer["X-Content-Type-Options"] = "nosniff"
        return answer

    def _begun_in_background(self, request: HttpRequest, threads: Sequence[Thread], kind: str) -> HttpResponse:
        by_project: dict[str, list[Thread]] = {}
        for thread in threads:
            by_project.setdefault(thread.project_id, []).append(thread)
        for some in by_project.values():
            principal = self.principal_for(request, some[0])
            try:
                exports.begin(principal=principal, thread_ids=[thread.pk for thread in some], kind=kind)
            except ApiError as error:
                self.message_user(request, error.message, messages.ERROR)
                break
        else:
            words = "It is being written. Leave this page if you like: here and under Work under way it is found again."
            self.message_user(request, words, messages.SUCCESS)
        return HttpResponseRedirect(reverse("work"))

    # ------------------------------------------------------------------------------------- deleting

    def delete_model(self, request: HttpRequest, obj: Thread) -> None:
        delete_thread(principal=self.principal_for(request, obj), thread_id=obj.pk)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """Counted, not read: what goes with a thread may be a hundred thousand rows."""
        threads = list(objs)
        counts = {"threads": len(threads), "messages": Message.objects.filter(thread__in=threads).count()}
        return [str(thread) for thread in threads[:NAMED]], counts, set(), []
