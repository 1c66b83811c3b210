"""The prompts of an assistant: ``/api/v1/assistants``."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, path
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from assistants import suggestions
from assistants.api.lifecycle.base import LifecycleView
from assistants.api.lifecycle.prompt_objects import (
    AssistantOfPromptList,
    AssistantPromptList,
    AssistantPromptObject,
    DeletedAssistantPrompt,
    PromptSuggestionList,
    render_assistants_with,
    render_link,
    render_links,
    render_suggestion,
)
from assistants.models import PromptLink
from assistants.prompting.weights import WHOLE
from assistants.prompts.models import LABEL_LENGTH
from assistants.services import links
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.scopes import ASSISTANTS_READ, ASSISTANTS_WRITE
from sovereign.core.api.pagination import enveloped, page_of, paginate_together
from sovereign.core.api.schema import PAGE_PARAMETERS
from sovereign.core.api.validation import (
    StrictBoolean,
    StrictChoice,
    StrictField,
    StrictNumber,
    StrictSerializer,
    StrictString,
    refuse_type,
)

ID_LENGTH = 64
TAGS = ["Prompts"]
ORDER = ("created_at", "id")
LINK = OpenApiParameter(
    "prompt_id", str, OpenApiParameter.PATH, description="The prompt's id, or that of how the assistant has it."
)
PROMPT = OpenApiParameter("prompt_id", str, OpenApiParameter.PATH, description="The prompt's id.")


class ConditionsField(StrictField):
    """``assistants.prompting.conditions`` checks what is in it; ``null`` means none."""

    expected = "an object"

    def schema(self) -> dict[str, Any]:
        texts = {"type": "array", "items": {"type": "string"}}
        clock = {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"}
        days = {"type": "array", "items": {"type": "string", "enum": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}}
        time = {"from": clock, "to": clock, "days": days, "timezone": {"type": "string"}}
        return {
            "type": "object",
            "properties": {
                "variables": {
                    "type": "object",
                    "description": "Metadata and the values, or lists, that they may have.",
                },
                "language": texts,
                "time": {"type": "object", "properties": time, "additionalProperties": False},
                "user_group": texts,
            },
            "additionalProperties": False,
        }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise refuse_type(self.expected, data)
        return data


class PlacingRequest(StrictSerializer):
    """How an assistant has a prompt.

    `primary` stands in place of the instructions, `fallback` where no primary one fits, `secondary` after them. Of
    those that fit the highest `priority` decides, among equals `weight` by thread. Without `version` and `label` the
    newest version is meant. Without `conditions` it always fits.
    """

    version = StrictNumber(integer=True, minimum=1, maximum=2**31 - 1, required=False, allow_null=True)
    label = StrictString(max_length=LABEL_LENGTH, required=False, allow_null=True)  # type: ignore[assignment]  # DRF's own name, too
    kind = StrictChoice(choices=list(PromptLink.Kind.values), required=False)
    priority = StrictNumber(
        integer=True, minimum=-links.HIGHEST_PRIORITY, maximum=links.HIGHEST_PRIORITY, required=False
    )
    weight = StrictNumber(integer=True, minimum=0, maximum=WHOLE, required=False, allow_null=True)
    conditions = ConditionsField(required=False, allow_null=True)
    enabled = StrictBoolean(required=False)


class LinkRequest(PlacingRequest):
    """A prompt for an assistant."""

    prompt_id = StrictString(min_length=1, max_length=ID_LENGTH)


EXAMPLE = OpenApiExample(
    "For German customers on workdays",
    {
        "prompt_id": "prompt_0h2x",
        "label": "production",
        "kind": "primary",
        "priority": 10,
        "weight": 50,
        "conditions": {
            "language": ["de"],
            "variables": {"plan": ["pro", "team"]},
            "time": {"from": "08:00", "to": "18:00", "days": ["mon", "tue"], "timezone": "Europe/Berlin"},
        },
    },
    request_only=True,
)


class PromptsView(LifecycleView):
    """List the prompts of an assistant, or give it one."""

    scopes = {"GET": ASSISTANTS_READ, "POST": ASSISTANTS_WRITE}
    actions = {"POST": "assistant.link_prompt"}
    serializer_class = LinkRequest

    @extend_schema(
        operation_id="listAssistantPrompts", tags=TAGS, parameters=PAGE_PARAMETERS, responses=AssistantPromptList
    )
    def get(self, request: Request, assistant_id: str) -> Response:
        """The prompts that an assistant has."""
        found = links.links_of(principal=principal_of(request), assistant_id=assistant_id)
        page = page_of(request.query_params)
        return Response(paginate_together(found, page, order_by=ORDER, render=render_links))

    @extend_schema(
        operation_id="createAssistantPrompt",
        tags=TAGS,
        request=LinkRequest,
        examples=[EXAMPLE],
        responses=AssistantPromptObject,
    )
    def post(self, request: Request, assistant_id: str) -> Response:
        """Give an assistant a prompt of the library.

        It is part of the draft: what is deployed keeps the prompts that it was published with.
        """
        principal = principal_of(request)
        link = links.link_prompt(principal=principal, assistant_id=assistant_id, **_placing(self.body()))
        return Response(render_link(link))


class PromptView(LifecycleView):
    """Read, change or take away one of an assistant's prompts."""

    scopes = {"GET": ASSISTANTS_READ, "PUT": ASSISTANTS_WRITE, "DELETE": ASSISTANTS_WRITE}
    actions = {"PUT": "assistant.change_prompt_link", "DELETE": "assistant.unlink_prompt"}
    serializer_class = PlacingRequest
    partial_body = True

    @extend_schema(operation_id="getAssistantPrompt", tags=TAGS, parameters=[LINK], responses=AssistantPromptObject)
    def get(self, request: Request, assistant_id: str, prompt_id: str) -> Response:
        """Read how an assistant has a prompt."""
        principal = principal_of(request)
        return Response(render_link(links.link_named(principal=principal, assistant_id=assistant_id, name=prompt_id)))

    @extend_schema(
        operation_id="modifyAssistantPrompt",
        tags=TAGS,
        parameters=[LINK],
        request=PlacingRequest(partial=True),
        examples=[OpenApiExample("A smaller share", {"weight": 20}, request_only=True)],
        responses=AssistantPromptObject,
    )
    def put(self, request: Request, assistant_id: str, prompt_id: str) -> Response:
        """Change how an assistant has a prompt.

        Only the fields that are sent change. Where it has the prompt several times, the id of the object is to be
        given in place of the prompt's.
        """
        principal, placing = principal_of(request), _placing(self.body())
        link = links.update_link(principal=principal, assistant_id=assistant_id, name=prompt_id, **placing)
        return Response(render_link(link))

    @extend_schema(operation_id="deleteAssistantPrompt", tags=TAGS, parameters=[LINK], responses=DeletedAssistantPrompt)
    def delete(self, request: Request, assistant_id: str, prompt_id: str) -> Response:
        """Take a prompt away from an assistant.

        The library keeps it, and so do versions that were published with it.
        """
        principal = principal_of(request)
        link_id = links.unlink_prompt(principal=principal, assistant_id=assistant_id, name=prompt_id)
        return Response({"id": link_id, "object": "assistant.prompt.deleted", "deleted": True})


class SuggestionsView(LifecycleView):
    """Prompts of the library that an assistant may want."""

    scopes = {"GET": ASSISTANTS_READ}

    @extend_schema(
        operation_id="suggestAssistantPrompts",
        tags=TAGS,
        parameters=[
            OpenApiParameter(
                "limit",
                {"type": "integer", "minimum": 0, "maximum": suggestions.MOST, "default": suggestions.USUAL},
                description="How many prompts are suggested at most.",
            )
        ],
        responses=PromptSuggestionList,
    )
    def get(self, request: Request, assistant_id: str) -> Response:
        """Prompts of the library that fit an assistant, the best first, with the reasons.

        By the type they are for, by what they say, and by the assistants that have them.
        """
        limit = page_of(request.query_params, default=suggestions.USUAL, maximum=suggestions.MOST).limit
        found = suggestions.suggest(principal=principal_of(request), assistant_id=assistant_id)
        data = [render_suggestion(suggestion) for suggestion in found[:limit]]
        return Response(enveloped(data, has_more=len(found) > limit))


class AssistantsOfPromptView(LifecycleView):
    """The assistants that have a prompt."""

    scopes = {"GET": ASSISTANTS_READ}
    subject = "prompt_id"

    @extend_schema(
        operation_id="listAssistantsOfPrompt",
        tags=TAGS,
        parameters=[PROMPT, *PAGE_PARAMETERS],
        responses=AssistantOfPromptList,
    )
    def get(self, request: Request, prompt_id: str) -> Response:
        """The assistants that have a prompt, and how."""
        found = links.assistants_with(principal=principal_of(request), prompt_id=prompt_id)
        page = page_of(request.query_params)
        return Response(paginate_together(found, page, order_by=ORDER, render=render_assistants_with))


def _placing(body: dict[str, Any]) -> dict[str, Any]:
    """The body as the service wants it."""
    if "enabled" in body:
        body["is_enabled"] = body.pop("enabled")
    if body.get("conditions", True) is None:
        body["conditions"] = {}
    return body


fixed: list[URLPattern] = [
    path("assistants/prompts/<str:prompt_id>/assistants", AssistantsOfPromptView.as_view(), name="prompt-assistants")
]
patterns: list[URLPattern] = [
    path("assistants/<str:assistant_id>/prompts", PromptsView.as_view(), name="assistant-prompts"),
    path("assistants/<str:assistant_id>/prompts/suggestions", SuggestionsView.as_view(), name="prompt-suggestions"),
    path("assistants/<str:assistant_id>/prompts/<str:prompt_id>", PromptView.as_view(), name="assistant-prompt"),
]
