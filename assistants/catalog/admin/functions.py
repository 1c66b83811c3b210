"""The library of functions: schema and examples are checked while they are typed, and when they are saved."""

from __future__ import annotations

import json
from copy import copy
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path
from unfold.widgets import UnfoldAdminTextareaWidget

from assistants.catalog.models import DESCRIPTION_LENGTH, Function, no_parameters
from assistants.catalog.services import create_function, delete_function, update_function
from assistants.catalog.services.functions import Described, apply_description
from sovereign.accounts.admin.base import ProjectAdmin
from sovereign.accounts.admin.careful import CarefulChanges, CarefulForm
from sovereign.accounts.admin.fields import PrettyJSONField
from sovereign.accounts.scopes import ASSISTANTS_READ, ASSISTANTS_WRITE
from sovereign.core.errors import ApiError

DESCRIBED = tuple(Described.__annotations__)
LONGEST_CHECKED = 512 * 1024  # bytes of a form that is checked while it is typed
EXAMPLE = '[{"arguments": {"city": "Bonn"}, "output": {"degrees": 12}}]'


class FunctionForm(CarefulForm):
    parameters = PrettyJSONField(
        initial=no_parameters,
        help_text='JSON schema of the arguments: {"type": "object", "properties": {…}, "required": […]}.',
    )
    examples = PrettyJSONField(
        initial=list,
        help_text=f"Calls as they should be, for the people who write and use the function: {EXAMPLE}. Their arguments "
        "have to fit the schema.",
    )

    description = forms.CharField(
        required=False,
        max_length=DESCRIPTION_LENGTH,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="What it does and when to use it. Models choose by this.",
    )

    class Meta:
        model = Function
        fields = (*DESCRIBED, "project")
        help_texts = {
            "name": "By which models call it and applications know it: letters, digits, '_' and '-'.",
            "strict": "Models have to keep to the schema: every property required, none besides.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("parameters", "examples"):
            if name in self.fields:
                self.fields[name].widget.attrs["rows"] = 12

    def clean(self) -> dict[str, Any]:
        """Ask the service, and say what it refuses at the field that is wrong."""
        cleaned: dict[str, Any] = super().clean() or {}
        for field, empty in (("parameters", no_parameters()), ("examples", [])):
            if field in cleaned and cleaned[field] is None:
                cleaned[field] = empty
        if not self.errors:
            try:
                apply_description(copy(self.instance), **{name: cleaned[name] for name in DESCRIBED if name in cleaned})
            except ApiError as error:
                self.add_error(error.param if error.param in self.fields else None, error.message)
        return cleaned


@admin.register(Function)
class FunctionAdmin(CarefulChanges, ProjectAdmin):
    form = FunctionForm
    view_scope = ASSISTANTS_READ
    empty_words = "A function is what your own program does for an assistant. Describe it once, for all of them."
    add_scope = change_scope = delete_scope = ASSISTANTS_WRITE
    list_display = ("name", "description_shown", "arguments", "strict", "number_of_examples", "project")
    list_filter = ("project", "strict")
    list_select_related = ("project",)
    search_fields = ("name", "description", "=id")
    search_help_text = "Name, description or id"
    list_before_template = "admin/catalog/functions.html"
    change_form_after_template = "admin/catalog/function_check.html"
    readonly_fields = ("id", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": (("name", "project"), "description", "strict", "parameters", "examples")}),
        ("About", {"classes": ("collapse",), "fields": ("id", ("created_at", "updated_at"))}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets[:-1] if obj is None else self.fieldsets

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.check_view)
        return [path("check/", view, name="catalog_function_check"), *super().get_urls()]

    def check_view(self, request: HttpRequest) -> HttpResponse:
        """What is wrong with what stands in the form, ``{"field", "message"}``, or ``{}``. Nothing is kept."""
        if request.method != "POST" or not self.has_add_permission(request):
            raise PermissionDenied
        return JsonResponse(_problem(request))

    # ------------------------------------------------------------------------------------- columns

    @admin.display(description="description")
    def description_shown(self, function: Function) -> str:
        words = function.description
        return f"{words[:80]}…" if len(words) > 80 else words

    @admin.display(description="arguments")
    def arguments(self, function: Function) -> str:
        names = list(function.parameters.get("properties") or ())
        return ", ".join(names[:4]) + (" …" if len(names) > 4 else "") if names else "none"

    @admin.display(description="examples")
    def number_of_examples(self, function: Function) -> int:
        return len(function.examples)

    # ------------------------------------------------------------------------------------- changes

    def save_model(self, request: HttpRequest, obj: Function, form: Any, change: bool) -> None:
        self.set_project(request, obj)
        principal = self.principal_for(request, obj)
        names = form.changed_data if change else DESCRIBED
        described: Any = {name: form.cleaned_data[name] for name in names if name in DESCRIBED}
        if change:
            update_function(principal=principal, function_id=obj.pk, **described)
        else:
            obj.pk = create_function(principal=principal, **described).pk
        obj.refresh_from_db()

    def delete_model(self, request: HttpRequest, obj: Function) -> None:
        delete_function(principal=self.principal_for(request, obj), function_id=obj.pk)


def _problem(request: HttpRequest) -> dict[str, str]:
    if sum(len(value) for value in request.POST.values()) > LONGEST_CHECKED:
        return {"field": "parameters", "message": "This is too much to be checked."}
    function = Function(
        name=request.POST.get("name") or "unnamed",
        description=request.POST.get("description", ""),
        strict=bool(request.POST.get("strict")),
    )
    for field in ("parameters", "examples"):
        try:
            setattr(function, field, json.loads(request.POST.get(field) or "null"))
        except (ValueError, RecursionError) as error:
            return {"field": field, "message": f"This is no JSON: {error}."}
    try:
        apply_description(function)
    except ApiError as error:
        return {"field": error.param or "", "message": error.message}
    return {}
