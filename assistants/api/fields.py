"""The shapes of assistants that runs and threads take too: tools, tool resources, response formats.

What they share with chats is in ``inference.api.fields``.
"""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ValidationError

from inference.api.fields import (
    AnyObject,
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
from sovereign.core.errors import ApiError

TOOL_TYPES = ["code_interpreter", "file_search", "function"]
RANKERS = ["auto", "default_2024_08_21"]
DATED_RANKER = "default_2024_08_21"
MAXIMUM_CODE_FILES = 20
MAXIMUM_STORE_FILES = 10_000


class RankingOptionsSerializer(StrictSerializer):
    ranker = StrictChoice(choices=RANKERS, required=False)
    score_threshold = StrictNumber(minimum=0, maximum=1, required=False)
    hybrid_search = AnyObject(required=False, allow_null=True)


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
            "hybrid_search": ranking.get("hybrid_search"),
        }
        return {"type": "file_search", "file_search": normal}


def _checked(serializer: type[StrictSerializer], data: Any) -> Any:
    return serializer.checked(data)


class CodeInterpreterResources(StrictSerializer):
    file_ids = StrictList(child=StrictString(max_length=64), maximum=MAXIMUM_CODE_FILES, required=False)


class AutoChunking(StrictSerializer):
    """Chunks as this server thinks best."""

    type = StrictChoice(choices=["auto"])


class ChunkSizes(StrictSerializer):
    """In tokens; an overlap is at most half of a chunk."""

    max_chunk_size_tokens = StrictNumber(minimum=100, maximum=4_096, integer=True)
    chunk_overlap_tokens = StrictNumber(minimum=0, integer=True)

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        largest = attributes["max_chunk_size_tokens"] // 2
        try:
            StrictNumber(maximum=largest, integer=True).to_internal_value(attributes["chunk_overlap_tokens"])
        except ValidationError as error:
            raise ValidationError({"chunk_overlap_tokens": error.detail}) from None
        return attributes


class StaticChunking(StrictSerializer):
    """Chunks of one size."""

    type = StrictChoice(choices=["static"])
    static = ChunkSizes()


CHUNKING = Union("ChunkingStrategy", (AutoChunking, StaticChunking))
CHUNKINGS: dict[str, type[StrictSerializer]] = {"auto": AutoChunking, "static": StaticChunking}


class ChunkingField(StrictField):
    """How a vector store cuts its files."""

    expected = "an object"

    def schema(self) -> Union:
        return CHUNKING

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise refuse_type("an object", data)
        if "type" not in data:
            raise refuse_at("type", "Missing required parameter: '{param}'.", "missing_required_parameter")
        try:
            kind = StrictChoice(choices=list(CHUNKINGS)).run_validation(data["type"])
        except ValidationError as error:
            raise ValidationError({"type": error.detail}) from None
        return dict(_checked(CHUNKINGS[kind], data))


class VectorStoreHelper(StrictSerializer):
    file_ids = StrictList(child=StrictString(max_length=64), maximum=MAXIMUM_STORE_FILES, required=False)
    chunking_strategy = ChunkingField(required=False)
    metadata = Metadata()


class FileSearchResources(StrictSerializer):
    vector_store_ids = StrictList(child=StrictString(max_length=64), maximum=1, required=False)
    vector_stores = StrictList(child=VectorStoreHelper(), maximum=1, required=False)


class ToolResourcesSerializer(StrictSerializer):
    """``tool_resources``. Files and vector stores come with the knowledge room: until it holds one, none exists."""

    code_interpreter = CodeInterpreterResources(required=False, allow_null=True)
    file_search = FileSearchResources(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        resources = super().to_internal_value(data)
        files = (resources.get("code_interpreter") or {}).get("file_ids") or []
        search = resources.get("file_search") or {}
        if search.get("vector_store_ids") and search.get("vector_stores"):
            raise refuse(
                "'vector_store_ids' and 'vector_stores' are mutually exclusive in '{param}'.", "mutually_exclusive"
            )
        for store in search.get("vector_stores") or []:
            files = [*files, *(store.get("file_ids") or [])]
        for file_id in files:
            raise unknown_file(file_id)
        for store_id in search.get("vector_store_ids") or []:
            raise ApiError(f"No vector store found with id '{store_id}'.", status=404)
        if search.get("vector_stores"):
            raise refuse("Vector stores are not available on this server.", "unsupported_parameter")
        if "vector_stores" in search:  # the helper is replaced by the ids of what it makes: here, of nothing
            resources["file_search"] = {"vector_store_ids": search.get("vector_store_ids", [])}
        return {name: dict(value) for name, value in resources.items() if value}


def unknown_file(file_id: str) -> ApiError:
    return ApiError(f"No such File object: {file_id}", status=404, param="id")


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
