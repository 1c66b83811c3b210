"""The library of prompts: found, written with a preview beside the text, and followed through their versions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import URLPattern, path, reverse
from unfold.decorators import display

from assistants.prompts import services
from assistants.prompts.admin import history
from assistants.prompts.admin.forms import WORDING, PromptForm
from assistants.prompts.models import Prompt
from assistants.prompts.services.previews import tried
from assistants.prompts.services.prompts import FIELDS
from assistants.prompts.variables import BUILT_IN, TYPES
from sovereign.accounts import audit
from sovereign.accounts.admin.base import ProjectAdmin, principals_of
from sovereign.accounts.admin.careful import CarefulChanges
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import PROMPTS_READ, PROMPTS_WRITE
from sovereign.core import times
from sovereign.core.errors import ApiError

LONGEST_TRIED = 1024 * 1024  # characters of a form that is previewed while it is typed
SHOWN = 80  # characters of a description in the list
ACTIONS = {"add": "prompt.create", "change": "prompt.update", "delete": "prompt.delete"}


@admin.register(Prompt)
class PromptAdmin(CarefulChanges, ProjectAdmin):
    form = PromptForm
    view_scope = PROMPTS_READ
    empty_words = "Prompts are parts of instructions that assistants share. Their versions are kept."
    add_scope = change_scope = delete_scope = PROMPTS_WRITE
    list_display = (
        "name",
        "description_shown",
        "type",
        "language",
        "versions_shown",
        "labels_shown",
        "changed",
        "project",
    )
    list_filter = ("project", "type", "language")
    list_select_related = ("project",)
    search_fields = ("name", "description", "tags", "=id")
    search_help_text = "Name, description, tag or id"
    ordering = ("-created_at", "-id")
    list_before_template = "admin/prompts/prompts.html"
    change_form_outer_after_template = "admin/prompts/prompt.html"
    readonly_fields = ("id", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": (("name", "project"), ("type", "language"), "description", "tags")}),
        ("What it says", {"classes": ("sv-wording",), "fields": WORDING}),
        ("About", {"classes": ("collapse",), "fields": ("id", ("created_at", "updated_at"))}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.fieldsets[:-1]
        return self.fieldsets if self.has_change_permission(request, obj) else (self.fieldsets[0], self.fieldsets[2])

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: Any = super().get_queryset(request).prefetch_related("labels__version")
        prompts: QuerySet[Any] = rows.with_newest_number()
        return prompts

    def get_urls(self) -> list[URLPattern]:
        views: dict[str, tuple[str, Callable[..., HttpResponse]]] = {
            "preview": ("preview/", self.preview_view),
            "label": ("<path:object_id>/labels/", self.label_view),
            "again": ("<path:object_id>/versions/<int:number>/again/", self.again_view),
        }
        own = [
            path(route, self.admin_site.admin_view(view), name=f"prompts_prompt_{name}")
            for name, (route, view) in views.items()
        ]
        return [*own, *super().get_urls()]

    # ------------------------------------------------------------------------------------- columns

    @admin.display(description="description")
    def description_shown(self, prompt: Prompt) -> str:
        words = prompt.description
        return f"{words[:SHOWN]}…" if len(words) > SHOWN else words

    @admin.display(description="versions", ordering="newest_number")
    def versions_shown(self, prompt: Any) -> int:
        number: int = prompt.newest_number
        return number

    @display(description="labels", label=True)
    def labels_shown(self, prompt: Prompt) -> list[str]:
        return [f"{label.name}: {label.version.number}" for label in prompt.labels.all()]

    @admin.display(description="changed", ordering="updated_at")
    def changed(self, prompt: Prompt) -> str:
        return times.shown(prompt.updated_at)

    # ------------------------------------------------------------------------------------- one prompt

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return super().add_view(request, form_url, {**(extra_context or {}), **self._trying()})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        prompt = self.get_object(request, unquote(object_id))
        context = {**(extra_context or {})}
        if prompt is not None and self.has_view_permission(request, prompt):
            may_change = self.has_change_permission(request, prompt)
            context |= self._trying() if may_change else {}
            context |= history.shown(request, prompt, self.principal_for(request, prompt), may_change=may_change)
            context["label_address"] = _address("label", prompt)
        return super().change_view(request, object_id, form_url, context)

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """What stands in the form filled in, or ``{"field", "message"}``. Nothing is kept."""
        if request.method != "POST" or not self.has_add_permission(request):
            raise PermissionDenied
        return JsonResponse(_previewed(request))

    def label_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Move the label ``name`` to ``version``, or with ``remove`` take it away."""
        prompt = self._to_change(request, object_id)
        name, version = request.POST.get("name", "").strip(), request.POST.get("version", "")
        principal = self.principal_for(request, prompt)
        if "remove" in request.POST:
            return self._done(
                request, prompt, "prompt.remove_label", f"The label {name} is gone.",
                lambda: services.remove_label(principal=principal, prompt_id=prompt.pk, name=name),
            )  # fmt: skip
        return self._done(
            request, prompt, "prompt.move_label", f"{name} is version {version} now.",
            lambda: services.move_label(principal=principal, prompt_id=prompt.pk, name=name, version=version),
        )  # fmt: skip

    def again_view(self, request: HttpRequest, object_id: str, number: int) -> HttpResponse:
        """Have an older version's words follow the newest."""
        prompt = self._to_change(request, object_id)
        principal = self.principal_for(request, prompt)
        return self._done(
            request, prompt, "prompt.add_version", f"What version {number} says is the newest version again.",
            lambda: services.add_version(
                principal=principal, prompt_id=prompt.pk, based_on=str(number), notes=f"As version {number}."
            ),
        )  # fmt: skip

    def _trying(self) -> dict[str, Any]:
        return {
            "preview_address": reverse("admin:prompts_prompt_preview"),
            "types": TYPES,
            "built_in": BUILT_IN,
        }

    def _to_change(self, request: HttpRequest, object_id: str) -> Prompt:
        """:raises Http404: unknown, or not seen by the person. :raises PermissionDenied: seen only."""
        prompt: Prompt | None = self.get_object(request, unquote(object_id))
        if prompt is None or not self.has_view_permission(request, prompt):
            raise Http404("no such prompt")
        if request.method != "POST" or not self.has_change_permission(request, prompt):
            raise PermissionDenied
        return prompt

    def _done(
        self, request: HttpRequest, prompt: Prompt, action: str, words: str, change: Callable[[], Any]
    ) -> HttpResponse:
        """Do it, and go back to the history."""
        try:
            change()
        except ApiError as error:
            audit.refused(self.principal_for(request, prompt), action, "prompt", prompt.pk, error)
            self.message_user(request, error.message, messages.ERROR)
        else:
            self.message_user(request, words, messages.SUCCESS)
        return HttpResponseRedirect(f"{_address('change', prompt)}#history")

    # ------------------------------------------------------------------------------------- changes

    def save_model(self, request: HttpRequest, obj: Prompt, form: Any, change: bool) -> None:
        self.set_project(request, obj)
        principal = self.principal_for(request, obj)
        described: Any = {name: form.cleaned_data[name] for name in FIELDS if not change or name in form.changed_data}
        if not change:
            obj.pk = services.create_prompt(principal=principal, **described, **form.wording).pk
        elif described:
            services.update_prompt(principal=principal, prompt_id=obj.pk, **described)
        if change and form.has_new_wording:
            seen = form.cleaned_data.get("expected_version")
            version = services.add_version(principal=principal, prompt_id=obj.pk, **form.wording, expected_version=seen)
            self.message_user(request, f"Version {version.number} is the newest now.", messages.SUCCESS)
        obj.refresh_from_db()

    def response_add(self, request: HttpRequest, obj: Prompt, post_url_continue: str | None = None) -> HttpResponse:
        """To its page: labels and assistants come next."""
        self.message_user(request, f"{obj} is in the library, with its first version.", messages.SUCCESS)
        return HttpResponseRedirect(_address("change", obj))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list[Any], Any, set[str], list[str]]:
        """Versions and labels go with their prompt, and whoever uses it is asked by the service."""
        told = [f"{prompt} ({prompt.versions.count()} versions)" for prompt in objs]
        return told, {"prompts": len(told)}, set(), []

    def delete_model(self, request: HttpRequest, obj: Prompt) -> None:
        services.delete_prompt(principal=self.principal_for(request, obj), prompt_id=obj.pk)

    def _told(self, request: HttpRequest, view: Callable[..., Any], *args: Any, **kwargs: Any) -> HttpResponse:
        """What a service refuses here is in the audit log, too: what was begun has been rolled back by now."""

        def audited(*inner: Any, **named: Any) -> Any:
            try:
                return view(*inner, **named)
            except ApiError as error:
                self._note(request, error, str(kwargs.get("object_id") or (args[0] if args else "") or ""))
                raise

        return super()._told(request, audited, *args, **kwargs)

    def _note(self, request: HttpRequest, error: ApiError, object_id: str) -> None:
        prompt = self.get_object(request, unquote(object_id)) if object_id else None
        who = self.principal_for(request, prompt) if prompt is not None else _somebody(request)
        if who is not None:
            last = str(getattr(request.resolver_match, "url_name", "")).rpartition("_")[2]
            action = ACTIONS.get(last, ACTIONS["delete"])  # of several prompts in the list nothing else is done
            audit.refused(who, action, "prompt", prompt.pk if prompt is not None else "", error)


def _somebody(request: HttpRequest) -> Principal | None:
    return next(iter(principals_of(request).values()), None)


def _address(view: str, prompt: Prompt) -> str:
    return reverse(f"admin:prompts_prompt_{view}", args=[quote(prompt.pk)])


def _previewed(request: HttpRequest) -> dict[str, Any]:
    if sum(len(value) for value in request.POST.values()) > LONGEST_TRIED:
        return {"field": "template", "message": "This is too much to be previewed."}
    given: dict[str, Any] = {}
    for field, kind, empty in (("variables", list, "[]"), ("values", dict, "{}")):
        try:
            given[field] = json.loads(request.POST.get(field) or empty)
        except (ValueError, RecursionError) as error:
            return {"field": field, "message": f"This is no JSON: {error}."}
        if field == "values" and not isinstance(given[field], kind):
            return {"field": field, "message": "Expected an object of values."}
    return tried(request.POST.get("template", "").replace("\r\n", "\n"), given["variables"], given["values"])
