"""A case's page: what is asked, and how its answer is checked."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from rest_framework.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextareaWidget

from runs.evaluations import services
from runs.evaluations.admin.base import EvaluationPages, may_change_cases
from runs.evaluations.checks import KINDS
from runs.evaluations.models import EvaluationCase, EvaluationSet
from runs.evaluations.shapes import read, read_checks, refuse_unreadable
from sovereign.accounts.admin.base import page_of, visible
from sovereign.accounts.admin.careful import CarefulChanges, CarefulForm
from sovereign.accounts.admin.fields import PrettyJSONField
from sovereign.accounts.scopes import EVALUATIONS_WRITE
from sovereign.core.errors import ApiError

EXAMPLE = '[{"type": "contains", "values": ["Paris"]}, {"type": "judge", "criterion": "It is polite."}]'


class CaseForm(CarefulForm):
    unreadable = ""  # why a regular expression of the request cannot be used

    input = forms.CharField(
        required=False,
        label="What is asked",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text="The user's message, where one is all.",
    )
    messages = PrettyJSONField(
        label="Or a conversation",
        help_text='In place of the above: [{"role": "user", "content": "…"}, {"role": "assistant", …}, …].',
    )
    reference = forms.CharField(
        required=False,
        label="A good answer",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text="What answers are compared with, and what a judge sees.",
    )
    checks = PrettyJSONField(
        help_text=f"All have to pass; without any, the answer has to be similar to the good one. Kinds: "
        f"{', '.join(KINDS)}. For example {EXAMPLE}.",
    )
    variables = PrettyJSONField(initial=dict, help_text='What prompts are filled with: {"language": "de"}.')

    class Meta:
        model = EvaluationCase
        fields = ("set", "name", "messages", "reference", "checks", "variables")
        labels = {"set": "Evaluation"}
        help_texts = {"name": "For people; the beginning of the question where it is empty."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if (asked := _only_question(self.instance.messages)) is not None and "input" in self.fields:
            self.initial["input"], self.initial["messages"] = asked, None

    def clean(self) -> dict[str, Any]:
        """The case as the API would take it; what it refuses is said at its field."""
        cleaned: dict[str, Any] = super().clean() or {}
        given = {name: cleaned[name] for name in ("name", "input", "messages", "reference", "checks", "variables")
                 if cleaned.get(name)}  # fmt: skip
        if self.errors:
            return cleaned
        try:
            self.case = read(given)
        except ApiError as error:
            field = (error.param or "").partition("[")[0].partition(".")[0]
            self.add_error(field if field in self.fields else None, error.message)
        else:
            cleaned |= self.case
            if self.unreadable:
                self.add_error("checks", self.unreadable)
        return cleaned


def _unreadable(text: str) -> str:
    """Why a regular expression of a form's checks cannot be used; empty where all can, and where they are no checks,
    which the form says itself. Asked for before Django opens the transaction that it validates a form in."""
    try:
        refuse_unreadable(read_checks(json.loads(text or "[]")))
    except ApiError as error:
        return error.message
    except (ValueError, ValidationError):
        pass
    return ""


def _only_question(messages: Any) -> str | None:
    """The text of a case that is one question."""
    if isinstance(messages, list) and len(messages) == 1 and isinstance(messages[0].get("content"), str):
        return str(messages[0]["content"])
    return None


@admin.register(EvaluationCase)
class EvaluationCaseAdmin(CarefulChanges, EvaluationPages):
    empty_words = "A case is one question and what a good answer is. Add cases on the page of their set."
    form = CaseForm
    project_path = "set__project"
    add_scope = delete_scope = EVALUATIONS_WRITE
    list_display = ("__str__", "set", "kinds", "updated_at")
    list_select_related = ("set",)
    search_fields = ("name", "=id", "=set__id", "reference")
    search_help_text = "Name, id, evaluation's id or good answer"
    ordering = ("-created_at", "-id")
    readonly_fields = ("id", "source_run_id", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": ("set", "name", "input", "messages", "reference", "checks", "variables")}),
        ("About", {"classes": ("collapse",), "fields": (("id", "source_run_id"), ("created_at", "updated_at"))}),
    )

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False  # cases are reached from their evaluation

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows.filter(set__in=visible(request, EvaluationSet.objects.all()))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or may_change_cases(request, obj.set))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or may_change_cases(request, obj.set))

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "POST" and self.allowed(request, EVALUATIONS_WRITE):
            request.unreadable = _unreadable(request.POST.get("checks", ""))  # type: ignore[attr-defined]
        return super().changeform_view(request, *args, **kwargs)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        form.unreadable = getattr(request, "unreadable", "")
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets[:-1] if obj is None else self.fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if obj is None else (*fields, "set")  # a case stays where it is

    @admin.display(description="checks")
    def kinds(self, case: EvaluationCase) -> str:
        return ", ".join(KINDS[check["type"]].title.lower() for check in case.checks)

    def save_model(self, request: HttpRequest, obj: EvaluationCase, form: Any, change: bool) -> None:
        principal, names = self.principal_for(request, obj), {"set_id": obj.set_id}
        if change:
            services.update_case(principal=principal, case_id=obj.pk, **names, **form.case)
        else:
            obj.pk = services.create_case(principal=principal, **names, **form.case).pk
        obj.refresh_from_db()

    def delete_model(self, request: HttpRequest, obj: EvaluationCase) -> None:
        services.delete_case(principal=self.principal_for(request, obj), set_id=obj.set_id, case_id=obj.pk)

    def response_add(
        self, request: HttpRequest, obj: EvaluationCase, post_url_continue: str | None = None
    ) -> HttpResponse:
        """To its evaluation, unless another case is to follow."""
        if "_addanother" in request.POST or "_continue" in request.POST:
            return super().response_add(request, obj, post_url_continue)
        return HttpResponseRedirect(page_of(obj.set))

    def response_change(self, request: HttpRequest, obj: EvaluationCase) -> HttpResponse:
        if "_addanother" in request.POST or "_continue" in request.POST:
            return super().response_change(request, obj)
        return HttpResponseRedirect(page_of(obj.set))
