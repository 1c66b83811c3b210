"""The entries of an assistant's ``server_tools``: which tools of this server it is given beside the contract's.

* ``{"type": "current_time"}``, ``{"type": "calculator"}``, ``{"type": "search_threads"}``
* ``{"type": "fetch", "addresses": ["https://api.example.org/v1/"]}``: all that begins with one of them may be fetched
* ``{"type": "mcp", "server_id": "mcp_…", "tools": ["name", …]}``: a registered server's allowed tools; ``null`` is all
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from assistants.catalog.models import McpServer
from sovereign.core.addresses import MAXIMUM_ADDRESS, place_of
from sovereign.core.egress import EgressRefused
from sovereign.core.errors import ApiError

FETCH = "fetch"
MCP = "mcp"
MAXIMUM_ENTRIES = 64
MAXIMUM_ADDRESSES = 32
MAXIMUM_NAMES = 256
MAXIMUM_NAME = 128  # characters


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A tool of this server, in words for those who choose."""

    title: str
    does: str


BUILT_IN: dict[str, BuiltIn] = {
    "current_time": BuiltIn("Current time", "Tells date, time and weekday, in any time zone."),
    "calculator": BuiltIn("Calculator", "Works out arithmetic exactly, which models alone often get wrong."),
    FETCH: BuiltIn("Fetch", "Reads web pages and APIs (GET only), of the addresses below and of no others."),
    "search_threads": BuiltIn(
        "Search of threads",
        "Finds words in the newest messages of this project's threads that the person who asks may read.",
    ),
}

#: Why a tool cannot be used on this server now, ``""`` where it can; by its type. Filled by the room that runs them.
reasons: dict[str, Callable[[], str]] = {}


def unavailable(kind: str) -> str:
    """One sentence, or nothing."""
    return reasons[kind]() if kind in reasons else ""


def checked(entries: Any, *, project_id: str) -> list[dict[str, Any]]:
    """The entries in their normal form.

    :raises ApiError: 400, ``param`` names the entry that is wrong; 404 for a server that the project does not have.
    """
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _wrong("server_tools", "expected a list of objects.")
    if len(entries) > MAXIMUM_ENTRIES:
        raise _wrong("server_tools", f"at most {MAXIMUM_ENTRIES} entries.", "array_above_max_length")
    normal = [_entry(entry, f"server_tools[{place}]", project_id) for place, entry in enumerate(entries)]
    known = [(entry["type"], entry.get("server_id")) for entry in normal]
    if twice := next((key for key in known if known.count(key) > 1), None):
        raise _wrong("server_tools", f"'{twice[1] or twice[0]}' is there more than once.")
    return normal


def _entry(entry: dict[str, Any], param: str, project_id: str) -> dict[str, Any]:
    kind = entry.get("type")
    if kind == MCP:
        return _of_server(entry, param, project_id)
    if not isinstance(kind, str) or kind not in BUILT_IN:
        raise _wrong(f"{param}.type", f"supported values are: {', '.join([*BUILT_IN, MCP])}.")
    _only(entry, param, {"type", "addresses"} if kind == FETCH else {"type"})
    if kind == FETCH:
        return {"type": FETCH, "addresses": checked_addresses(entry.get("addresses"), param=f"{param}.addresses")}
    return {"type": kind}


def _of_server(entry: dict[str, Any], param: str, project_id: str) -> dict[str, Any]:
    _only(entry, param, {"type", "server_id", "tools"})
    server_id, names = entry.get("server_id"), entry.get("tools")
    if not isinstance(server_id, str) or not McpServer.objects.filter(project_id=project_id, pk=server_id).exists():
        shown = str(server_id)[:MAXIMUM_NAME]
        raise ApiError(f"No MCP server found with id '{shown}'.", status=404, param=f"{param}.server_id")
    if names is not None and not _are_names(names):
        raise _wrong(f"{param}.tools", f"null, or up to {MAXIMUM_NAMES} names of tools.")
    return {"type": MCP, "server_id": server_id, "tools": None if names is None else list(dict.fromkeys(names))}


def _are_names(names: Any) -> bool:
    return (
        isinstance(names, list)
        and len(names) <= MAXIMUM_NAMES
        and all(isinstance(name, str) and 0 < len(name) <= MAXIMUM_NAME and name.isprintable() for name in names)
    )


def checked_addresses(addresses: Any, *, param: str = "addresses") -> list[str]:
    """Beginnings of addresses that may be fetched: https, a public host, whole parts of a path.

    :raises ApiError: 400, with the address that is wrong.
    """
    if not isinstance(addresses, list) or not addresses or not all(isinstance(text, str) for text in addresses):
        raise _wrong(param, "give at least one address, such as https://api.example.org/v1/.")
    if len(addresses) > MAXIMUM_ADDRESSES:
        raise _wrong(param, f"at most {MAXIMUM_ADDRESSES} addresses.", "array_above_max_length")
    return list(dict.fromkeys(_address(text.strip(), param) for text in addresses))


def _address(text: str, param: str) -> str:
    shown = text[:100]
    try:
        place = place_of(text)
    except EgressRefused as refused:
        raise _wrong(param, f"'{shown}': {refused}") from None
    if "?" in text or "#" in text or len(text) > MAXIMUM_ADDRESS:
        raise _wrong(param, f"'{shown}' has to end with its path, of at most {MAXIMUM_ADDRESS} characters in all.")
    return str(place)


def _only(entry: dict[str, Any], param: str, known: set[str]) -> None:
    if extra := sorted(set(map(str, entry)) - known):
        raise ApiError(
            f"Unknown parameter: '{param}.{extra[0][:MAXIMUM_NAME]}'.", param=param, code="unknown_parameter"
        )


def _wrong(param: str, sentence: str, code: str = "invalid_value") -> ApiError:
    return ApiError(f"Invalid '{param}': {sentence}", param=param, code=code)
