from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from assistants import services
from assistants.api.objects import AssistantList, AssistantObject, DeletedAssistant
from assistants.api.serializers import AssistantRequest
from assistants.models import Assistant
from assistants.rendering import render_assistant, render_deleted
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.api.base import ApiView
from sovereign.accounts.scopes import ASSISTANTS_READ, ASSISTANTS_WRITE
from sovereign.core.api.pagination import page_of, paginate
from sovereign.core.api.schema import PAGE_PARAMETERS


class AssistantsView(ApiView):
    """List the project's assistants, or make one."""

    scopes = {"GET": ASSISTANTS_READ, "POST": ASSISTANTS_WRITE}
    requires_beta = True
    serializer_class = AssistantRequest

    @extend_schema(operation_id="listAssistants", parameters=PAGE_PARAMETERS, responses=AssistantList)
    def get(self, request: Request) -> Response:
        """The project's assistants."""
        visible = Assistant.objects.visible_to(principal_of(request))
        page = page_of(request.query_params)
        return Response(paginate(visible, page, order_by=("created_at", "id"), render=render_assistant))

    @extend_schema(operation_id="createAssistant", request=AssistantRequest, responses=AssistantObject)
    def post(self, request: Request) -> Response:
        """Make an assistant.

        Only `model` is required.
        """
        assistant = services.create_assistant(principal=principal_of(request), **self.body())
        return Response(render_assistant(assistant))


class AssistantView(ApiView):
    """Read, modify or delete one assistant."""

    scopes = {"GET": ASSISTANTS_READ, "POST": ASSISTANTS_WRITE, "DELETE": ASSISTANTS_WRITE}
    requires_beta = True
    serializer_class = AssistantRequest
    partial_body = True

    @extend_schema(operation_id="getAssistant", responses=AssistantObject)
    def get(self, request: Request, assistant_id: str) -> Response:
        """Read an assistant."""
        assistant = services.get_assistant(principal=principal_of(request), assistant_id=assistant_id)
        return Response(render_assistant(assistant))

    @extend_schema(operation_id="modifyAssistant", request=AssistantRequest(partial=True), responses=AssistantObject)
    def post(self, request: Request, assistant_id: str) -> Response:
        """Change an assistant.

        Only the fields that are sent change, each as a whole; `null` resets one.
        Runs that exist keep what they began with.
        """
        principal = principal_of(request)
        assistant = services.update_assistant(principal=principal, assistant_id=assistant_id, **self.body())
        return Response(render_assistant(assistant))

    @extend_schema(operation_id="deleteAssistant", responses=DeletedAssistant)
    def delete(self, request: Request, assistant_id: str) -> Response:
        """Delete an assistant.

        Its threads and runs stay. One that is in service in staging or production takes the scope
        `assistants:promote`.
        """
        services.delete_assistant(principal=principal_of(request), assistant_id=assistant_id)
        return Response(render_deleted(assistant_id))
