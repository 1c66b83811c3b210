"""What all operations on prompts say of themselves in the OpenAPI document, and their examples."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema

from assistants.kinds import AssistantType

PROMPT_ID = OpenApiParameter("prompt_id", str, OpenApiParameter.PATH, description="The prompt's id.")
VERSION = OpenApiParameter(
    "version", str, OpenApiParameter.PATH, description="A number, an id, the name of a label, or `newest`."
)
NAME = OpenApiParameter("name", str, OpenApiParameter.PATH, description="The label's name.")
FILTERS = [
    OpenApiParameter("q", str, description="Only those with all of these words in name, description or tags."),
    OpenApiParameter("type", {"type": "string", "enum": AssistantType.values}, description="Only those of a type."),
    OpenApiParameter("tag", str, description="Only those that have a tag."),
    OpenApiParameter("language", str, description="Only those in a language, such as `de`, and its kinds."),
]
ENDS = [
    OpenApiParameter("from", str, description="The version before; without it the one that the other was made of."),
    OpenApiParameter("to", str, description="The version after; without it the newest."),
]

VARIABLES = [
    {"name": "company", "required": True, "description": "Whose customers it speaks to."},
    {"name": "tone", "type": "choice", "choices": ["friendly", "formal"], "default": "friendly"},
    {"name": "products", "type": "list"},
]
TEMPLATE = (
    "You answer customers of {{ company }} in a {{ tone }} tone.\n"
    "{{# products }}\n- {{ . }}\n{{/ products }}\n"
    "{{^ products }}\nAsk which product they mean.\n{{/ products }}\n"
)
CREATE = OpenApiExample(
    "A support desk",
    {"name": "Support desk", "type": "support", "language": "en", "template": TEMPLATE, "variables": VARIABLES},
    request_only=True,
)
CHANGE = OpenApiExample("Tags", {"tags": ["customers", "first line"]}, request_only=True)
ADD = OpenApiExample(
    "A change of the newest",
    {
        "template": TEMPLATE + "Never promise refunds.\n",
        "notes": "Refunds are for people to decide.",
        "expected_version": 3,
    },
    request_only=True,
)
MOVE = OpenApiExample("To version 3", {"version": 3}, request_only=True)
PREVIEW = OpenApiExample(
    "Sample values", {"values": {"company": "ACME", "products": ["Anvils", "Rockets"]}}, request_only=True
)


def documented(operation_id: str, *parameters: OpenApiParameter, **options: Any) -> Any:
    """``extend_schema`` in the group of prompts."""
    return extend_schema(operation_id=operation_id, tags=["Prompts"], parameters=[*parameters], **options)
