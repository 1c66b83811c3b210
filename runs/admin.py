"""What a run did, to be read: its state, its configuration, its steps and its events in time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from assistants.models import Assistant
from runs import events
from runs.models import Run, RunEvent, RunStep
from runs.services import control
from runs.states import Status
from sovereign.accounts.admin.base import ProjectAdmin
from sovereign.accounts.scopes import CONVERSATIONS_READ, RUNS_WRITE
from sovereign.core.errors import ApiError
from threads.services import note_reading

FOUND_SHOWN = 200  # characters of a passage
EVENTS_READ = 5_000  # rows; deltas in a row are shown as one
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
    "status_shown", "why", "assistant", "its_thread", "model", "project", "timing", "tokens", "begun_by", "id",
    "created_at", "started_at", "expires_at", "lease", "metadata",
)  # fmt: skip


@admin.register(Run)
class RunAdmin(ProjectAdmin):
    view_scope = CONVERSATIONS_READ
    list_display = ("begun", "status_shown", "assistant", "its_thread", "model", "timing", "tokens")
    list_filter = ("status", "project", "model")
    list_select_related = ("thread", "project", "configuration")
    search_fields = ("=id", "=thread__id", "=assistant_id", "thread__title", "model")
    search_help_text = "Id of a run, thread or assistant, title or model"
    ordering = ("-created_at", "-id")
    show_full_result_count = False
    actions = ("cancel",)
    fieldsets = (
        (None, {"fields": (("status_shown", "timing"), "why", ("assistant", "its_thread"), ("model", "tokens"))}),
        ("More", {
            "classes": ("collapse",),
            "fields": ("id", "project", "begun_by", ("created_at", "started_at", "expires_at"), "lease", "metadata"),
        }),
    )  # fmt: skip
    readonly_fields = SHOWN
    change_form_outer_after_template = "admin/runs/timeline.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        name = Assistant.objects.filter(pk=OuterRef("assistant_id")).values("name")[:1]
        return super().get_queryset(request).annotate(assistant_name=Subquery(name))

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        return lookup in ("assistant_id", "thread") or bool(super().lookup_allowed(lookup, value, request))

    @staticmethod
    def label_of(run: Run) -> str:
        """The colour of the run's state, as the theme names it."""
        return LABELS.get(run.get_status_display(), "")

    @admin.display(description="begun", ordering="created_at")
    def begun(self, run: Run) -> str:
        return f"{run.created_at:%Y-%m-%d %H:%M:%S}"

    @display(description="status", label=LABELS, ordering="status")
    def status_shown(self, run: Run) -> str:
        return Status(run.status).label

    @admin.display(description="why")
    def why(self, run: Run) -> str:
        return reason_of(run)

    @admin.display(description="assistant")
    def assistant(self, run: Any) -> str:
        if run.assistant_name is None and not Assistant.objects.filter(pk=run.assistant_id).exists():
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
            context |= {"run": run, **inspection(run)}
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
    for told in (run.last_error, run.incomplete_details):
        if told:
            return str(told.get("message") or told.get("reason") or "")
    return ""


def ended_at(run: Run) -> datetime | None:
    return run.completed_at or run.failed_at or run.cancelled_at


def seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.2f} s"


def inspection(run: Run) -> dict[str, Any]:
    """Steps, the grouped events and the frozen configuration, for the template; it escapes all of it."""
    log = list(RunEvent.objects.after(run.pk, 0)[:EVENTS_READ])
    return {
        "steps": [described(step, run) for step in RunStep.objects.of_run(run.pk).order_by("position")],
        "timeline": timeline(log, run.created_at),
        "has_more_events": len(log) == EVENTS_READ,
        "configuration": json.dumps(run.configuration.data, indent=2, ensure_ascii=False),
    }


def described(step: RunStep, run: Run) -> dict[str, Any]:
    ended = step.completed_at or step.failed_at or step.cancelled_at or step.expired_at
    return {
        "id": step.pk,
        "kind": step.get_type_display(),
        "status": step.get_status_display(),
        "begun": seconds(step.created_at - run.created_at),
        "lasted": seconds(ended - step.created_at) if ended else "",
        "error": (step.last_error or {}).get("message", ""),
        "calls": [call_of(call, step.asked.get(call["id"], {})) for call in step.tool_calls],
        "usage": step.usage,
    }


def call_of(call: dict[str, Any], asked: dict[str, Any]) -> dict[str, str]:
    """:param asked: what the step keeps of a call that was carried out here."""
    if (search := call.get("file_search")) is not None:
        return {
            "name": "file_search",
            "arguments": str(asked.get("arguments", {}).get("query", "")),
            "output": "\n".join([*map(_found, search.get("results", [])), *filter(None, [search.get("note")])]),
        }
    function = call.get("function") or {}
    return {
        "name": str(function.get("name") or call.get("type", "")),
        "arguments": str(function.get("arguments", "")),
        "output": str(function.get("output") or ""),
    }


def _found(result: dict[str, Any]) -> str:
    text = " ".join(part["text"] for part in result.get("content", []))
    return f"{result['file_name']} ({result['score']:.2f}): {text[:FOUND_SHOWN]}"


def timeline(log: Iterable[RunEvent], begun: datetime) -> list[dict[str, Any]]:
    """Rows of ``{"at", "seq", "type", "detail", "is_delta"}``; deltas that follow one another are one row."""
    rows = []
    for is_delta, group in groupby(log, key=lambda event: event.type.endswith(".delta")):
        if is_delta:
            rows.append(_deltas(list(group), begun))
        else:
            rows += [_row(event, begun, _detail(event)) for event in group]
    return rows


def _row(event: RunEvent, begun: datetime, detail: str) -> dict[str, Any]:
    at = max(0.0, (event.created_at - begun).total_seconds())
    short = event.type.removeprefix("thread.")
    return {"at": f"{at:.3f} s", "seq": str(event.seq), "type": short, "detail": detail, "is_delta": False}


def _deltas(group: list[RunEvent], begun: datetime) -> dict[str, Any]:
    first, last = group[0], group[-1]
    texts = [part.get("text", {}).get("value", "") for event in group for part in event.data.get("content", [])]
    lasted = (last.created_at - first.created_at).total_seconds()
    detail = f"{len(group)} deltas, {sum(map(len, texts))} characters in {lasted:.2f} s"
    return {**_row(first, begun, detail), "seq": f"{first.seq} to {last.seq}", "is_delta": True}


def _detail(event: RunEvent) -> str:
    data = event.data
    if event.type in (events.RUN_CREATED, events.RUN_PREFIX + Status.QUEUED):
        return str(data.get("status_details") or "")
    if error := data.get("last_error"):
        return str(error.get("message", ""))
    if event.type.startswith(events.STEP_PREFIX):
        return str(data.get("type", "")).replace("_", " ")
    return str((data.get("incomplete_details") or {}).get("reason", ""))
