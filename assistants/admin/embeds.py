"""Embeds: made with a form, their snippet copied, changed, and revoked by an action."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from assistants.admin.sites import script_tag
from assistants.embeds import services
from assistants.embeds.models import EmbedKey
from assistants.embeds.origins import checked
from sovereign.accounts.admin.base import ProjectAdmin, page_of
from sovereign.accounts.admin.careful import CarefulChanges, CarefulForm
from sovereign.accounts.scopes import ASSISTANTS_PROMOTE
from sovereign.core.errors import ApiError

CHANGED = ("name", "origins", "allows_anonymous", *services.LIMITS)
STATE_LABELS = {"in force": "success", "revoked": "default"}


class OriginsField(forms.CharField):
    """One origin a line."""

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)

    def clean(self, value: Any) -> Any:
        try:
            return checked(super().clean(value).splitlines())
        except ApiError as error:
            raise forms.ValidationError(error.message) from error


class EmbedForm(CarefulForm):
    origins = OriginsField(
        label="Sites",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text="Which sites may show it: one a line, as https://intranet.example. No other site can.",
    )

    class Meta:
        model = EmbedKey
        fields = ("assistant", "environment", *CHANGED)


@admin.register(EmbedKey)
class EmbedKeyAdmin(CarefulChanges, ProjectAdmin):
    form = EmbedForm
    sidebar_title = "Embeds"
    view_scope = add_scope = change_scope = ASSISTANTS_PROMOTE
    empty_words = "An embed shows a deployed assistant on another site, with one line of HTML."
    list_display = ("name", "assistant", "environment", "sites", "allows_anonymous", "state", "today", "created_at")
    list_filter = ("environment", "allows_anonymous")
    list_select_related = ("assistant",)
    search_fields = ("name", "=public_key", "=id")
    fields = ("assistant", "environment", *CHANGED)
    told = ("state", "today", "behind", "created_by", "created_at", "revoked_at")
    actions = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj is None else ("snippet", *self.fields, *self.told)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ()
        return ("snippet", "assistant", "environment", *self.told, *(CHANGED if obj.revoked_at is not None else ()))

    @admin.display(description="sites")
    def sites(self, embed: EmbedKey) -> str:
        return ", ".join(embed.origins)

    @display(description="state", label=STATE_LABELS)
    def state(self, embed: EmbedKey) -> str:
        return "in force" if embed.revoked_at is None else "revoked"

    @admin.display(description="last day")
    def today(self, embed: EmbedKey) -> str:
        return f"{embed.day_messages} messages of {embed.messages_per_day}, {embed.day_visitors} visitors"

    @admin.display(description="put this into the site's pages")
    def snippet(self, embed: EmbedKey) -> SafeString:
        return render_to_string("admin/embeds/snippet.html", {"tag": script_tag(embed)})

    @admin.display(description="counted to the key")
    def behind(self, embed: EmbedKey) -> str:
        return str(embed.api_key.name)

    def save_model(self, request: HttpRequest, obj: EmbedKey, form: Any, change: bool) -> None:
        wanted = {name: form.cleaned_data[name] for name in CHANGED if name in form.cleaned_data}
        if change:
            services.change_embed(principal=self.principal_for(request, obj), embed=obj, **wanted)
            return
        obj.project = obj.assistant.project
        made = services.create_embed(
            principal=self.principal_for(request, obj),
            assistant=obj.assistant,
            environment=obj.environment,
            **wanted,
        )
        obj.pk = made.pk
        obj.refresh_from_db()

    def response_add(self, request: HttpRequest, obj: EmbedKey, post_url_continue: str | None = None) -> HttpResponse:
        """To its page: the line stands there."""
        self.message_user(request, f"'{obj}' is made. Put its line into the site's pages.", messages.SUCCESS)
        return HttpResponseRedirect(page_of(obj))

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.allowed(request, ASSISTANTS_PROMOTE)

    @admin.action(description="Revoke the selected embeds", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[EmbedKey]) -> None:
        for embed in queryset:
            services.revoke_embed(principal=self.principal_for(request, embed), embed=embed)
        self.message_user(request, "Nobody sees them from now on.", messages.SUCCESS)
