"""A rule's page: what is watched, who is told, whether they are reached, and what was sent."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from assistants.kinds import Environment
from assistants.models import Assistant
from runs.alerts import services
from runs.alerts.admin.base import SEVERITY_LABELS, STATE_LABELS, AlertPages, notices_of
from runs.alerts.models import Alert, AlertRule, Notification
from runs.alerts.rendering import is_late, problems_of, span
from runs.alerts.services.rules import FIELDS, STEP
from runs.alerts.watched import WATCHED
from sovereign.accounts.admin.base import page_of, visible
from sovereign.accounts.admin.careful import CarefulChanges, CarefulForm
from sovereign.accounts.scopes import ALERTS_WRITE
from sovereign.core.errors import ApiError

QUIET = "Quiet"
OFF = "Off"
LATE = "Not compared"
LABELS = {**STATE_LABELS, QUIET: "success", OFF: "default", LATE: "danger"}
ASSISTANTS_SHOWN = 500
EVERYONE = ("", "All of the project together")


class RuleForm(CarefulForm):
    assistants: list[tuple[str, str]] = []  # that may be chosen
    assistant_id = forms.ChoiceField(label="Assistant", required=False, widget=UnfoldAdminSelectWidget)
    environment = forms.ChoiceField(
        required=False,
        choices=[("", "Everything but trials"), *Environment.choices],
        widget=UnfoldAdminSelectWidget,
    )
    metric = forms.ChoiceField(
        choices=[(name, watched.title) for name, watched in WATCHED.items()], widget=UnfoldAdminSelectWidget
    )
    emails = forms.CharField(
        label="E-mail addresses",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="One in each line. They leave the house.",
    )
    webhook_url = forms.CharField(
        label="Webhook",
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="An https address that alerts are posted to, signed. A new one has a new secret, shown once.",
    )
    new_webhook_secret = forms.BooleanField(
        label="Make a new secret for the webhook", required=False, widget=UnfoldBooleanSwitchWidget
    )

    class Meta:
        model = AlertRule
        fields = (
            "name", "project", "assistant_id", "environment", "metric", "direction", "threshold", "clear_threshold",
            "window_minutes", "minimum_runs", "severity", "is_enabled", "emails", "webhook_url",
        )  # fmt: skip
        labels = {"clear_threshold": "Ends at", "window_minutes": "Window, in minutes", "is_enabled": "Is watched"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [EVERYONE, *self.assistants]
        if self.instance.assistant_id and self.instance.assistant_id not in dict(choices):
            choices.append((self.instance.assistant_id, self.instance.assistant_id))
        if "assistant_id" in self.fields:
            self.fields["assistant_id"].choices = choices  # type: ignore[attr-defined]
        self.initial["emails"] = "\n".join(self.instance.emails)

    def clean_assistant_id(self) -> str | None:
        return self.cleaned_data["assistant_id"] or None

    def clean_environment(self) -> str | None:
        return self.cleaned_data["environment"] or None

    def clean_emails(self) -> list[str]:
        return self.cleaned_data["emails"].split()


@admin.register(AlertRule)
class AlertRuleAdmin(CarefulChanges, AlertPages):
    form = RuleForm
    empty_words = "A rule watches a number, such as the share of runs that fail, and tells you when it is too high."
    add_scope = delete_scope = ALERTS_WRITE
    list_display = ("name", "state", "watches", "condition", "severity_shown", "tells", "project")
    list_filter = ("severity", "is_enabled", "project")
    list_select_related = ("project",)
    search_fields = ("name", "=id", "=assistant_id", "metric")
    search_help_text = "Name, metric, or the id of a rule or an assistant"
    ordering = ("-created_at", "-id")
    list_before_template = "admin/alerts/rules.html"
    change_form_outer_before_template = "admin/alerts/rule.html"
    readonly_fields = ("id", "looked_at", "last_value", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": (("name", "project"), ("severity", "is_enabled"))}),
        ("What is watched", {
            "fields": (("assistant_id", "environment"), "metric", ("direction", "threshold"),
                       ("clear_threshold", "window_minutes"), "minimum_runs"),
            "description": "A share is 0 to 1: 0.05 is 5 %. Times are seconds. The window is a multiple of five "
            "minutes. An end a little on the good side of the beginning keeps an alert from coming and going.",
        }),
        ("Who is told", {"fields": ("emails", "webhook_url", "new_webhook_secret")}),
        ("About", {"classes": ("collapse",), "fields": (
            "id", ("last_value", "looked_at"), ("created_at", "updated_at"))}),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        state = Alert.objects.open().filter(rule=OuterRef("pk")).values("state")[:1]
        return (
            visible(request, super().get_queryset(request)).filter(deleted_at=None).annotate(open_state=Subquery(state))
        )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets[:-1] if obj is None else self.fieldsets

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        assistants = visible(request, Assistant.objects.all())
        if obj is not None:
            assistants = assistants.filter(project_id=obj.project_id)
        form.assistants = [(one.pk, str(one)) for one in assistants.order_by("name", "pk")[:ASSISTANTS_SHOWN]]
        if "window_minutes" in form.base_fields:
            form.base_fields["window_minutes"].widget.attrs["step"] = STEP
        return form

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.test_view)
        return [path("<path:object_id>/test/", view, name="alerts_alertrule_test"), *super().get_urls()]

    # ------------------------------------------------------------------------------------- columns

    @display(description="now", label=LABELS)
    def state(self, rule: Any) -> str:
        if not rule.is_enabled:
            return OFF
        if is_late(rule):
            return LATE
        return Alert.State(rule.open_state).label if rule.open_state else QUIET

    @admin.display(description="watches", ordering="metric")
    def watches(self, rule: AlertRule) -> str:
        return WATCHED[rule.metric].title

    @admin.display(description="when")
    def condition(self, rule: AlertRule) -> str:
        threshold = WATCHED[rule.metric].shown(rule.threshold)
        return f"{rule.direction} {threshold} over the last {span(rule.window_minutes)}"

    @display(description="severity", label=SEVERITY_LABELS, ordering="severity")
    def severity_shown(self, rule: AlertRule) -> str:
        return str(rule.get_severity_display())

    @admin.display(description="tells")
    def tells(self, rule: AlertRule) -> str:
        channels = [f"{len(rule.emails)} by e-mail"] if rule.emails else []
        return ", ".join([*channels, *(["a webhook"] if rule.webhook_url else [])]) or "these pages only"

    # ------------------------------------------------------------------------------------- changes

    def save_model(self, request: HttpRequest, obj: AlertRule, form: Any, change: bool) -> None:
        self.set_project(request, obj)
        names = [*FIELDS, "emails", "webhook_url", *(["new_webhook_secret"] if change else [])]
        fields = {name: form.cleaned_data[name] for name in names if name in form.cleaned_data}
        principal = self.principal_for(request, obj)
        if change:
            written = services.update_rule(principal=principal, rule_id=obj.pk, **fields)
        else:
            written = services.create_rule(principal=principal, **fields)
            obj.pk = written.rule.pk
        obj.refresh_from_db()
        request._new_secret = written.secret  # type: ignore[attr-defined]

    def delete_model(self, request: HttpRequest, obj: AlertRule) -> None:
        services.delete_rule(principal=self.principal_for(request, obj), rule_id=obj.pk)

    def response_add(self, request: HttpRequest, obj: AlertRule, post_url_continue: str | None = None) -> HttpResponse:
        """To its page: it is tried there."""
        self.message_user(request, f"'{obj}' is made. Try whether those whom it names are reached.", messages.SUCCESS)
        return self._secret(request, obj) or HttpResponseRedirect(page_of(obj))

    def response_change(self, request: HttpRequest, obj: AlertRule) -> HttpResponse:
        return self._secret(request, obj) or super().response_change(request, obj)

    def _secret(self, request: HttpRequest, obj: AlertRule) -> HttpResponse | None:
        """The secret stands on this one page: a message would carry it through a cookie."""
        secret: str | None = getattr(request, "_new_secret", None)
        if secret is None:
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": "The webhook's secret",
            "opts": self.opts,
            "rule": obj,
            "secret": secret,
            "address": page_of(obj),
        }
        return TemplateResponse(request, "admin/alerts/secret.html", context)

    # ------------------------------------------------------------------------------------- its page

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        rule = self.get_object(request, unquote(object_id))
        context = {**(extra_context or {})}
        if rule is not None and self.has_view_permission(request, rule):
            context |= {
                "rule": rule,
                "problems": problems_of(rule),
                "alert": Alert.objects.open().filter(rule=rule).first(),
                "notices": notices_of(Notification.objects.filter(rule=rule)),
                "may_test": self.has_change_permission(request, rule) and (rule.emails or rule.webhook_url),
            }
        return super().change_view(request, object_id, form_url, context)

    def test_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send a test to everybody whom the rule names."""
        rule = self.found(request, object_id)
        try:
            services.try_rule(principal=self.principal_for(request, rule), rule_id=rule.pk)
        except ApiError as error:
            return self.refused(request, rule, "alert_rule.test", error)
        self.message_user(request, "A test is on its way. What becomes of it stands below.", messages.SUCCESS)
        return HttpResponseRedirect(page_of(rule))
