"""Every operation and parameter of the published schema, so that one without an expectation shows as a hole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PUBLISHED = Path(__file__).resolve().parents[1] / "contract" / "published" / "openapi-assistants.yaml"
METHODS = ("get", "post", "delete")


@dataclass(frozen=True, slots=True)
class Parameter:
    """``place`` is path, query or body; ``name`` is a path in the body: ``tools[].function.name``."""

    place: str
    name: str


@dataclass(frozen=True, slots=True)
class Operation:
    id: str
    method: str
    path: str
    tag: str
    parameters: tuple[Parameter, ...]

    def subjects(self) -> list[str]:
        return [parameter.name for parameter in self.parameters]


@cache
def operations(path: Path = PUBLISHED) -> tuple[Operation, ...]:
    """In the order of the published schema's rooms: assistants, threads, messages, runs, steps."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    found = [
        Operation(entry["operationId"], method.upper(), address, _room(address), tuple(_parameters(document, entry)))
        for address, entries in document["paths"].items()
        for method, entry in entries.items()
        if method in METHODS
    ]
    rooms = ("Assistants", "Threads", "Messages", "Runs", "Run steps")
    return tuple(sorted(found, key=lambda operation: rooms.index(operation.tag)))


def _room(address: str) -> str:
    for part, room in (("/steps", "Run steps"), ("/runs", "Runs"), ("/messages", "Messages"), ("/threads", "Threads")):
        if part in address:
            return room
    return "Assistants"


def _parameters(document: Any, entry: Any) -> Iterator[Parameter]:
    for parameter in entry.get("parameters", []):
        yield Parameter(parameter["in"], parameter["name"])
    content = entry.get("requestBody", {}).get("content", {}).get("application/json")
    if content:
        names = dict.fromkeys(_properties(document, content["schema"], "", ()))
        yield from (Parameter("body", name) for name in names)


def _properties(document: Any, schema: Any, path: str, seen: tuple[str, ...]) -> Iterator[str]:
    """Every property below ``schema``, through references, alternatives and arrays."""
    while reference := schema.get("$ref"):
        if reference in seen:
            return
        seen = (*seen, reference)
        schema = document
        for part in reference.split("/")[1:]:
            schema = schema[part]
    for alternatives in ("allOf", "oneOf", "anyOf"):
        for alternative in schema.get(alternatives, []):
            yield from _properties(document, alternative, path, seen)
    if "items" in schema:
        yield from _properties(document, schema["items"], f"{path}[]", seen)
    for name, inner in schema.get("properties", {}).items():
        below = f"{path}.{name}" if path else name
        yield below
        yield from _properties(document, inner, below, seen)
