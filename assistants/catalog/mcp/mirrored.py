"""Arguments that are said twice: in the body, and in a header for what stands in front of a server.

From the revision of 2026-07-28 on a tool's schema may name a header for an argument (``x-mcp-header``). Servers refuse
calls without it, and clients have to refuse tools that name one in a way that the protocol does not allow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sovereign.core.mcp_wire import ARGUMENT_HEADER, packed

ANNOTATION = "x-mcp-header"
NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")  # what a header's name may be, by RFC 9110
TYPES = ("string", "integer", "boolean")
NAMED = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")  # keywords with named schemas
DATA = ("default", "const", "enum", "examples")  # keywords with what is no schema

Path = tuple[str, ...]


def problem_of(schema: dict[str, Any]) -> str:
    """Why a tool whose arguments have this schema must not be used, or nothing.

    :param schema: one that is not too deep.
    """
    names = set()
    for path, part in _schemas(schema, ()):
        if ANNOTATION not in part:
            continue
        name = part[ANNOTATION]
        if not path or part.get("type") not in TYPES:
            return f"Its schema has '{ANNOTATION}' at what is no argument that is a text, an integer or a boolean."
        if not isinstance(name, str) or not NAME.fullmatch(name) or name.lower() in names:
            return f"Its schema has '{ANNOTATION}' with what is no header's name, or is another argument's."
        names.add(name.lower())
    return ""


def headers_of(schema: dict[str, Any], arguments: dict[str, Any]) -> dict[str, str]:
    """The headers that a call has to have.

    :param schema: one without a problem.
    :param arguments: as it has them; one that is absent has no header.
    """
    headers = {}
    for path, part in _schemas(schema, ()):
        value = _at(path, arguments) if path and ANNOTATION in part else None
        if value is not None:
            headers[ARGUMENT_HEADER + part[ANNOTATION]] = packed(_written(value))
    return headers


def _schemas(schema: Any, path: Path | None) -> Iterator[tuple[Path | None, dict[str, Any]]]:
    """A schema and all inside of it, each with the properties that lead to it; ``None`` where something else does."""
    if isinstance(schema, list):
        for one in schema:
            yield from _schemas(one, None)
    if not isinstance(schema, dict):
        return
    yield path, schema
    for keyword, inner in schema.items():
        if keyword in NAMED and isinstance(inner, dict):
            way = path if keyword == "properties" else None
            for name, one in inner.items():
                yield from _schemas(one, None if way is None else (*way, name))
        elif keyword not in DATA:
            yield from _schemas(inner, None)


def _at(path: Path, arguments: Any) -> Any:
    for name in path:
        arguments = arguments.get(name) if isinstance(arguments, dict) else None
    return arguments


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value) if isinstance(value, float) else value)
