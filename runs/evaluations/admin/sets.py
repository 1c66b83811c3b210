"""A set's page: what it is a gate of, its cases, files of cases, and its runs."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from unfold.decorators import display
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from assistants.kinds import Environment
from assistants.models import Assistant, AssistantVersion
from runs.evaluations import importing, services
from runs.evaluations.admin.base import EvaluationPages, may_change_cases
from runs.evaluations.admin.runs import LABELS
from runs.evaluations.checks import KINDS
from runs.evaluations.models import EvaluationRun, EvaluationSet
from runs.evaluations.services.running import DRAFT
from sovereign.accounts.admin.base import page_of, visible
from sovereign.accounts.admin.careful import CarefulChanges, CarefulForm
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_PROMOTE, EVALUATIONS_WRITE
from sovereign.core.errors import ApiError

SHOWN = 200  # cases on the page
RUNS_SHOWN = 20
VERSIONS_SHOWN = 50
GATES = {f"gate_{environment}": environment for environment in Environment.values}
NO_TEXT = "The file is not text in UTF-8."


def _gate(environment: Environment) -> forms.IntegerField:
    return forms.IntegerField(
        label=environment.label,
        required=False,
        min_value=0,
        max_value=100,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Per cent of the cases.",
    )


class SetForm(CarefulForm):
    may_promote = False  # who may not sees the gates only
    gate_development = _gate(Environment.DEVELOPMENT)
    gate_testing = _gate(Environment.TESTING)
    gate_staging = _gate(Environment.STAGING)
    gate_production = _gate(Environment.PRODUCTION)

    class Meta:
        model = EvaluationSet
        fields = ("name", "project", "assistant", "description")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field, environment in GATES.items():
            if field not in self.fields:
                continue
            self.fields[field].disabled = not self.may_promote
            if (rate := self.instance.gates.get(environment)) is not None:
                self.fields[field].initial = round(rate * 100)

    def gates(self) -> dict[str, float]:
        """As the service wants them."""
        given = {environment: self.cleaned_data.get(field) for field, environment in GATES.items()}
        return {environment: percent / 100 for environment, percent in given.items() if percent is not None}


@admin.register(EvaluationSet)
class EvaluationSetAdmin(CarefulChanges, EvaluationPages):
    form = SetForm
    empty_words = "A set holds questions and what a good answer is. Run it before you publish a version."
    add_scope = delete_scope = EVALUATIONS_WRITE
    list_display = ("name", "assistant_shown", "cases_shown", "gates_shown", "last_run", "project")
    list_filter = ("project",)
    list_select_related = ("project", "assistant")
    search_fields = ("name", "description", "=id", "assistant__name", "=assistant__id")
    search_help_text = "Name, description, id or assistant"
    ordering = ("-created_at", "-id")
    list_before_template = "admin/evaluations/sets.html"
    change_form_outer_before_template = "admin/evaluations/set.html"
    readonly_fields = ("id", "revision", "created_at", "updated_at")
    fieldsets = (
        ("Settings", {"fields": (("name", "project"), "assistant", "description")}),
        ("Stands before deployments to", {
            "fields": (tuple(GATES)[:2], tuple(GATES)[2:]),
            "description": "Before a version is deployed there, it is run against these cases, and so many per cent "
            "of them have to pass. An empty field is no gate. Set by those who may promote.",
        }),
        ("About", {"classes": ("collapse",), "fields": (("id", "revision"), ("created_at", "updated_at"))}),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        newest = EvaluationRun.objects.filter(set=OuterRef("pk")).order_by("-created_at", "-id").values("status")[:1]
        rows = visible(request, super().get_queryset(request))
        return rows.annotate(number_of_cases=Count("cases"), last_status=Subquery(newest))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets[:-1] if obj is None else self.fieldsets

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> QuerySet[Any] | None:
        found = super().get_field_queryset(db, db_field, request)
        return found if db_field.name != "assistant" or found is None else visible(request, found)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        form.may_promote = self.allowed(request, ASSISTANTS_PROMOTE, obj)
        return form

    def get_urls(self) -> list[URLPattern]:
        views = {"start": self.start_view, "import": self.import_view}
        own = [
            path(
                f"<path:object_id>/{name}/", self.admin_site.admin_view(view), name=f"evaluations_evaluationset_{name}"
            )
            for name, view in views.items()
        ]
        return [*own, *super().get_urls()]

    # ------------------------------------------------------------------------------------- columns

    @admin.display(description="assistant", ordering="assistant__name")
    def assistant_shown(self, owner: EvaluationSet) -> str:
        return str(owner.assistant) if owner.assistant else "every assistant"

    @admin.display(description="cases", ordering="number_of_cases")
    def cases_shown(self, owner: Any) -> int:
        return int(owner.number_of_cases)

    @admin.display(description="stands before")
    def gates_shown(self, owner: EvaluationSet) -> str:
        return ", ".join(f"{name} {owner.gates[name]:.0%}" for name in Environment.values if name in owner.gates)

    @display(description="last run", label=LABELS)
    def last_run(self, owner: Any) -> str:
        return "" if owner.last_status is None else str(EvaluationRun.Status(owner.last_status).label)

    # ------------------------------------------------------------------------------------- changes

    def save_model(self, request: HttpRequest, obj: EvaluationSet, form: Any, change: bool) -> None:
        self.set_project(request, obj)
        principal = self.principal_for(request, obj)
        fields = {name: form.cleaned_data[name] for name in ("name", "description") if name in form.cleaned_data}
        fields["assistant_id"] = obj.assistant_id
        if self.allowed(request, ASSISTANTS_PROMOTE, obj):
            fields["gates"] = form.gates()
        if change:
            services.update_set(principal=principal, set_id=obj.pk, **fields)
        else:
            obj.pk = services.create_set(principal=principal, **fields).pk
        obj.refresh_from_db()

    def delete_model(self, request: HttpRequest, obj: EvaluationSet) -> None:
        services.delete_set(principal=self.principal_for(request, obj), set_id=obj.pk)

    def response_add(
        self, request: HttpRequest, obj: EvaluationSet, post_url_continue: str | None = None
    ) -> HttpResponse:
        """To its page: its cases come next."""
        self.message_user(request, f"'{obj}' is made. Add its cases.", messages.SUCCESS)
        return HttpResponseRedirect(page_of(obj))

    # ------------------------------------------------------------------------------------- its page

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        owner = self.get_object(request, unquote(object_id))
        context = {**(extra_context or {})}
        if owner is not None and self.has_view_permission(request, owner):
            context |= self._shown(request, owner)
        return super().change_view(request, object_id, form_url, context)

    def _shown(self, request: HttpRequest, owner: Any) -> dict[str, Any]:
        cases = list(owner.cases.order_by("position")[:SHOWN])
        runs = visible(request, EvaluationRun.objects.filter(set=owner)).select_related("version", "assistant")
        return {
            "owner": owner,
            "cases": [{"name": str(case), "address": page_of(case), "checks": _checks(case.checks)} for case in cases],
            "number_of_cases": owner.number_of_cases,
            "runs": [_run(run) for run in runs.order_by("-created_at", "-id")[:RUNS_SHOWN]],
            "may_change": self.has_change_permission(request, owner),
            "may_change_cases": may_change_cases(request, owner),
            "choices": self._choices(request, owner),
            "start_address": page_of(owner, "start"),
            "import_address": page_of(owner, "import"),
            "add_address": f"{reverse('admin:evaluations_evaluationcase_add')}?set={owner.pk}",
            "columns": [*importing.PLAIN, *importing.CHECK_COLUMNS, *importing.JSON_COLUMNS],
        }

    def _choices(self, request: HttpRequest, owner: EvaluationSet) -> list[tuple[str, str]]:
        """What it can be run against: values of the form's field, and words."""
        assistants = visible(request, Assistant.objects.filter(project_id=owner.project_id))
        if owner.assistant_id is not None:
            assistants = assistants.filter(pk=owner.assistant_id)
        named = {assistant.pk: str(assistant) for assistant in assistants[:VERSIONS_SHOWN]}
        drafts = [(f"{pk} {DRAFT}", f"{name}, as it is now") for pk, name in named.items()]
        versions = AssistantVersion.objects.filter(assistant_id__in=named).order_by("assistant_id", "-number")
        older = [(f"{version.assistant_id} {version.pk}", f"{named[version.assistant_id]}, {version}")
                 for version in versions[:VERSIONS_SHOWN]]  # fmt: skip
        return [*drafts, *older]

    def start_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Run it against what was chosen: ``against`` is an assistant's id and a version's, or ``draft``."""
        owner = self.found(request, object_id)
        assistant_id, _, version = request.POST.get("against", "").partition(" ")
        principal = self.principal_for(request, owner)
        try:
            run = services.start_run(
                principal=principal, set_id=owner.pk, assistant_id=assistant_id or None, version=version or DRAFT
            )
        except ApiError as error:
            return self.refused(request, owner, "evaluation.start_run", error)
        self.message_user(request, "The evaluation runs in the background.", messages.SUCCESS)
        return HttpResponseRedirect(page_of(run))

    def import_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take the cases of a file."""
        owner = self.found(request, object_id)
        try:
            added = _imported(request, owner, self.principal_for(request, owner))
        except ApiError as error:
            return self.refused(request, owner, "evaluation.import_cases", error)
        self.message_user(request, f"{added} cases were added.", messages.SUCCESS)
        return HttpResponseRedirect(page_of(owner))


def _imported(request: HttpRequest, owner: EvaluationSet, principal: Principal) -> int:
    """:raises ApiError: there is no file, it is too large, no text, or not what a file of cases is."""
    file = request.FILES.get("file")
    if file is None:
        raise ApiError("Choose a file.", param="file")
    if (file.size or 0) > 4 * importing.CONTENT_LENGTH:
        raise ApiError(f"The file has more than {importing.CONTENT_LENGTH:,} characters.", param="file")
    try:
        content = file.read().decode("utf-8")
    except UnicodeDecodeError:
        raise ApiError(NO_TEXT, param="file") from None
    is_lines = str(file.name).lower().endswith((".jsonl", ".ndjson", ".json"))
    replace = bool(request.POST.get("replace"))
    return len(
        services.import_cases(
            principal=principal,
            set_id=owner.pk,
            cases=importing.read("jsonl" if is_lines else "csv", content),
            replace=replace,
        )
    )


def _checks(checks: list[dict[str, Any]]) -> str:
    return ", ".join(KINDS[check["type"]].title.lower() for check in checks)


def _run(run: EvaluationRun) -> dict[str, Any]:
    rate = run.pass_rate
    return {
        "address": page_of(run),
        "begun": run.created_at,
        "assistant": str(run.assistant),
        "version": str(run.version),
        "status": run.get_status_display(),
        "label": LABELS.get(run.get_status_display(), "default"),
        "passed": run.passed,
        "total": run.total,
        "rate": "" if rate is None else f"{rate:.0%}",
        "is_old": run.revision != run.set.revision,
    }
