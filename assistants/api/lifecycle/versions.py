"""Versions: ``/api/v1/assistants/{id}/versions``."""

from __future__ import annotations

from django.urls import URLPattern, path
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from assistants import services
from assistants.api.lifecycle.base import LifecycleView
from assistants.api.lifecycle.objects import WholeAssistantObject
from assistants.api.lifecycle.version_objects import (
    AssistantVersionDifferenceObject,
    AssistantVersionLineageObject,
    AssistantVersionObject,
    PublishAssistantRequest,
    WholeAssistantVersionObject,
    render_difference,
    render_lineage,
    render_version,
    render_whole_version,
)
from assistants.models import AssistantVersion
from assistants.rendering import render_whole
from assistants.services import versions
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.scopes import ASSISTANTS_READ, ASSISTANTS_WRITE
from sovereign.core.api.pagination import page_of, paginate
from sovereign.core.api.schema import PAGE_PARAMETERS, list_of

TAGS = ["Versions"]
VERSION = OpenApiParameter("version", str, OpenApiParameter.PATH, description="Its number, or its id.")
AGAINST = OpenApiParameter(
    "against", str, description="What it is compared with: a number, an id, or `draft`. Its parent, if nothing is said."
)


class VersionsView(LifecycleView):
    """Publish an assistant, or list what was published."""

    scopes = {"GET": ASSISTANTS_READ, "POST": ASSISTANTS_WRITE}
    actions = {"POST": "assistant.publish"}
    serializer_class = PublishAssistantRequest

    @extend_schema(
        operation_id="listAssistantVersions", parameters=PAGE_PARAMETERS, responses=list_of(AssistantVersionObject)
    )
    def get(self, request: Request, assistant_id: str) -> Response:
        """An assistant's versions, without their contents."""
        assistant = services.get_assistant(principal=principal_of(request), assistant_id=assistant_id)
        published = AssistantVersion.objects.of(assistant.id).defer("content")
        page = page_of(request.query_params)
        return Response(paginate(published, page, order_by=("number",), render=render_version))

    @extend_schema(
        operation_id="publishAssistant",
        request=PublishAssistantRequest,
        responses=WholeAssistantVersionObject,
        examples=[OpenApiExample("With notes", {"notes": "Answers in two sentences.", "expected_version": 3})],
    )
    def post(self, request: Request, assistant_id: str) -> Response:
        """Publish the draft.

        The version keeps all that shapes an answer, and never changes. `expected_version` is the newest number that
        you know of (0 for none): where somebody else published meanwhile, the answer is 409 `version_conflict`. What
        has not changed is not published again: 400 `nothing_to_publish`. Instructions that name variables, which only
        prompts have, are refused (400 `unknown_variable`) unless `as_written` says that they are meant so.
        """
        version = versions.publish(principal=principal_of(request), assistant_id=assistant_id, **self.body())
        return Response(render_whole_version(version))


class VersionView(LifecycleView):
    """One version."""

    scopes = {"GET": ASSISTANTS_READ}

    @extend_schema(
        operation_id="getAssistantVersion", tags=TAGS, parameters=[VERSION], responses=WholeAssistantVersionObject
    )
    def get(self, request: Request, assistant_id: str, version: str) -> Response:
        """A version by its number or its id, with its content."""
        found = versions.get_version(principal=principal_of(request), assistant_id=assistant_id, version=version)
        return Response(render_whole_version(found))


class DifferenceView(LifecycleView):
    """What changed."""

    scopes = {"GET": ASSISTANTS_READ}

    @extend_schema(
        operation_id="diffAssistantVersion",
        tags=TAGS,
        parameters=[VERSION, AGAINST],
        responses=AssistantVersionDifferenceObject,
    )
    def get(self, request: Request, assistant_id: str, version: str) -> Response:
        """What a version has in place of another one.

        `version` may be `draft`, too: without `against` the answer is what publishing would bring.
        """
        found = versions.compare(
            principal=principal_of(request),
            assistant_id=assistant_id,
            version=version,
            against=request.query_params.get("against"),
        )
        return Response(render_difference(assistant_id, found))


class LineageView(LifecycleView):
    """Parents and children."""

    scopes = {"GET": ASSISTANTS_READ}

    @extend_schema(
        operation_id="getAssistantVersionLineage",
        tags=TAGS,
        parameters=[VERSION],
        responses=AssistantVersionLineageObject,
    )
    def get(self, request: Request, assistant_id: str, version: str) -> Response:
        """The versions that a version came from, and those that came of it."""
        found = versions.lineage(principal=principal_of(request), assistant_id=assistant_id, version=version)
        return Response(render_lineage(found))


class RestoreView(LifecycleView):
    """Bring a version back."""

    scopes = {"POST": ASSISTANTS_WRITE}
    actions = {"POST": "assistant.restore"}

    @extend_schema(
        operation_id="restoreAssistantVersion",
        tags=TAGS,
        parameters=[VERSION],
        request=None,
        responses=WholeAssistantObject,
    )
    def post(self, request: Request, assistant_id: str, version: str) -> Response:
        """Make the draft what a version was.

        Changes of the draft that were not published are lost. Where the version names what is there no more, nothing
        changes: 400 `version_not_restorable`, with all of it in `error.missing`.
        """
        restored = versions.restore(principal=principal_of(request), assistant_id=assistant_id, version=version)
        return Response(render_whole(restored))


_VERSIONS = "assistants/<str:assistant_id>/versions"
_VERSION = f"{_VERSIONS}/<str:version>"

fixed: list[URLPattern] = []
patterns: list[URLPattern] = [
    path(_VERSIONS, VersionsView.as_view(), name="assistant-versions"),
    path(_VERSION, VersionView.as_view(), name="assistant-version"),
    path(f"{_VERSION}/diff", DifferenceView.as_view(), name="assistant-version-diff"),
    path(f"{_VERSION}/lineage", LineageView.as_view(), name="assistant-version-lineage"),
    path(f"{_VERSION}/restore", RestoreView.as_view(), name="assistant-version-restore"),
]
