"""Limits: a superuser's of whole projects, and inside of those the project's own people's of its keys."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from sovereign.accounts import services
from sovereign.accounts.admin.base import OPERATOR, ProjectAdmin
from sovereign.accounts.admin.careful import CarefulChanges, CarefulForm
from sovereign.accounts.models import Limit
from sovereign.accounts.scopes import KEYS_MANAGE
from sovereign.accounts.services import limits, quotas
from sovereign.accounts.services.quotas import FIELDS, NONE, Account, Subject
from sovereign.core.errors import ApiError

USE = ("requests_now", "tokens_now", "tokens_today", "calls_now")
HIGH = 0.9  # of a limit: from there on its bar warns
KEY_HELP = "Limits of one key are no more than its project's. Both apply."
WHOLE_PROJECT = "Leave it empty to limit the whole project, with all of its keys and people."


class LimitForm(CarefulForm):
    class Meta:
        model = Limit
        fields = ("project", "key", *FIELDS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "project" in self.fields:
            self.fields["project"].required = False  # a key has one already
        for name in FIELDS:
            if name in self.fields:
                highest = getattr(limits.HIGHEST, name)
                self.fields[name].widget.attrs |= {"min": 1, "max": highest, "placeholder": "no limit"}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        key, project = cleaned.get("key"), cleaned.get("project")
        if key is not None and project not in (None, key.project):
            self.add_error("key", "This key belongs to another project.")
        elif key is not None:
            cleaned["project"] = self.instance.project = key.project
        elif not self.instance.pk and project is None:
            self.add_error("key", "Choose a key.")
        if all(cleaned.get(name) is None for name in FIELDS):
            raise forms.ValidationError("Nothing is limited. Set a number, or delete the limits.")
        return cleaned


@admin.register(Limit)
class LimitAdmin(CarefulChanges, ProjectAdmin):
    form = LimitForm
    view_scope = add_scope = change_scope = delete_scope = KEYS_MANAGE
    empty_words = "Without limits, everybody may use as much as there is."
    list_display = ("whose", "project", *USE)
    list_filter = ("project",)
    list_select_related = ("project", "key")
    search_fields = ("key__name", "key__lookup", "project__name")

    # ------------------------------------------------------------------------------------- who may

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.allowed(request, self._scope_of(obj), obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.allowed(request, self._scope_of(obj), obj)

    def _scope_of(self, obj: Limit | None) -> str:
        return OPERATOR if obj is not None and obj.key_id is None else KEYS_MANAGE

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None:
            return ("project", "key", *FIELDS, *USE)
        return (*(("project",) if self.allowed(request, OPERATOR) else ()), "key", *FIELDS)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else ("project", "key", *USE)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field is not None and db_field.name == "key":
            field.queryset = field.queryset.filter(revoked_at=None, limit=None)
            field.required = not self.allowed(request, OPERATOR)
            field.help_text = f"{KEY_HELP} {'' if field.required else WHOLE_PROJECT}".strip()
        return field

    # ------------------------------------------------------------------------------------- changes

    def save_model(self, request: HttpRequest, obj: Limit, form: Any, change: bool) -> None:
        row = self._store(request, obj, limits.stated(obj))
        obj.pk = row.pk if row is not None else None

    def delete_model(self, request: HttpRequest, obj: Limit) -> None:
        self._store(request, obj, NONE)

    def _store(self, request: HttpRequest, obj: Limit, wanted: quotas.Limits) -> Limit | None:
        if obj.key is not None:
            return services.set_key_limits(key=obj.key, limits=wanted, principal=self.principal_for(request, obj))
        if not self.allowed(request, OPERATOR):
            raise ApiError("Only a superuser limits whole projects.", status=403, code="insufficient_permissions")
        return services.set_project_limits(project=obj.project, limits=wanted, by=request.user.pk)

    # ------------------------------------------------------------------------------------- what is used now

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """All rows' use is read at once."""
        changelist = super().get_changelist_instance(request)
        accounts = quotas.look(_subject_of(row).name for row in changelist.result_list)
        for row in changelist.result_list:
            row.account = accounts[_subject_of(row).name]
        return changelist

    @admin.display(description="limits", ordering="key")
    def whose(self, row: Limit) -> str:
        return whose(row)

    @admin.display(description="requests, last minute")
    def requests_now(self, row: Limit) -> SafeString | str:
        return _use(row, "requests_per_minute")

    @admin.display(description="tokens, last minute")
    def tokens_now(self, row: Limit) -> SafeString | str:
        return _use(row, "tokens_per_minute")

    @admin.display(description="tokens, last 24 h")
    def tokens_today(self, row: Limit) -> SafeString | str:
        return _use(row, "tokens_per_day")

    @admin.display(description="calls now")
    def calls_now(self, row: Limit) -> SafeString | str:
        return _use(row, "concurrent_calls")


def whose(row: Limit) -> str:
    return str(row.key) if row.key is not None else "the whole project"


def use_of(row: Limit) -> SafeString:
    """Of all that it limits, how much is used now."""
    limited = [name for name in FIELDS if getattr(row, name) is not None]
    return format_html_join(" ", "{} {}", [(_use(row, name), name.replace("_", " ")) for name in limited])


def _subject_of(row: Limit) -> Subject:
    return Subject("project", row.project_id) if row.key_id is None else Subject("key", row.key_id)


def _use(row: Any, field: str) -> SafeString | str:
    """``3 of 100``, and as a bar; ``row.account`` is there in lists."""
    limit = getattr(row, field)
    if limit is None:
        return "–"
    name = _subject_of(row).name
    account: Account = getattr(row, "account", None) or quotas.look([name])[name]
    used = account.used(field)
    return format_html(
        '<span class="sv-use"><meter min="0" max="{}" high="{}" value="{}" aria-label="{}"></meter> {} of {}</span>',
        limit, limit * HIGH, min(used, limit), field.replace("_", " "), f"{used:,}", f"{limit:,}",
    )  # fmt: skip
