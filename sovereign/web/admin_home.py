"""The admin's frame: its sidebar, and the first page with what is going on now (named in ``settings.UNFOLD``)."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import capfirst

from inference.engines.status import destinations
from runs.models import Run
from runs.tools.interpreter.reports import why_unusable
from sovereign.core import times
from sovereign.web import engines
from sovereign.web.alerts import open_alerts
from sovereign.web.home import activity, first_day

RUNS_SHOWN = 10
GROUPS: tuple[tuple[str, dict[str, str]], ...] = (
    (
        "Work",
        {
            "assistants.assistant": "smart_toy",
            "assistants.deployment": "rocket_launch",
            "embeds.embedkey": "web",
            "prompts.prompt": "edit_note",
            "threads.thread": "forum",
            "conversations.conversation": "question_answer",
            "runs.run": "timeline",
            "analytics.grade": "query_stats",
        },
    ),
    (
        "Evaluations",
        {"evaluations.evaluationset": "checklist", "evaluations.evaluationrun": "speed"},
    ),
    ("Alerts", {"alerts.alert": "notifications_active", "alerts.alertrule": "rule"}),
    ("Knowledge", {"knowledge.file": "description", "knowledge.vectorstore": "library_books"}),
    ("Tools", {"catalog.function": "function", "catalog.mcpserver": "hub", "runs.tooluse": "build"}),
    (
        "Models",
        {
            "inference.provider": "cloud",
            "inference.engine": "memory",
            "inference.registeredmodel": "deployed_code",
            "inference.modelalias": "label",
            "inference.modelprice": "payments",
            "inference.usagerecord": "monitoring",
        },
    ),
    (
        "Access",
        {
            "accounts.apikey": "key",
            "accounts.limit": "speed",
            "accounts.project": "folder_open",
            "accounts.user": "group",
            "accounts.invitation": "mail",
            "thread_links.sharedlink": "link",
            "accounts.auditevent": "history",
        },
    ),
)
OTHER_ICON = "article"
#: what is pressed after "g" to go there (``static/web/frame.js``)
KEYS = {
    "assistants.assistant": "a", "assistants.deployment": "d", "prompts.prompt": "p", "threads.thread": "t",
    "runs.run": "r", "analytics.grade": "n", "evaluations.evaluationset": "e", "alerts.alert": "l",
    "knowledge.file": "f", "inference.provider": "m", "accounts.apikey": "k",
}  # fmt: skip


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The pages this person may open, in the order of a day's work; pages without a place come last."""
    pages = {model._meta.label_lower: page for model, page in admin.site._registry.items()}
    placed = {label for _, labels in GROUPS for label in labels}
    groups: list[tuple[str, dict[str, str]]] = [
        *GROUPS, ("More", {label: OTHER_ICON for label in pages if label not in placed})
    ]  # fmt: skip
    listed: list[dict[str, Any]] = [{"items": [
        {"title": "Overview", "icon": "home", "link": reverse("admin:index"), "keys": "h"},
        {"title": "Chat", "icon": "chat", "link": reverse("chat"), "keys": "c"},
        {"title": "Work under way", "icon": "pending_actions", "link": reverse("work"), "keys": "w"},
    ]}]  # fmt: skip
    for title, labels in groups:
        items = [
            _item(pages[label], icon)
            for label, icon in labels.items()
            if label in pages and pages[label].has_module_permission(request)
        ]
        if items:
            listed.append({"title": title, "separator": True, "items": items})
    return listed


def _item(page: Any, icon: str) -> dict[str, Any]:
    meta = page.model._meta
    address = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
    title = getattr(page, "sidebar_title", None) or capfirst(str(meta.verbose_name_plural)).replace("Api ", "API ")
    return {"title": title, "icon": icon, "link": address, "keys": KEYS.get(meta.label_lower, "")}


def home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds the engines, and of what this person may see alerts, what runs, figures, and the first day's steps."""
    context |= {"title": "Overview", "engine": engines.summary(detailed=True), "destinations": destinations()}
    context["first_day"] = first_day.checklist(request, context["engine"])
    context["running"], context["figures"] = activity.running(request), activity.figures(request)
    context["zone"] = times.zone_name()
    context["no_interpreter"] = why_unusable()
    context["alerts"] = open_alerts(request)
    page = admin.site._registry.get(Run)
    if page is not None and page.has_module_permission(request):
        context["newest_runs"] = [_run(page, run) for run in _newest(page.get_queryset(request))]
    return context


def _newest(runs: Any) -> list[Any]:
    """Found by an index first: what the page's rows are joined with is read for these alone."""
    newest = list(runs.order_by("-created_at", "-id").values_list("pk", flat=True)[:RUNS_SHOWN])
    found = runs.select_related("thread").in_bulk(newest)
    return [found[pk] for pk in newest if pk in found]


def _run(page: Any, run: Any) -> dict[str, Any]:
    return {
        "address": reverse("admin:runs_run_change", args=[quote(run.pk)]),
        "begun": run.created_at,
        "status": run.get_status_display(),
        "label": page.label_of(run),
        "assistant": run.assistant_name or run.assistant_id,
        "thread": str(run.thread),
    }
