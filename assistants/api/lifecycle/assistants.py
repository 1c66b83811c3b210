"""Assistants themselves: ``/api/v1/assistants``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Count, QuerySet
from django.http import QueryDict
from django.urls import URLPattern, path
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from assistants import services
from assistants.api.lifecycle.base import LifecycleView
from assistants.api.lifecycle.objects import (
    LineageObject,
    StatusList,
    TemplateList,
    TypeList,
    WholeAssistantList,
    WholeAssistantObject,
)
from assistants.api.lifecycle.serializers import CloneRequest, NewAssistantRequest, WholeAssistantRequest
from assistants.api.objects import DeletedAssistant
from assistants.kinds import AssistantType
from assistants.models import Assistant, LifeStatus, Visibility
from assistants.rendering import (
    render_deleted,
    render_relative,
    render_status,
    render_template,
    render_type,
    render_whole,
)
from assistants.templates import templates
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.scopes import ASSISTANTS_READ, ASSISTANTS_WRITE
from sovereign.core.api.filters import chosen
from sovereign.core.api.pagination import enveloped, page_of, paginate
from sovereign.core.api.schema import PAGE_PARAMETERS

CHOICES: dict[str, list[str]] = {
    "type": AssistantType.values,
    "status": LifeStatus.values,
    "visibility": Visibility.values,
}
FILTERS = [
    *(OpenApiParameter(name, str, enum=values, description=f"Only those of this {name}.")
      for name, values in CHOICES.items()),
    OpenApiParameter("tag", str, many=True, description="Only those that have this tag; of several, all of them."),
    OpenApiParameter("model", str, description="Only those with this model."),
    OpenApiParameter("parent_id", str, description="Only those that were made from this assistant."),
]  # fmt: skip
MAKING = [
    OpenApiExample(
        "From nothing",
        value={
            "model": "default",
            "name": "Release notes",
            "type": "task_oriented",
            "instructions": "Write release notes from the list of changes that you are given.",
            "personality": "Sober, in the present tense.",
            "tags": ["writing", "releases"],
            "context_memory_size": 20,
            "default_max_tokens": 2000,
        },
        request_only=True,
    ),
    OpenApiExample(
        "From a template",
        value={"template": "market_analyst", "name": "Market analyst for energy", "tags": ["energy"]},
        request_only=True,
    ),
]
ACTIVATING = [OpenApiExample("In service", value={"status": "active"}, request_only=True)]
CLONING = [OpenApiExample("Of a version", value={"version": "3", "name": "Experiment"}, request_only=True)]


class AssistantsView(LifecycleView):
    """List what a principal sees of the project's assistants, or make one."""

    scopes = {"GET": ASSISTANTS_READ, "POST": ASSISTANTS_WRITE}
    actions = {"POST": "assistant.create"}
    serializer_class = NewAssistantRequest

    @extend_schema(
        operation_id="listWholeAssistants", parameters=[*PAGE_PARAMETERS, *FILTERS], responses=WholeAssistantList
    )
    def get(self, request: Request) -> Response:
        """The project's assistants with their life."""
        visible = filtered(Assistant.objects.visible_to(principal_of(request)), request.query_params)
        page = page_of(request.query_params)
        return Response(paginate(visible, page, order_by=("created_at", "id"), render=render_whole))

    @extend_schema(
        operation_id="createWholeAssistant",
        request=NewAssistantRequest,
        responses=WholeAssistantObject,
        examples=MAKING,
    )
    def post(self, request: Request) -> Response:
        """Make an assistant, from nothing or from a template.

        It is a draft unless `status` says `active`. From a template it gets the default model where none is
        named, and no tool that this server cannot run.
        """
        body, principal = self.body(), principal_of(request)
        if "template" in body:
            return Response(render_whole(services.start_from_template(principal=principal, **body)))
        return Response(render_whole(services.make_assistant(principal=principal, **body)))


class AssistantView(LifecycleView):
    """Read, change or delete one assistant."""

    scopes = {"GET": ASSISTANTS_READ, "PUT": ASSISTANTS_WRITE, "DELETE": ASSISTANTS_WRITE}
    actions = {"PUT": "assistant.update", "DELETE": "assistant.delete"}
    serializer_class = WholeAssistantRequest
    partial_body = True

    @extend_schema(operation_id="getWholeAssistant", responses=WholeAssistantObject)
    def get(self, request: Request, assistant_id: str) -> Response:
        """Read an assistant with its life."""
        assistant = services.get_assistant(principal=principal_of(request), assistant_id=assistant_id)
        return Response(render_whole(assistant))

    @extend_schema(
        operation_id="updateWholeAssistant",
        request=WholeAssistantRequest(partial=True),
        responses=WholeAssistantObject,
        examples=ACTIVATING,
    )
    def put(self, request: Request, assistant_id: str) -> Response:
        """Change an assistant, its status among the rest.

        Only the fields that are sent change, each as a whole. `/api/v1/assistants/statuses` tells which status may
        follow which; an archived assistant changes only together with its status.
        """
        principal = principal_of(request)
        assistant = services.change_assistant(principal=principal, assistant_id=assistant_id, **self.body())
        return Response(render_whole(assistant))

    @extend_schema(operation_id="deleteWholeAssistant", responses=DeletedAssistant)
    def delete(self, request: Request, assistant_id: str) -> Response:
        """Delete an assistant with its versions and deployments.

        Its threads and runs stay.
        """
        services.delete_assistant(principal=principal_of(request), assistant_id=assistant_id)
        return Response(render_deleted(assistant_id))


class CloneView(LifecycleView):
    scopes = {"POST": ASSISTANTS_WRITE}
    actions = {"POST": "assistant.clone"}
    serializer_class = CloneRequest

    @extend_schema(
        operation_id="cloneAssistant", request=CloneRequest, responses=WholeAssistantObject, examples=CLONING
    )
    def post(self, request: Request, assistant_id: str) -> Response:
        """Make an assistant like this one.

        The clone is a draft with the same content and prompts, and has this one as its parent.
        """
        clone = services.clone_assistant(principal=principal_of(request), assistant_id=assistant_id, **self.body())
        return Response(render_whole(clone))


class LineageView(LifecycleView):
    scopes = {"GET": ASSISTANTS_READ}

    @extend_schema(operation_id="getAssistantLineage", responses=LineageObject)
    def get(self, request: Request, assistant_id: str) -> Response:
        """From whom an assistant descends, and who descends from it.

        What you may not see, and what lies beyond it, is left out.
        """
        found = services.lineage(principal=principal_of(request), assistant_id=assistant_id)
        return Response(
            {
                "object": "assistant.lineage",
                "assistant": render_relative(found.assistant),
                "ancestors": [render_relative(ancestor) for ancestor in found.ancestors],
                "descendants": [render_relative(descendant) for descendant in found.descendants],
                "has_more": not found.is_whole,
            }
        )


class TypesView(LifecycleView):
    scopes = {"GET": ASSISTANTS_READ}

    @extend_schema(operation_id="listAssistantTypes", responses=TypeList)
    def get(self, request: Request) -> Response:
        """What assistants may be for."""
        numbers = _numbers(request, "type")
        return Response(enveloped([render_type(kind, numbers.get(kind, 0)) for kind in AssistantType]))


class StatusesView(LifecycleView):
    scopes = {"GET": ASSISTANTS_READ}

    @extend_schema(operation_id="listAssistantStatuses", responses=StatusList)
    def get(self, request: Request) -> Response:
        """Where assistants may be in their life, and what may follow."""
        numbers = _numbers(request, "status")
        rows = [render_status(status, services.TRANSITIONS[status], numbers.get(status, 0)) for status in LifeStatus]
        return Response(enveloped(rows))


class TemplatesView(LifecycleView):
    scopes = {"GET": ASSISTANTS_READ}

    @extend_schema(operation_id="listAssistantTemplates", responses=TemplateList)
    def get(self, request: Request) -> Response:
        """What assistants may be started from."""
        return Response(enveloped([render_template(template) for template in templates().values()]))


def filtered(assistants: QuerySet[Any], query: QueryDict) -> QuerySet[Any]:
    """Those that a list's parameters ask for.

    :raises ApiError: a parameter has a value that it cannot have.
    """
    for name, choices in CHOICES.items():
        if (value := chosen(query, name, choices)) is not None:
            assistants = assistants.filter(**{name: value})
    for name in ("model", "parent_id"):
        if (value := query.get(name)) is not None:
            assistants = assistants.filter(**{name: value})
    tags: Sequence[str] = query.getlist("tag") if hasattr(query, "getlist") else ()
    for tag in tags:
        assistants = assistants.filter(tags__has_item=tag.strip())
    return assistants


def _numbers(request: Request, field: str) -> dict[str, int]:
    """How many of the visible assistants there are of each value."""
    visible = Assistant.objects.visible_to(principal_of(request))
    return dict(visible.order_by().values(field).annotate(number=Count("pk")).values_list(field, "number"))


fixed: list[URLPattern] = [
    path("assistants", AssistantsView.as_view(), name="whole_assistants"),
    path("assistants/types", TypesView.as_view(), name="assistant_types"),
    path("assistants/statuses", StatusesView.as_view(), name="assistant_statuses"),
    path("assistants/templates", TemplatesView.as_view(), name="assistant_templates"),
]
patterns: list[URLPattern] = [
    path("assistants/<str:assistant_id>", AssistantView.as_view(), name="whole_assistant"),
    path("assistants/<str:assistant_id>/clone", CloneView.as_view(), name="assistant_clone"),
    path("assistants/<str:assistant_id>/lineage", LineageView.as_view(), name="assistant_lineage"),
]
