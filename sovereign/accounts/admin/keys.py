"""API keys: made with a form, shown once, revoked by an action."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSelectWidget

from sovereign.accounts import services
from sovereign.accounts.admin.base import ProjectAdmin
from sovereign.accounts.models import ApiKey
from sovereign.accounts.scopes import DEFAULT_KEY_SCOPES, DESCRIPTIONS, KEYS_MANAGE
from sovereign.accounts.services.keys import environments

NONE = "none"  # as a filter's address says it
UNBOUND = "None: assistants as they were last written"


class ApiKeyForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=[(scope, f"{scope} – {words}") for scope, words in DESCRIPTIONS.items()],
        initial=sorted(DEFAULT_KEY_SCOPES),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What the key may do. You can only give what you may do yourself.",
    )

    environment = forms.ChoiceField(
        choices=lambda: [("", UNBOUND), *environments.items()],
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="Runs of a bound key use what is deployed there, and are refused where nothing is.",
    )

    class Meta:
        model = ApiKey
        fields = ("name", "project", "environment", "scopes", "expires_at")


class EnvironmentFilter(admin.SimpleListFilter):
    title = "environment"
    parameter_name = "environment"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*environments.items(), (NONE, "None")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        if self.value() is None:
            return queryset
        return queryset.filter(environment=None if self.value() == NONE else self.value())


@admin.register(ApiKey)
class ApiKeyAdmin(ProjectAdmin):
    form = ApiKeyForm
    view_scope = add_scope = KEYS_MANAGE
    list_display = ("name", "shown", "project", "bound_to", "state", "last_used_at", "expires_at", "created_at")
    list_filter = ("project", EnvironmentFilter)
    list_select_related = ("project",)
    search_fields = ("name", "lookup")
    fields = ("name", "project", "environment", "scopes", "expires_at")
    shown_fields = (
        "name", "project", "bound_to", "scopes", "expires_at", "shown", "state", "created_by", "created_at",
        "last_used_at", "revoked_at",
    )  # fmt: skip
    actions = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj is None else self.shown_fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.shown_fields

    @admin.display(description="key")
    def shown(self, key: ApiKey) -> str:
        return key.hint

    @admin.display(description="state")
    def state(self, key: ApiKey) -> str:
        return key.state

    @admin.display(description="environment", ordering="environment")
    def bound_to(self, key: ApiKey) -> str:
        return environments.get(key.environment or "", key.environment or "")

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        self.set_project(request, obj)
        key, secret = services.create_api_key(
            principal=self.principal_for(request, obj),
            project=obj.project,
            name=obj.name,
            scopes=obj.scopes,
            expires_at=obj.expires_at,
            environment=obj.environment,
        )
        obj.pk = key.pk
        obj.refresh_from_db()
        request._new_secret = secret  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """The secret stands on this one page: a message would carry it through a cookie."""
        context = {
            **self.admin_site.each_context(request),
            "title": "New API key",
            "opts": self.opts,
            "key": obj,
            "secret": request._new_secret,  # type: ignore[attr-defined]
        }
        return TemplateResponse(request, "admin/accounts/new_key.html", context)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.allowed(request, KEYS_MANAGE)

    @admin.action(description="Revoke the selected keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            services.revoke_api_key(key=key, principal=self.principal_for(request, key))
        self.message_user(request, "The keys are revoked: they are refused from now on.", messages.SUCCESS)
