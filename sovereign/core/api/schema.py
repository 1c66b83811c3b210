"""How ``/v1`` describes itself: the OpenAPI document's common parts, and what drf-spectacular cannot see by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent, get_doc
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from sovereign.core.api.pagination import DEFAULT_LIMIT, MAXIMUM_LIMIT, MINIMUM_LIMIT
from sovereign.core.api.unions import Union

JSON = "application/json"
FORM = "multipart/form-data"
EVENT_STREAM = "text/event-stream"

PAGE_PARAMETERS = [
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": MINIMUM_LIMIT, "maximum": MAXIMUM_LIMIT, "default": DEFAULT_LIMIT},
        description="How many objects a page has at most.",
    ),
    OpenApiParameter(
        "order",
        {"type": "string", "enum": ["asc", "desc"], "default": "desc"},
        description="By creation: oldest first (`asc`) or newest first (`desc`).",
    ),
    OpenApiParameter("after", str, description="Only what follows the object with this id, in the order asked for."),
    OpenApiParameter("before", str, description="Only what precedes the object with this id, in the order asked for."),
]

_TAG_OF = {"assistants": "Assistants", "threads": "Threads", "messages": "Messages", "runs": "Runs"}
_TAG_OF_FIRST = {
    "chat": "Chat",
    "models": "Models",
    "prompts": "Prompts",
    "vector_stores": "Vector stores",
    "files": "Files",
    "uploads": "Files",
} | dict.fromkeys(("completions", "embeddings", "moderations"), "Texts")
_OF_DEPLOYMENTS = "deploy promote rollback validate scale deployments deployment-status status environments"
_TAG_OF |= dict.fromkeys(_OF_DEPLOYMENTS.split(), "Deployments")
_TAG_OF |= dict.fromkeys(("clone", "lineage", "statuses", "templates", "types"), "Assistants")
_TAG_OF |= {"steps": "Run steps", "cancel": "Runs", "submit_tool_outputs": "Runs", "ws_tickets": "WebSockets"}
_TAG_OF |= dict.fromkeys(("health", "metrics", "usage", "compare", "summary"), "Analytics")

GROUPS = ("evaluations", "conversations", "analytics", "alerts")  # of every operation with this word in its address

IDENTIFIERS = {
    "evaluation_id": "The evaluation's id.",
    "evaluation_run_id": "The id of the evaluation's run.",
    "case_id": "The case's id.",
    "conversation_id": "The conversation's id.",
    "alert_rule_id": "The rule's id.",
    "alert_id": "The alert's id.",
    "assistant_id": "The assistant's id.",
    "thread_id": "The thread's id.",
    "message_id": "The message's id.",
    "run_id": "The run's id.",
    "step_id": "The step's id.",
    "completion_id": "The chat completion's id.",
    "vector_store_id": "The vector store's id.",
    "file_id": "The file's id.",
    "batch_id": "The batch's id.",
    "upload_id": "The upload's id.",
    "deployment_id": "The deployment's id.",
    "environment": "The environment's name.",
    "model": "The model's name; it may have slashes.",
}
BETA = OpenApiParameter(
    "OpenAI-Beta",
    {"type": "string", "default": "assistants=v2"},
    location=OpenApiParameter.HEADER,
    description="Requests with an API key have to ask for `assistants=v2`, alone or in a list with commas.",
)
REPLAYED = {
    "idempotent-replayed": {
        "description": "`true` where the answer is that of an earlier request.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
IGNORED = {
    "x-sovereign-ignored-parameters": {
        "description": "Unknown fields of the body, on a server that is set to ignore them.",
        "schema": {"type": "string"},
    },
}
REQUEST_ID = {
    "x-request-id": {
        "description": "The request's id; the server's log has it too.",
        "schema": {"type": "string"},
    }
}
SHOULD_RETRY = {
    "x-should-retry": {
        "description": "Of a `POST`: `false` where it may have been carried out: sent again, it might be done twice.",
        "schema": {"type": "string", "enum": ["false"]},
    }
}
RETRY_AFTER = {"Retry-After": {"description": "Seconds until it is worth trying again.", "schema": {"type": "integer"}}}
#: of requests that change something, where a limit applies to them
RATE_LIMITS: dict[str, Any] = {
    f"x-ratelimit-{word}-{what}": {"description": description.format(what), "schema": schema}
    for what in ("requests", "tokens")
    for word, description, schema in (
        ("limit", "How many {} the tightest limit allows, of the key's and its project's.", {"type": "integer"}),
        ("remaining", "How many {} are left of it.", {"type": "integer"}),
        ("reset", "When all {} of it are free again: `20s`, `1m0s`.", {"type": "string"}),
    )
}
COME_BACK = RETRY_AFTER | {
    "retry-after-ms": {"description": "The same in milliseconds.", "schema": {"type": "integer"}},
    "x-should-retry": {
        "description": "`false` where it is more than the limit by itself: waiting does not help.",
        "schema": {"type": "string", "enum": ["false"]},
    },
}
EXCEEDED = (
    "The key or its project has used what its limits allow for now. `type` says of what (`requests` or `tokens`), the "
    "message how much and of whom."
)
UNAVAILABLE = (
    "Not at the moment: the database does not answer, the server has too much to do, or the same `POST` is still being "
    "worked on. Try again."
)

#: Refusals by status: the component's name, what it means, and headers beside the request's id.
REFUSALS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "400": ("BadRequest", "The request breaks a rule. `param` names the field, `code` the rule.", RATE_LIMITS),
    "401": ("Unauthorized", "No key or ticket came with the request, or one that is not known.", {}),
    "403": ("Forbidden", "The key or the person lacks the scope that this operation needs.", RATE_LIMITS),
    "404": ("NotFound", "The object does not exist, or belongs to another project: both look the same.", RATE_LIMITS),
    "409": ("Conflict", "Somebody else was faster, or what is named means several. `code` says which.", RATE_LIMITS),
    "413": ("TooLarge", "The body is larger than this server accepts.", RATE_LIMITS),
    "415": ("UnsupportedMediaType", "The body is of a type that this operation does not take.", RATE_LIMITS),
    "429": ("TooManyRequests", EXCEEDED, COME_BACK | RATE_LIMITS),
    "500": ("ServerError", "Something went wrong here. The message has the request's id.", SHOULD_RETRY | RATE_LIMITS),
    "503": ("Unavailable", UNAVAILABLE, RETRY_AFTER | SHOULD_RETRY | RATE_LIMITS),
    "507": ("Full", "There is no room for the file. Nothing of it is kept.", SHOULD_RETRY | RATE_LIMITS),
}
WITH_BODY = {"413", "415"}  # refusals of bodies
OF_CHANGES = {"429"}  # refusals of requests that do more than read
OF_STORING = {"507"}  # refusals of contents
OF_OWN = {"409"}  # refusals that the contract does not know
OWN = "/api/v1/"  # where they are


class Error(serializers.Serializer):
    """What went wrong."""

    message = serializers.CharField()
    type = serializers.CharField()
    param = serializers.CharField(allow_null=True)
    code = serializers.CharField(allow_null=True)


class ErrorResponse(serializers.Serializer):
    """The body of every refusal."""

    error = Error()


class UnixTime(serializers.IntegerField):
    """Seconds since 1970."""


def deleted(name: str) -> type[serializers.Serializer]:
    """The documentation of a deletion's answer; ``name`` is the kind of object, like ``assistant``."""
    title = "Deleted" + name.rpartition(".")[2].title()
    fields = {
        "id": serializers.CharField(),
        "object": serializers.ChoiceField(choices=[f"{name}.deleted"]),
        "deleted": serializers.BooleanField(),
    }
    return type(title, (serializers.Serializer,), {**fields, "__doc__": "The object is gone."})


class ListEnvelope(serializers.Serializer):
    """What every list has around its objects."""

    object = serializers.ChoiceField(choices=["list"])
    first_id = serializers.CharField(allow_null=True)
    last_id = serializers.CharField(allow_null=True)
    has_more = serializers.BooleanField()


def list_of(item: type[serializers.Serializer]) -> type[serializers.Serializer]:
    """The documentation of a list of ``item``."""
    name = item.__name__.removesuffix("Object") + "List"
    return type(name, (ListEnvelope,), {"data": item(many=True), "__doc__": "A page of a list."})


class Documentation(AutoSchema):
    """Every operation with its refusals, headers and group. A handler's docstring is its summary and description."""

    def get_tags(self) -> list[str]:
        words = [word for word in self.path.split("/") if word and not word.startswith("{")]
        if words[0] in _TAG_OF_FIRST:
            return [_TAG_OF_FIRST[words[0]]]
        if group := next((group for group in GROUPS if group in words), None):
            return [group.title()]
        return [_TAG_OF.get(words[-1], words[-1].title())]

    def _words(self) -> tuple[str, str]:
        summary, _, description = get_doc(getattr(self.view, self.method.lower())).partition("\n")
        return summary.strip(), description.strip()

    def get_summary(self) -> str:
        return self._words()[0].rstrip(".")

    def get_description(self) -> str:
        return self._words()[1]

    def get_override_parameters(self) -> list[Any]:
        named = [word[1:-1] for word in self.path.split("/") if word.startswith("{")]
        paths = [
            OpenApiParameter(name, str, OpenApiParameter.PATH, description=IDENTIFIERS.get(name, "")) for name in named
        ]
        headers = [BETA] if getattr(self.view, "requires_beta", False) else []
        headers += [_idempotency_key(self.view.answers_kept)] if self._is_recorded() else []
        return [*paths, *super().get_override_parameters(), *headers]

    def map_parsers(self) -> list[str]:
        takes_form = self.method == "POST" and hasattr(self.view, "body_limit")
        return [FORM] if takes_form else [JSON]  # any type is taken for JSON, but this is the one to send

    def map_renderers(self, attribute: str) -> list[str]:
        return [JSON] if attribute == "media_type" else list(super().map_renderers(attribute))

    def _get_serializer_name(self, serializer: Any, direction: Any, bypass_extensions: bool = False) -> str:
        name: str = super()._get_serializer_name(serializer, direction, bypass_extensions)
        return f"Modify{name.removeprefix('Patched')}" if name.startswith("Patched") else name

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        declared = self.get_response_serializers()
        answers = declared if isinstance(declared, dict) else {"200": declared}
        bodies: dict[str, dict[str, Any]] = {}
        for code, answer in answers.items():
            status, *media_types = code if isinstance(code, tuple) else (code,)
            body = self._get_response_for_code(answer, str(status), media_types or None, direction)
            body["headers"] = {**REQUEST_ID, **body.get("headers", {}), **self._headers_of_changes()}
            if str(status) in bodies:
                bodies[str(status)]["content"].update(body["content"])
            else:
                bodies[str(status)] = {**body, "description": body["description"] or "It worked."}
        return bodies | {status: self._refusal(status) for status in self._refusals()}

    def _headers_of_changes(self) -> dict[str, Any]:
        replayed = REPLAYED if self._is_recorded() else {}
        return replayed | (IGNORED if self.method == "POST" else {}) | ({} if self.method == "GET" else RATE_LIMITS)

    def _is_recorded(self) -> bool:
        """Whether an answer may be that of an earlier request."""
        return bool(self.method == "POST" and self.view.is_recorded)

    def _refusals(self) -> list[str]:
        is_own = self.path.startswith(OWN)
        names_objects = "{" in self.path or self.method == "POST"  # in its address, or as a body may
        unfit = {"GET": WITH_BODY | OF_CHANGES, "DELETE": WITH_BODY}.get(self.method, set())
        if not (self.method == "POST" and hasattr(self.view, "keep")):
            unfit = unfit | OF_STORING
        if not (is_own and "{" in self.path):
            unfit = unfit | OF_OWN
        return [status for status in REFUSALS if status not in unfit and (status != "404" or names_objects)]

    def _refusal(self, status: str) -> dict[str, str]:
        name, description, headers = REFUSALS[status]
        schema = self.resolve_serializer(ErrorResponse, "response").ref
        response = {
            "description": description,
            "headers": {**REQUEST_ID, **headers},
            "content": {JSON: {"schema": schema}},
        }
        component = ResolvedComponent(name=name, type=ResolvedComponent.RESPONSE, schema=response, object=name)
        self.registry.register_on_missing(component)
        return dict(component.ref)


def _idempotency_key(kept: timedelta) -> OpenApiParameter:
    """:param kept: for how long the view's answers are given again."""
    seconds = round(kept.total_seconds())
    span = f"{seconds // 3600} hours" if seconds >= 3600 else f"{seconds} seconds"
    return OpenApiParameter(
        "Idempotency-Key",
        {"type": "string", "pattern": "^[ -~]{1,255}$"},
        location=OpenApiParameter.HEADER,
        description=f"The same key and body again within {span}: answered as it was, and nothing is done twice.",
    )


def resolved(auto_schema: AutoSchema, node: Any, direction: Any) -> Any:
    """A schema in which serializer classes and unions became references to components."""
    if isinstance(node, Union):
        return _union(auto_schema, node, direction)
    if isinstance(node, type) and issubclass(node, serializers.BaseSerializer):
        return auto_schema.resolve_serializer(node(), direction).ref
    if isinstance(node, dict):
        return {key: resolved(auto_schema, value, direction) for key, value in node.items()}
    if isinstance(node, list):
        return [resolved(auto_schema, value, direction) for value in node]
    return node


def _union(auto_schema: AutoSchema, union: Union, direction: Any) -> dict[str, Any]:
    component = ResolvedComponent(name=union.name, type=ResolvedComponent.SCHEMA, object=union.name)
    if component not in auto_schema.registry:
        schema: dict[str, Any] = {}
        component.schema = schema
        auto_schema.registry.register(component)  # before its shapes are looked at: one may have the union inside
        schema["oneOf"] = [resolved(auto_schema, shape, direction) for shape in union.shapes]
        if all(isinstance(shape, type) for shape in union.shapes):
            schema["discriminator"] = {"propertyName": union.tag, "mapping": _tags(auto_schema, union, direction)}
    return dict(component.ref)


def _tags(auto_schema: AutoSchema, union: Union, direction: Any) -> dict[str, str]:
    """Which value of the tag means which component; a tag has to be there, whatever else a shape may leave out."""
    mapping = {}
    for shape in union.shapes:
        component = auto_schema.resolve_serializer(shape(), direction)
        required = component.schema.setdefault("required", [])
        if union.tag not in required:
            required.insert(0, union.tag)
        for value in shape().fields[union.tag].choices:
            mapping[value] = component.ref["$ref"]
    return mapping


def _with_null(schema: dict[str, Any], nullable: bool) -> dict[str, Any]:
    """drf-spectacular adds ``null`` to the type, but not to an enum of ours."""
    if nullable and "enum" in schema:
        schema = {**schema, "enum": [*schema["enum"], None]}
    return schema


class StrictFieldSchema(OpenApiSerializerFieldExtension):
    """The strict fields in the OpenAPI document, with their limits."""

    target_class = "sovereign.core.api.validation.StrictField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return _with_null(resolved(auto_schema, self.target.schema(), direction), self.target.allow_null)


class StrictListSchema(OpenApiSerializerFieldExtension):
    """A strict list with its bounds."""

    target_class = "sovereign.core.api.validation.StrictList"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        items = auto_schema._map_serializer_field(self.target.child, direction)
        schema: dict[str, Any] = {"type": "array", "items": items}
        if self.target.minimum:
            schema["minItems"] = self.target.minimum
        if self.target.maximum is not None:
            schema["maxItems"] = self.target.maximum
        return schema


class StrictSerializerSchema(OpenApiSerializerExtension):
    """What refuses unknown keys says so."""

    target_class = "sovereign.core.api.validation.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        schema.pop("description", None)  # a base class's words are not this one's
        own = {"description": words} if (words := type(self.target).__dict__.get("__doc__")) else {}
        return {**own, **schema, "additionalProperties": False}


class OneOfSchema(OpenApiSerializerFieldExtension):
    target_class = "sovereign.core.api.unions.OneOf"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return _union(auto_schema, self.target.union, direction)


class UnixTimeSchema(OpenApiSerializerFieldExtension):
    target_class = "sovereign.core.api.schema.UnixTime"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return {"type": "integer", "format": "unixtime"}
