"""The page of runs: their state and configuration, what they did, and requests that wait for somebody's consent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from assistants.admin.visible import visible_assistants
from assistants.models import Assistant
from runs.admin.cases import MakesCases
from runs.admin.consent import Consent, WaitsFilter, requests_of, waits_for
from runs.admin.inspection import inspection, seconds
from runs.admin.origins import EnvironmentFilter, Origins, PromptFilter, RatingFilter, origin
from runs.admin.replays import Replays
from runs.admin.searching import SearchedByTitle
from runs.admin.sent import PAGE as PROMPT_PAGE
from runs.admin.sent import Retraces
from runs.models import Run
from runs.services import control
from runs.states import Status
from sovereign.accounts.admin.base import known
from sovereign.accounts.scopes import CONVERSATIONS_READ, RUNS_WRITE
from sovereign.core import times
from sovereign.core.errors import ApiError
from threads.services import note_reading

LABELS = {
    Status.QUEUED.label: "warning",
    Status.IN_PROGRESS.label: "info",
    Status.REQUIRES_ACTION.label: "warning",
    Status.CANCELLING.label: "warning",
    Status.COMPLETED.label: "success",
    Status.FAILED.label: "danger",
    Status.EXPIRED.label: "danger",
}
SHOWN = (
    "status_shown", "why", "assistant", "its_thread", "its_version", "its_environment", "its_deployment", "model",
    "project", "timing", "tokens", "begun_by", "priority", "id", "created_at", "started_at", "expires_at", "lease",
    "metadata",
)  # fmt: skip
LOOKED_UP = ("assistant_id", "thread", "version_id", "deployment_id")  # what addresses of the list may name


@admin.register(Run)
class RunAdmin(SearchedByTitle, Origins, Consent, MakesCases, Retraces, Replays):
    empty_words = "A run is one answer of an assistant. Talk to one in the chat, or ask one over the API."

    class Media:
        css = {"all": ("web/runs.css",)}

    view_scope = CONVERSATIONS_READ
    list_display = (
        "begun", "status_shown", "assistant", "its_version", "its_environment", "its_thread", "model", "timing",
        "tokens",
    )  # fmt: skip
    list_filter = ("status", WaitsFilter, EnvironmentFilter, RatingFilter, "project", "model", PromptFilter)
    list_select_related = ("thread", "project", "configuration")
    search_fields = ("=id", "=thread__id", "=assistant_id", "=version_id", "=deployment_id")
    search_help_text = "Id of a run, thread, assistant, version or deployment, title or model"
    ordering = ("-created_at", "-id")
    actions = ("cancel", "make_cases")
    fieldsets = (
        (None, {
            "fields": (
                ("status_shown", "timing"), "why", ("assistant", "its_thread"), ("its_version", "its_environment"),
                "its_deployment", ("model", "tokens"),
            ),
        }),
        ("More", {
            "classes": ("collapse",),
            "fields": (
                "id", "project", ("begun_by", "priority"), ("created_at", "started_at", "expires_at"), "lease",
                "metadata",
            ),
        }),
    )  # fmt: skip
    readonly_fields = SHOWN
    change_form_outer_before_template = "admin/runs/requests.html"
    change_form_outer_after_template = "admin/runs/timeline.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        name = visible_assistants(request).filter(pk=OuterRef("assistant_id")).values("name")[:1]
        is_there = Exists(Assistant.objects.filter(pk=OuterRef("assistant_id")))
        rows = known(request, super().get_queryset(request))
        return rows.annotate(assistant_name=Subquery(name), has_assistant=is_there)

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        return lookup in LOOKED_UP or bool(super().lookup_allowed(lookup, value, request))

    @staticmethod
    def label_of(run: Run) -> str:
        """The colour of the run's state, as the theme names it."""
        return LABELS.get(run.get_status_display(), "")

    @admin.display(description="begun", ordering="created_at")
    def begun(self, run: Run) -> str:
        return times.shown(run.created_at, seconds=True)

    @display(description="status", label=LABELS, ordering="status")
    def status_shown(self, run: Run) -> str:
        return Status(run.status).label

    @admin.display(description="why")
    def why(self, run: Run) -> str:
        return reason_of(run)

    @admin.display(description="assistant")
    def assistant(self, run: Any) -> str:
        if not run.has_assistant:
            return f"{run.assistant_id} (deleted)"
        address = reverse("admin:assistants_assistant_change", args=[quote(run.assistant_id)])
        return format_html('<a class="sv-link" href="{}">{}</a>', address, run.assistant_name or run.assistant_id)

    @admin.display(description="conversation")
    def its_thread(self, run: Run) -> str:
        address = reverse("admin:threads_thread_change", args=[quote(run.thread_id)])
        return format_html('<a class="sv-link" href="{}">{}</a>', address, shortened(str(run.thread)))

    @admin.display(description="duration")
    def timing(self, run: Run) -> str:
        ended = ended_at(run)
        return "" if ended is None else seconds(ended - run.created_at)

    @admin.display(description="tokens")
    def tokens(self, run: Run) -> str:
        if not run.prompt_tokens and not run.completion_tokens:
            return ""
        return f"{run.prompt_tokens} in, {run.completion_tokens} out"

    @admin.display(description="begun by")
    def begun_by(self, run: Run) -> str:
        return run.created_by_key or (f"user {run.created_by_user}" if run.created_by_user else "")

    @admin.display(description="lease")
    def lease(self, run: Run) -> str:
        holder = run.lease_owner or "nobody"
        return f"Held by {holder}. Claims: {run.lease_epoch}. Workers that died holding it: {run.crash_count}."

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        run = self.get_object(request, unquote(object_id))
        context = {**(extra_context or {})}
        if run is not None and self.has_view_permission(request, run):
            # the tool calls of another person's chat are part of what they said
            note_reading(principal=self.principal_for(request, run), thread=run.thread)
            may_answer = self.allowed(request, RUNS_WRITE, run)
            context |= {"run": run, "requests": requests_of(run), "may_answer": may_answer}
            context |= inspection(run, shows_cost=self.shows_cost(request, run))
            context |= {**origin(request, run), **self.replays(request, run)}
            context["prompt_address"] = reverse(PROMPT_PAGE, args=[quote(run.pk)])
            context |= self.case_choices(request, run)
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return self.allowed(request, RUNS_WRITE)

    @admin.action(description="Cancel the selected runs", permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        done = 0
        for run in queryset:
            try:
                principal = self.principal_for(request, run)
                control.cancel_run(principal=principal, thread_id=run.thread_id, run_id=run.pk)
                done += 1
            except ApiError as error:
                self.message_user(request, f"{run.pk}: {error.message}", messages.WARNING)
        self.message_user(request, f"{done} asked to end.", messages.SUCCESS)


def shortened(title: str) -> str:
    return f"{title[:40]}…" if len(title) > 41 else title


def reason_of(run: Run) -> str:
    """Why a run waits, failed or stopped early, in the words it was told in."""
    if run.status == Status.QUEUED:
        return run.waiting_reason
    if run.status == Status.REQUIRES_ACTION:
        return waits_for(run)
    for told in (run.last_error, run.incomplete_details):
        if told:
            return str(told.get("message") or told.get("reason") or "")
    return ""


def ended_at(run: Run) -> datetime | None:
    return run.completed_at or run.failed_at or run.cancelled_at
