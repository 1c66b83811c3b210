"""The pages on which assistants are made from others, and from templates."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from assistants import services
from assistants.kinds import AssistantType
from assistants.models import NAME_LENGTH, Assistant, AssistantVersion
from assistants.templates import templates
from sovereign.accounts import audit
from sovereign.accounts.admin.base import ProjectAdmin, principal_for
from sovereign.accounts.models import Project
from sovereign.accounts.scopes import ASSISTANTS_WRITE
from sovereign.core.errors import ApiError

VERSIONS_OFFERED = 100


class CloneForm(forms.Form):
    name = forms.CharField(max_length=NAME_LENGTH, widget=UnfoldAdminTextInputWidget)
    version = forms.ChoiceField(required=False, label="What is cloned", widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, assistant: Assistant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].initial = f"{assistant} (copy)"[:NAME_LENGTH]
        rows = AssistantVersion.objects.of(assistant.pk).order_by("-number")[:VERSIONS_OFFERED]
        field: Any = self.fields["version"]
        field.choices = [("", "The draft, as it is now"), *((str(row.number), f"Version {row.number}") for row in rows)]


class TemplateForm(forms.Form):
    """For whom; which template is said by the button."""

    project = forms.ModelChoiceField(Project.objects.none(), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, projects: QuerySet[Project], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["project"]
        field.queryset = projects
        only = list(projects[:2])
        if len(only) == 1:  # nothing to choose
            field.initial, field.empty_label = only[0].pk, None


class StartingOnPage(ProjectAdmin):
    """The actions "Clone" of an assistant and "Start from a template" of the list."""

    @action(description="Clone", url_path="clone", icon="content_copy")
    def clone(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """``GET``: how it is to be called and what is cloned. ``POST``: it is made."""
        assistant = self.get_object(request, unquote(object_id))
        if assistant is None:
            raise Http404("no such assistant")
        if not self.allowed(request, ASSISTANTS_WRITE, assistant):
            raise PermissionDenied
        form = CloneForm(request.POST or None, assistant=assistant)
        if request.method == "POST" and form.is_valid():
            principal, data = self.principal_for(request, assistant), form.cleaned_data
            try:
                made = services.clone_assistant(
                    principal=principal, assistant_id=assistant.pk, version=data["version"] or None, name=data["name"]
                )
            except ApiError as error:
                audit.refused(principal, "assistant.clone", "assistant", assistant.pk, error)
                form.add_error(error.param if error.param in form.fields else None, error.message)
            else:
                return self._made(request, made, f"{assistant} has been cloned.")
        context = {"title": f"Clone {assistant}", "form": form, "original": assistant}
        return self._starting_page(request, "admin/assistants/clone.html", context)

    @action(description="Start from a template", url_path="templates", icon="auto_awesome")
    def from_template(self, request: HttpRequest) -> HttpResponse:
        """``GET``: what there is. ``POST``: an assistant is made of the one whose button was pressed."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = TemplateForm(request.POST or None, projects=self._projects(request))
        if request.method == "POST" and form.is_valid():
            principal = principal_for(request, form.cleaned_data["project"].pk)
            try:
                made = services.start_from_template(principal=principal, template=request.POST.get("template", ""))
            except ApiError as error:
                audit.refused(principal, "assistant.create", "assistant", "", error)
                form.add_error(None, error.message)
            else:
                return self._made(request, made, f"{made} is a draft: look through it, and choose its model.")
        offered = [(AssistantType(template.type).label, template) for template in templates().values()]
        context = {"title": "Start from a template", "form": form, "offered": offered}
        return self._starting_page(request, "admin/assistants/templates.html", context)

    def _projects(self, request: HttpRequest) -> QuerySet[Project]:
        projects: QuerySet[Project] | None = self.get_field_queryset(
            None, Assistant._meta.get_field("project"), request
        )
        assert projects is not None
        return projects

    def _made(self, request: HttpRequest, made: Assistant, words: str) -> HttpResponse:
        self.message_user(request, words, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:assistants_assistant_change", args=[quote(made.pk)]))

    def _starting_page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        shown = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, template, shown)
