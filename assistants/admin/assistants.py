"""The analyst's page of assistants: the API's own rules, said at the field that breaks them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from rest_framework.exceptions import ValidationError as Refusal
from unfold.decorators import action, display

from assistants import services
from assistants.admin.code import CodeOnPage
from assistants.admin.deployments import DeploymentsOnPage
from assistants.admin.knowledge import KnowledgeOnPage
from assistants.admin.life import LIFE, LIMITS, TRAITS, LifeOnForm
from assistants.admin.picking import ModelField, ModelsOnPage
from assistants.admin.prompts import PromptsOnPage
from assistants.admin.several import ChangesSeveral
from assistants.admin.starting import StartingOnPage
from assistants.admin.tabs import CONFIGURE, tabs
from assistants.admin.tools import SECTION, ToolsOnForm
from assistants.admin.versions import VersionsOnPage
from assistants.admin.visible import visible_assistants
from assistants.api.lifecycle.serializers import WholeAssistantRequest
from assistants.catalog.models import NAME_LENGTH, Function
from assistants.catalog.services.functions import check_parameters
from assistants.models import INSTRUCTIONS_LENGTH, PERSONALITY_LENGTH, Assistant, LifeStatus, auto
from assistants.services import places
from inference import gateway
from sovereign.accounts.admin.base import projects_allowing
from sovereign.accounts.admin.careful import CarefulChanges
from sovereign.accounts.admin.fields import PrettyJSONField
from sovereign.accounts.models import Project
from sovereign.accounts.scopes import ASSISTANTS_DEPLOY, ASSISTANTS_READ, ASSISTANTS_WRITE
from sovereign.core import times
from sovereign.core.api.validation import validation_error
from sovereign.core.errors import ApiError

UNFILLED = (
    "Nothing fills these in, since only prompts of the library have variables. The draft may have them; a version is "
    "published with them only by who says that they are meant as they stand:"
)
FIELDS = (
    "name",
    "description",
    "model",
    "instructions",
    "tools",
    "temperature",
    "top_p",
    "reasoning_effort",
    "response_format",
    "metadata",
    *TRAITS,
)
SAVED = (*FIELDS, "retrieval", "functions", "offered_over_mcp")
KEPT = (*SAVED, "server_tools")  # for which there is more than one field
#: what scripts and browsers make better fields of
ATTRIBUTES: dict[str, dict[str, Any]] = {
    "instructions": {"data-editor": "", "data-maximum": INSTRUCTIONS_LENGTH, "data-unfilled": UNFILLED, "rows": 8},
    "personality": {"data-editor": "", "data-maximum": PERSONALITY_LENGTH, "data-unfilled": UNFILLED, "rows": 3},
    "temperature": {"min": 0, "max": 2, "step": 0.1},
    "top_p": {"min": 0, "max": 1, "step": 0.05},
}
#: the colour of each status, as the theme names it
LABELS = {
    str(LifeStatus.DRAFT.label): "info",
    str(LifeStatus.ACTIVE.label): "success",
    "Inactive": "warning",
    "Archived": "danger",
}


class AssistantForm(LifeOnForm, ToolsOnForm):
    projects: Sequence[str | None] = (None,)  # whose models may be chosen; ``None`` for everybody's

    model = ModelField()
    tools = PrettyJSONField(
        initial=list,
        label="Its own functions",
        help_text="Only this assistant has them, and your application carries them out. The JSON has all of its tools: "
        '[{"type": "function", "function": {"name": …, "parameters": {…}}}].',
        show_hidden_initial=True,  # files that were dropped meanwhile bring a tool: who did not touch the list keeps it
    )
    response_format = PrettyJSONField(
        initial=auto, help_text='"auto", {"type": "json_object"} or {"type": "json_schema", "json_schema": {…}}.'
    )
    metadata = PrettyJSONField(initial=dict, help_text="At most 16 pairs of texts, for your own use.")

    class Meta:
        model = Assistant
        fields = (*SAVED, "project")
        labels = {
            "retrieval": "How it searches",
            "offered_over_mcp": "A tool of MCP clients",
            "context_memory_size": "Memory, in messages",
            "default_max_tokens": "Tokens of an answer",
            "visibility": "Who sees it",
        }
        help_texts = {
            "instructions": "Who the assistant is and how it answers. Every conversation begins with it.",
            "description": "One sentence for the people who choose an assistant.",
            "temperature": "How freely words are chosen: 0 always takes the likeliest, for facts and code; 1 is usual; "
            "2 is very free.",
            "offered_over_mcp": "Clients with a key of the project find it at /mcp, by its name and description.",
            "top_p": "Of the likeliest words, the share to choose from. Change this or the temperature, not both.",
            "reasoning_effort": "How long a model that thinks does so before it answers. Others do not mind it.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(field := self.fields.get("model"), ModelField):
            initial = self.instance.model or gateway.default_model(project_id=self.projects[0]) or ""
            field.initial = initial
            field.offer(initial, self.projects)
            self.initial["model"] = initial
        for name, attributes in ATTRIBUTES.items():
            if name in self.fields:
                self.fields[name].widget.attrs |= attributes
        if "tools" in self.fields:
            self.fields["tools"].widget.attrs["data-functions"] = reverse("admin:catalog_function_check")

    def clean(self) -> dict[str, Any]:
        """Ask the serializer of our own API; what it makes of the values is what is saved."""
        cleaned: dict[str, Any] = super().clean() or {}
        self._check_model(cleaned)
        self._check_own_functions(cleaned)
        data = {name: cleaned[name] if cleaned[name] != "" else None for name in FIELDS if name in cleaned}
        try:
            body = WholeAssistantRequest(data=data, partial=True)
            body.is_valid(raise_exception=True)
        except Refusal as refusal:
            details = refusal.detail if isinstance(refusal.detail, dict) else {}
            for name, detail in details.items():
                self.add_error(name, validation_error(Refusal({name: detail})).message)
        except ApiError as error:  # a file or store that does not exist
            self.add_error(error.param if error.param in self.fields else None, error.message)
        else:
            cleaned.update({name: services.DEFAULTS.get(name) if value is None else value
                            for name, value in body.validated_data.items()})  # fmt: skip
        return cleaned

    def _check_own_functions(self, cleaned: dict[str, Any]) -> None:
        """What the API keeps as it is given may be no schema that a model can follow: here somebody can be told."""
        tools = cleaned.get("tools")
        if "tools" not in self.changed_data or not isinstance(tools, list):
            return
        for place, tool in enumerate(tools):
            described = tool.get("function") if isinstance(tool, dict) else None
            if not isinstance(described, dict):
                continue
            try:
                check_parameters(_as_function(described))
            except ApiError as error:
                self.add_error("tools", f"{described.get('name') or f'Tool {place + 1}'}: {error.message}")
                return

    def _check_model(self, cleaned: dict[str, Any]) -> None:
        """Another model has to be one that the project may use."""
        name, project = cleaned.get("model"), cleaned.get("project")
        if not name or name == self.instance.model:
            return
        try:
            gateway.check_model(name, project_id=self.instance.project_id or (project and project.pk))
        except ApiError as error:
            self.add_error("model", f"{error.message}.")


def _as_function(described: dict[str, Any]) -> Function:
    name, parameters = str(described.get("name") or "")[:NAME_LENGTH], described.get("parameters")
    return Function(name=name, parameters=parameters, strict=bool(described.get("strict")))


@admin.register(Assistant)
class AssistantAdmin(
    CarefulChanges,
    ChangesSeveral,
    ModelsOnPage,
    CodeOnPage,
    StartingOnPage,
    PromptsOnPage,
    DeploymentsOnPage,
    VersionsOnPage,
    KnowledgeOnPage,
):
    form = AssistantForm
    view_scope = ASSISTANTS_READ
    empty_words = "An assistant is a model with instructions, tools and files. Make one, or begin with a template."
    add_scope = change_scope = delete_scope = ASSISTANTS_WRITE
    list_display = ("name_shown", "status_shown", "model", "description_shown", "project", "changed", "links")
    list_filter = ("project", "status", "type", "visibility", "model")
    list_select_related = ("project",)
    search_fields = ("name", "id", "description", "model")
    search_help_text = "Name, id, description or model"
    ordering = ("-updated_at", "-id")
    readonly_fields = ("id", "made_from", "created_at", "updated_at")
    actions = ("activate", "archive")
    actions_list = ("from_template",)
    actions_detail = (
        "try_it",
        "try_draft",
        "its_prompts",
        "clone",
        "its_runs",
    )
    warn_unsaved_form = True
    fieldsets = (
        (None, {"fields": ("name", "description", "project", "model", "instructions", "personality", "suggestions")}),
        ("Life", {"fields": (LIFE[:2], *LIFE[2:])}),
        (None, {"classes": ("knowledge",), "fields": ("retrieval",)}),
        ("Tools", {"classes": ("tools",), "fields": SECTION}),
        ("What it may do, and how much", {"fields": ("capabilities", LIMITS)}),
        ("Sampling", {"fields": (("temperature", "top_p"), "reasoning_effort")}),
        ("More", {"classes": ("collapse",), "fields": ("response_format", "metadata")}),
        ("About", {"classes": ("collapse",), "fields": ("id", "made_from", "created_at", "updated_at")}),
    )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form offers the models of the row's project, or of those in which the person may make one."""
        form = super().get_form(request, obj, change, **kwargs)
        form.projects = (obj.project_id,) if obj is not None else self._projects_for_new(request)
        form.catalog_project = _only_one(form.projects)
        form.may_hide = obj is None or services.may_hide(self.principal_for(request, obj), obj)
        return form

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        assistant = self.get_object(request, unquote(object_id))
        shown = {} if assistant is None else {"tabs": tabs(request, assistant, CONFIGURE)}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return visible_assistants(request, super().get_queryset(request))

    def _projects_for_new(self, request: HttpRequest) -> Sequence[str | None]:
        allowed = projects_allowing(request, self.add_scope)
        return (None,) if allowed is None else sorted(allowed) or ("",)  # the last is nobody's project

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets[:-1] if obj is None else self.fieldsets

    @admin.display(description="name", ordering="name")
    def name_shown(self, assistant: Assistant) -> str:
        return str(assistant)

    @display(description="status", label=LABELS, ordering="status")
    def status_shown(self, assistant: Assistant) -> str:
        return str(assistant.get_status_display()).partition(":")[0]

    @admin.display(description="made from")
    def made_from(self, assistant: Assistant) -> str:
        if assistant.parent_id is None:
            return "–"
        address = reverse("admin:assistants_assistant_change", args=[quote(assistant.parent_id)])
        return format_html('<a class="sv-link" href="{}">{}</a>', address, assistant.parent_id)

    @admin.display(description="description")
    def description_shown(self, assistant: Assistant) -> str:
        words = assistant.description or ""
        return f"{words[:80]}…" if len(words) > 80 else words

    @admin.display(description="changed", ordering="updated_at")
    def changed(self, assistant: Assistant) -> str:
        return times.shown(assistant.updated_at)

    @admin.display(description="open")
    def links(self, assistant: Assistant) -> str:
        return format_html(
            '<span class="sv-links"><a class="sv-link" href="{}?assistant={}">Chat</a> '
            '<a class="sv-link" href="{}?assistant_id={}">Runs</a></span>',
            reverse("chat"),
            assistant.pk,
            reverse("admin:runs_run_changelist"),
            assistant.pk,
        )

    @action(description="Chat", url_path="open-chat", icon="forum")
    def try_it(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(f"{reverse('chat')}?assistant={unquote(object_id)}")

    @action(description="Chat with the draft", url_path="open-draft", icon="edit_note", permissions=["try_draft"])
    def try_draft(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(f"{reverse('chat')}?assistant={unquote(object_id)}&environment=draft")

    def has_try_draft_permission(self, request: HttpRequest, object_id: str) -> bool:
        """Who deploys may choose in the chat what answers; the others talk to what is in production."""
        assistant = self.get_object(request, unquote(object_id))
        return assistant is not None and self.allowed(request, ASSISTANTS_DEPLOY, assistant)

    @action(description="Runs", url_path="runs", icon="timeline")
    def its_runs(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(f"{reverse('admin:runs_run_changelist')}?assistant_id={unquote(object_id)}")

    def save_model(self, request: HttpRequest, obj: Assistant, form: Any, change: bool) -> None:
        self.set_project(request, obj)
        principal = self.principal_for(request, obj)
        names = form.changed_fields() if change else KEPT
        fields = {name: form.cleaned_data[name] for name in names if name in KEPT}
        if change:
            services.change_assistant(principal=principal, assistant_id=obj.pk, **fields)
        else:
            obj.pk = services.make_assistant(principal=principal, **fields).pk
        obj.refresh_from_db()
        for field, named in places.unfilled(fields).items():
            self.message_user(request, f"{field.capitalize()}: {UNFILLED} {places.listed(named)}", messages.WARNING)

    def delete_model(self, request: HttpRequest, obj: Assistant) -> None:
        services.delete_assistant(principal=self.principal_for(request, obj), assistant_id=obj.pk)


def _only_one(projects: Sequence[str | None]) -> str | None:
    """The project, where there is no choice."""
    if projects == (None,):
        projects = list(Project.objects.active().values_list("pk", flat=True)[:2])
    return projects[0] if len(projects) == 1 else None
