"""Pieces of the OpenAPI documentation that every list shares."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

PAGE_PARAMETERS = [
    OpenApiParameter("limit", int, description="How many objects, 1 to 100; 20 by default."),
    OpenApiParameter("order", str, enum=["asc", "desc"], description="By creation; `desc` by default."),
    OpenApiParameter("after", str, description="Only objects after this id, in the order asked for."),
    OpenApiParameter("before", str, description="Only objects before this id, in the order asked for."),
]


class Deleted(serializers.Serializer):
    """The answer to every ``DELETE``."""

    id = serializers.CharField()
    object = serializers.CharField()
    deleted = serializers.BooleanField()


class ListEnvelope(serializers.Serializer):
    """What every list has around its objects."""

    object = serializers.ChoiceField(choices=["list"])
    first_id = serializers.CharField(allow_null=True)
    last_id = serializers.CharField(allow_null=True)
    has_more = serializers.BooleanField()


def list_of(item: type[serializers.Serializer]) -> type[serializers.Serializer]:
    """The documentation of a list of ``item``."""
    name = item.__name__.removesuffix("Object") + "List"
    return type(name, (ListEnvelope,), {"data": item(many=True)})


class StrictFieldSchema(OpenApiSerializerFieldExtension):
    """The strict fields in the OpenAPI document, with their limits."""

    target_class = "sovereign.core.api.validation.StrictField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        schema: dict[str, Any] = self.target.schema()
        return schema
