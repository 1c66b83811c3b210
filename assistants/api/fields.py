"""The shapes of assistants that runs and threads take too: tools, tool resources, response formats.

What they share with chats is in ``inference.api.fields``.
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from assistants.catalog.models import APPROVAL_FUNCTION, RESERVED
from assistants.knowledge.api.fields import ChunkingField
from assistants.knowledge.services.filling import MAXIMUM_FILES
from assistants.knowledge.services.resources import MAXIMUM_CODE_FILES
from inference.api.fields import (
    FunctionToolSerializer,
    JsonObjectFormat,
    JsonSchemaFormat,
    ResponseFormatSerializer,
    TextFormat,
)
from sovereign.core.api.leniency import pruned
from sovereign.core.api.unions import Union
from sovereign.core.api.validation import (
    Metadata,
    StrictChoice,
    StrictField,
    StrictList,
    StrictNumber,
    StrictSerializer,
    StrictString,
    refuse,
    refuse_at,
    refuse_type,
    supported,
)

TOOL_TYPES = ["code_interpreter", "file_search", "function"]
RANKERS = ["auto", "default_2024_08_21"]
DATED_RANKER = "default_2024_08_21"
LARGEST_WEIGHT = 1_000


class HybridSearch(StrictSerializer):
    """How much vectors and words count, one against the other."""

    embedding_weight = StrictNumber(minimum=0, maximum=LARGEST_WEIGHT)
    text_weight = StrictNumber(minimum=0, maximum=LARGEST_WEIGHT)

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        if not any(attributes.values()):
            raise refuse("Invalid '{param}': at least one of the weights has to be above zero.", "invalid_value")
        return attributes


class RankingOptionsSerializer(StrictSerializer):
    ranker = StrictChoice(choices=RANKERS, required=False)
    score_threshold = StrictNumber(minimum=0, maximum=1, required=False)
    hybrid_search = HybridSearch(required=False, allow_null=True)


class FileSearchSerializer(StrictSerializer):
    max_num_results = StrictNumber(minimum=1, maximum=50, integer=True, required=False)
    ranking_options = RankingOptionsSerializer(required=False, allow_null=True)


class FileSearchToolSerializer(StrictSerializer):
    type = StrictChoice(choices=["file_search"], required=False)
    file_search = FileSearchSerializer(required=False, allow_null=True)


class CodeInterpreterToolSerializer(StrictSerializer):
    type = StrictChoice(choices=["code_interpreter"])


TOOL = Union("Tool", (CodeInterpreterToolSerializer, FileSearchToolSerializer, FunctionToolSerializer))


class ToolField(StrictField):
    """One tool, checked by its type and given back in the contract's normal form."""

    expected = "an object"

    def schema(self) -> Union:
        return TOOL

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise refuse_type("an object", data)
        kind = data.get("type") or ("file_search" if "file_search" in data else None)
        match kind:
            case "function":
                return self._function(_checked(FunctionToolSerializer, data)["function"])
            case "file_search":
                return self._file_search(_checked(FileSearchToolSerializer, data).get("file_search") or {})
            case "code_interpreter":
                return dict(_checked(CodeInterpreterToolSerializer, data))
            case None:
                raise refuse_at("type", "Missing required parameter: '{param}'.", "missing_required_parameter")
        shown = str(kind)[:64].replace("{", "").replace("}", "")
        raise refuse_at(
            "type", f"Invalid value: '{shown}'. Supported values are: {supported(TOOL_TYPES)}.", "invalid_value"
        )

    @staticmethod
    def _function(function: dict[str, Any]) -> dict[str, Any]:
        if function["name"] == APPROVAL_FUNCTION:
            refused = refuse_at("name", f"Invalid '{{param}}': {RESERVED}", "invalid_value")
            raise serializers.ValidationError({"function": refused.detail})
        return {
            "type": "function",
            "function": {
                "name": function["name"],
                "description": function.get("description"),
                "parameters": function.get("parameters") or {"type": "object", "properties": {}},
                "strict": bool(function.get("strict")),
            },
        }

    @staticmethod
    def _file_search(options: dict[str, Any]) -> dict[str, Any]:
        ranking = options.get("ranking_options") or {}
        normal: dict[str, Any] = {}
        if "max_num_results" in options:
            normal["max_num_results"] = options["max_num_results"]
        normal["ranking_options"] = {
            "ranker": DATED_RANKER,
            "score_threshold": float(ranking.get("score_threshold", 0.0)),
            "hybrid_search": dict(weights) if (weights := ranking.get("hybrid_search")) else None,
        }
        return {"type": "file_search", "file_search": normal}


def _checked(serializer: type[StrictSerializer], data: Any) -> Any:
    return serializer.checked(data)


class CodeInterpreterResources(StrictSerializer):
    file_ids = StrictList(child=StrictString(max_length=64), maximum=MAXIMUM_CODE_FILES, required=False)


class VectorStoreHelper(StrictSerializer):
    file_ids = StrictList(child=StrictString(max_length=64), maximum=MAXIMUM_FILES, required=False, allow_null=True)
    chunking_strategy = ChunkingField(required=False, allow_null=True)
    metadata = Metadata()


class FileSearchResources(StrictSerializer):
    vector_store_ids = StrictList(child=StrictString(max_length=64), maximum=1, required=False)
    vector_stores = StrictList(child=VectorStoreHelper(), maximum=1, required=False)


class ToolResourcesSerializer(StrictSerializer):
    """The shape of ``tool_resources``; whether what they name exists is settled when they are stored."""

    code_interpreter = CodeInterpreterResources(required=False, allow_null=True)
    file_search = FileSearchResources(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        resources = super().to_internal_value(data)
        search = resources.get("file_search") or {}
        if search.get("vector_store_ids") and search.get("vector_stores"):
            raise refuse(
                "'vector_store_ids' and 'vector_stores' are mutually exclusive in '{param}'.", "mutually_exclusive"
            )
        return {name: dict(value) for name, value in resources.items() if value}


RESPONSE_FORMAT = Union(
    "ResponseFormat", ({"type": "string", "enum": ["auto"]}, TextFormat, JsonObjectFormat, JsonSchemaFormat)
)


class ResponseFormatField(StrictField):
    """``"auto"``, or an object that is echoed as it was given."""

    def schema(self) -> Union:
        return RESPONSE_FORMAT

    def to_internal_value(self, data: Any) -> Any:
        if data == "auto":
            return data
        if isinstance(data, str):
            return StrictChoice(choices=["auto"]).to_internal_value(data)
        _checked(ResponseFormatSerializer, data)
        return pruned(data)
