"""What an OpenAPI document says, taken apart into facts that two documents can be compared by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]
TAGS = ("type", "event")  # properties whose value tells which shape an object has
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass
class Facts:
    """About one schema, by path: ``.tools[]<function>.function.name`` is inside the tools whose type is function."""

    properties: set[str] = field(default_factory=set)
    required: set[str] = field(default_factory=set)
    enums: set[tuple[str, str]] = field(default_factory=set)
    types: set[tuple[str, str]] = field(default_factory=set)


def look_up(document: Document, node: Any) -> Any:
    """The node itself, or what it refers to."""
    while isinstance(node, dict) and "$ref" in node:
        target: Any = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def facts_of(document: Document, schema: Any) -> Facts:
    facts = Facts()
    _walk(document, schema, "", facts)
    return facts


def _walk(document: Document, schema: Any, path: str, facts: Facts) -> None:
    node = look_up(document, schema)
    for union in ("allOf", "oneOf", "anyOf"):
        for shape in node.get(union, ()):
            _walk(document, shape, path, facts)
    kinds = node.get("type", ())
    facts.types |= {(path, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)}
    values = [*node.get("enum", ()), *([node["const"]] if "const" in node else ())]
    facts.enums |= {(path, value if isinstance(value, str) else json.dumps(value)) for value in values if value}
    if "items" in node:
        _walk(document, node["items"], f"{path}[]", facts)
    if isinstance(node.get("additionalProperties"), dict):
        _walk(document, node["additionalProperties"], f"{path}.*", facts)
    if "properties" in node:
        for shape in _shapes(document, node, path):
            for name, inner in node["properties"].items():
                facts.properties.add(f"{shape}.{name}")
                _walk(document, inner, f"{shape}.{name}", facts)
            facts.required |= {f"{shape}.{name}" for name in node.get("required", ())}


def _shapes(document: Document, node: Any, path: str) -> list[str]:
    """The object's path, once for each value of its tag."""
    for tag in TAGS:
        values = look_up(document, node["properties"].get(tag, {})).get("enum")
        if values:
            return [f"{path}<{value}>" for value in values]
    return [path]


def operations_of(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    """``("GET /threads/{thread_id}", operation)`` of every operation."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method]


def body_of(document: Document, operation: dict[str, Any]) -> Facts | None:
    body = look_up(document, operation.get("requestBody"))
    return None if body is None else facts_of(document, body["content"]["application/json"]["schema"])


def answer_of(document: Document, operation: dict[str, Any], media_type: str = "application/json") -> Facts | None:
    content = look_up(document, operation["responses"]["200"]).get("content", {})
    return facts_of(document, content[media_type]["schema"]) if media_type in content else None


def reached(document: Document, node: Any) -> set[str]:
    """The names of all component schemas that a part of the document refers to, through whatever it refers to."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if isinstance(current, list):
            waiting += current
        elif isinstance(current, dict):
            waiting += current.values()
            name = str(current.get("$ref", ""))
            if name and name not in found:
                found.add(name)
                waiting.append(look_up(document, current))
    return {name.rpartition("/")[2] for name in found if name.startswith("#/components/schemas/")}
