"""API keys: made with a form, shown once, given another secret, and revoked by an action."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSelectWidget

from sovereign.accounts import services
from sovereign.accounts.admin.base import ProjectAdmin, page_of
from sovereign.accounts.admin.limits import use_of, whose
from sovereign.accounts.models import ApiKey, Limit, RetiredSecret
from sovereign.accounts.scopes import DEFAULT_KEY_SCOPES, DESCRIPTIONS, KEYS_MANAGE
from sovereign.accounts.services.keys import environments
from sovereign.accounts.services.rotation import DEFAULT_OVERLAP
from sovereign.core import times
from sovereign.core.database import now
from sovereign.core.errors import ApiError

NONE = "none"  # as a filter's address says it
UNBOUND = "None: assistants as they were last written"
OLD_SECRETS_SHOWN = 50
STATE_LABELS = {"active": "success", "expired": "warning", "revoked": "default"}
OVERLAPS = {
    "no time: it is refused from now on": timedelta(0),
    "an hour": timedelta(hours=1),
    "a day": timedelta(days=1),
    "a week": timedelta(days=7),
    "30 days": timedelta(days=30),
}


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


class RotationForm(forms.Form):
    overlap = forms.ChoiceField(
        label="The old secret stays good for",
        choices=[(str(int(span.total_seconds())), words) for words, span in OVERLAPS.items()],
        initial=str(int(DEFAULT_OVERLAP.total_seconds())),
        widget=UnfoldAdminSelectWidget,
        help_text="Long enough for every application to get the new one. Where the old one is in wrong hands: not at "
        "all. What was opened with it ends within seconds of its end.",
    )


class EnvironmentFilter(admin.SimpleListFilter):
    title = "environment"
    parameter_name = "environment"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*environments.items(), (NONE, "None")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        if self.value() is None:
            return queryset
        return queryset.filter(environment=None if self.value() == NONE else self.value())


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        words = ("active", "expired", "revoked")
        return [*((word, word.capitalize()) for word in words), ("rotating", "An old secret is still taken")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        instant = now()
        match self.value():
            case "active":
                return queryset.filter(Q(expires_at=None) | Q(expires_at__gt=instant), revoked_at=None)
            case "expired":
                return queryset.filter(expires_at__lte=instant, revoked_at=None)
            case "revoked":
                return queryset.exclude(revoked_at=None)
            case "rotating":
                good = RetiredSecret.objects.in_force(instant).filter(key=OuterRef("pk"))
                return queryset.filter(Exists(good), revoked_at=None)
        return queryset


@admin.register(ApiKey)
class ApiKeyAdmin(ProjectAdmin):
    form = ApiKeyForm
    view_scope = add_scope = KEYS_MANAGE
    empty_words = "A program needs a key. Make one: its secret is shown once."
    list_display = ("name", "shown", "project", "bound_to", "state", "last_used", "made_by", "expires_at", "created_at")
    list_filter = ("project", EnvironmentFilter, StateFilter)
    list_select_related = ("project", "created_by")
    search_fields = ("name", "lookup")
    fields = ("name", "project", "environment", "scopes", "expires_at")
    shown_fields = (
        "name", "project", "bound_to", "may", "expires_at", "shown", "state", "made_by", "created_at",
        "last_used", "used_now", "rotated_at", "revoked_at",
    )  # fmt: skip
    actions = ("revoke",)
    actions_detail = ("rotate",)
    change_form_outer_after_template = "admin/accounts/old_secrets.html"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj is None else self.shown_fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.shown_fields

    @admin.display(description="key")
    def shown(self, key: ApiKey) -> str:
        return key.hint

    @display(description="state", label=STATE_LABELS)
    def state(self, key: ApiKey) -> str:
        return key.state

    @admin.display(description="last used", ordering="last_used_at")
    def last_used(self, key: ApiKey) -> str:
        return times.shown(key.last_used_at) if key.last_used_at else "never"

    @admin.display(description="made by", ordering="created_by")
    def made_by(self, key: ApiKey) -> str:
        return str(key.created_by) if key.created_by is not None else "the operator"

    @admin.display(description="may")
    def may(self, key: ApiKey) -> SafeString:
        held = [(DESCRIPTIONS.get(scope, ""), scope) for scope in key.scopes]
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{} <code>{}</code></li>", held))

    @admin.display(description="limits")
    def used_now(self, key: ApiKey) -> SafeString | str:
        """How much of each is used, and its project's beside them, which apply too."""
        rows = Limit.objects.filter(Q(key=key) | Q(project=key.project_id, key=None)).select_related("key")
        told = [(page_of(row), whose(row), use_of(row)) for row in rows]
        return format_html_join("", '<p><a class="sv-link" href="{}">{}</a> {}</p>', told) or "no limit"

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
        return self._shown_once(request, obj, request._new_secret)  # type: ignore[attr-defined]

    def _shown_once(self, request: HttpRequest, key: ApiKey, secret: str, **more: Any) -> HttpResponse:
        """The secret stands on this one page: a message would carry it through a cookie."""
        context = {
            **self.admin_site.each_context(request),
            "title": "New API key",
            "opts": self.opts,
            "key": key,
            "secret": secret,
            **more,
        }
        return TemplateResponse(request, "admin/accounts/new_key.html", context)

    # ------------------------------------------------------------------------------------- another secret

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.end_view)
        return [path("<path:object_id>/end-old-secrets/", view, name="accounts_apikey_end"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        key = self.get_object(request, unquote(object_id))
        context = {**(extra_context or {})}
        if key is not None and self.has_view_permission(request, key):
            instant = now()
            context["old_secrets"] = [
                {"secret": secret, "is_good": secret.valid_until > instant}
                for secret in key.retired_secrets.all()[:OLD_SECRETS_SHOWN]
            ]
            context["may_end"] = key.retired_secrets.in_force(instant).exists()
            context["end_address"] = page_of(key, "end")
        return super().change_view(request, object_id, form_url, context)

    def has_rotate_permission(self, request: HttpRequest, object_id: str) -> bool:
        """Of the button: where the key can be given another secret."""
        key = self.get_object(request, unquote(str(object_id)))
        return key is not None and key.state == "active" and self.allowed(request, KEYS_MANAGE, key)

    @action(description="New secret", url_path="rotate", permissions=["rotate"], icon="autorenew")
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """``GET``: how long the old secret stays good is asked. ``POST``: the new one is shown, once."""
        key = self.found(request, object_id, to_change=False)
        form = RotationForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            overlap = timedelta(seconds=int(form.cleaned_data["overlap"]))
            try:
                key, secret = services.rotate_api_key(
                    key=key, overlap=overlap, principal=self.principal_for(request, key)
                )
            except ApiError as error:
                return self.refused(request, key, "api_key.rotate", error)
            until = now() + overlap if overlap else None
            return self._shown_once(request, key, secret, is_rotated=True, old_until=until)
        context = {
            **self.admin_site.each_context(request),
            "title": f"New secret for {key.name}",
            "opts": self.opts,
            "key": key,
            "key_address": page_of(key),
            "form": form,
        }
        return TemplateResponse(request, "admin/accounts/rotate_key.html", context)

    def end_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """``POST``: the secrets before the present one are refused from now on."""
        key = self.found(request, object_id, to_change=False)
        if request.method != "POST":
            raise PermissionDenied
        ended = services.end_old_secrets(key=key, principal=self.principal_for(request, key))
        words = "The old secrets are refused from now on." if ended else "No old secret was taken any more."
        self.message_user(request, words, messages.SUCCESS)
        return HttpResponseRedirect(page_of(key))

    # ------------------------------------------------------------------------------------- the end

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.allowed(request, KEYS_MANAGE)

    @admin.action(description="Revoke the selected keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            services.revoke_api_key(key=key, principal=self.principal_for(request, key))
        self.message_user(request, "The keys are revoked: they are refused from now on.", messages.SUCCESS)
