"""MCP servers as administrators describe them. No request of ``/v1`` comes here.

A credential belongs to the address it was given for, and goes nowhere else. What could reach into the house (inner
addresses) or send the operator's own secrets (environment variables) is decided by superusers alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, TypedDict, Unpack
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction

from assistants.catalog.models import HEADER_LENGTH, LABEL_LENGTH, LONGEST_SECONDS, McpServer
from assistants.catalog.services.uses import refuse_used
from inference.secrets import KEY_VARIABLE, MAXIMUM_KEY, seal
from sovereign.accounts import audit
from sovereign.accounts.models import User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import TOOLS_MANAGE
from sovereign.core.addresses import checked_address
from sovereign.core.database import service, visible_row
from sovereign.core.errors import ApiError, forbidden, not_found

MAXIMUM_SERVERS = 100  # of a project
LABEL = re.compile(rf"[a-z0-9_]{{1,{LABEL_LENGTH}}}")
HEADER = re.compile(rf"[A-Za-z0-9-]{{1,{HEADER_LENGTH}}}")
#: what the protocol, the connection or the browser's rules say, and no credential
RESERVED_HEADERS = frozenset(
    {"accept", "connection", "content-length", "content-type", "host", "last-event-id", "origin", "transfer-encoding"}
)
RESERVED_BEGINNINGS = ("mcp-", "proxy-", "sec-")
#: where a server is and what it is sent: of one that reaches into the house only superusers change it
DESTINATION = ("url", "inner_network", "key_variable", "header")


class Described(TypedDict, total=False):
    """What an administrator says of a server; see :class:`assistants.catalog.models.McpServer`."""

    label: str
    url: str
    enabled: bool
    inner_network: bool
    header: str
    key_variable: str
    timeout: int
    approval: str


@service
def create_server(*, principal: Principal, key: str = "", **described: Unpack[Described]) -> McpServer:
    """A server that is asked for its tools from now on.

    :param key: sent to its address, as a bearer token where the header is Authorization; kept encrypted.
    :raises ApiError: ``param`` names the field that is wrong.
    """
    _require_administrator(principal)
    if McpServer.objects.visible_to(principal).count() >= MAXIMUM_SERVERS:
        raise ApiError(f"A project has at most {MAXIMUM_SERVERS} MCP servers.")
    server = McpServer(project_id=principal.project_id)
    apply_description(server, principal=principal, key=key, **described)
    _save(server)
    audit.record(principal, "mcpserver.created", server, **_told(server), key=bool(key))
    return server


@service
def update_server(
    *, principal: Principal, server_id: str, key: str | None = None, **described: Unpack[Described]
) -> McpServer:
    """Change what is given. Another address is another server: what was allowed of the old one is forgotten.

    :param key: ``None`` keeps the one it has, ``""`` forgets it.
    :raises ApiError: as ``create_server``; a new address without its key.
    """
    _require_administrator(principal)
    server = _locked(principal, server_id)
    before, had_key = _told(server), server.sealed_key
    apply_description(server, principal=principal, key=key, **described)
    if server.url != before["url"]:
        server.allowed, server.unasked_tools = {}, []
        server.listing, server.listed_at, server.listing_error = [], None, ""
    _save(server)
    changes = {field: value for field, value in _told(server).items() if before[field] != value}
    if server.sealed_key != had_key:
        changes["key"] = "set" if server.sealed_key else "forgotten"
    if changes:
        audit.record(principal, "mcpserver.changed", server, label=server.label, changes=changes)
    return server


@service
def allow_tools(
    *, principal: Principal, server_id: str, allowed: Mapping[str, str], unasked: Collection[str] = ()
) -> McpServer:
    """Which tools of a server may be given to assistants, and which of them nobody has to agree to.

    :param allowed: names, with the digests of the definitions that were looked at; all others are withheld.
    :param unasked: names; they count where the server's approval is ``listed``. One that is not allowed loses this.
    :raises ApiError: 400, a tool is not in the listing any more, or is something else by now; nothing is changed.
    """
    _require_administrator(principal)
    server = _locked(principal, server_id)
    listed = {tool.name: tool for tool in server.tools}
    for name, digest in allowed.items():
        if name not in listed or listed[name].digest != digest:
            raise ApiError(f"'{name}' has changed since this page was shown: look at it again.", code="tool_changed")
        if listed[name].problem:
            raise ApiError(f"'{name}' cannot be allowed. {listed[name].problem}", code="invalid_value")
    added = sorted(name for name, digest in allowed.items() if server.allowed.get(name) != digest)
    withheld = sorted(set(server.allowed) - set(allowed))
    server.allowed = dict(allowed)
    server.unasked_tools = sorted(set(unasked) & set(allowed))
    server.save(update_fields=["allowed", "unasked_tools", "updated_at"])
    audit.record(
        principal, "mcpserver.tools_allowed", server, allowed=added, withheld=withheld, unasked=server.unasked_tools
    )
    return server


@service
def delete_server(*, principal: Principal, server_id: str) -> None:
    """Its credential goes with it.

    :raises ApiError: an assistant has tools of it.
    """
    _require_administrator(principal)
    server = _locked(principal, server_id)
    refuse_used(server.project_id, server.id, server.label)
    audit.record(principal, "mcpserver.deleted", server, **_told(server))
    server.delete()


def apply_description(
    server: McpServer, *, principal: Principal, key: str | None, **described: Unpack[Described]
) -> None:
    """Set the fields of a row, without saving it.

    :raises ApiError: ``param`` names the field that is wrong.
    """
    before = {field: getattr(server, field) for field in DESTINATION}
    held = server.sealed_key
    for field, value in described.items():
        setattr(server, field, value)
    _check_label(server)
    server.url = _checked_url(server)
    _check_header(server)
    _check_choices(server)
    _check_reach(server, before, principal)
    if key is not None or server.key_variable:
        _set_key(server, key or "")
    elif held and (server.url, server.header) != (before["url"], before["header"]):
        raise ApiError("Where the credential goes is changed: enter it again, which will be sent there.", param="key")


def _check_label(server: McpServer) -> None:
    if not isinstance(server.label, str) or not LABEL.fullmatch(server.label):
        raise ApiError(f"A label is up to {LABEL_LENGTH} small letters, digits and '_'.", param="label")


def _checked_url(server: McpServer) -> str:
    """As it was typed: to many servers a slash at the end makes another address, and redirects are not followed."""
    url = str(server.url).strip()
    try:
        checked_address(url, inner_network=server.inner_network)
    except ApiError as refused:
        raise ApiError(refused.message, param="url") from None
    return url


def _check_header(server: McpServer) -> None:
    name = server.header.lower()
    if not HEADER.fullmatch(server.header) or name in RESERVED_HEADERS or name.startswith(RESERVED_BEGINNINGS):
        raise ApiError("The header is one for a credential, such as Authorization or X-API-Key.", param="header")
    if name == "authorization":
        server.header = "Authorization"


def _check_choices(server: McpServer) -> None:
    if not isinstance(server.timeout, int) or not 1 <= server.timeout <= LONGEST_SECONDS:
        raise ApiError(f"One second to {LONGEST_SECONDS}.", param="timeout")
    if server.approval not in McpServer.Approval.values:
        raise ApiError(f"One of {', '.join(McpServer.Approval.values)}.", param="approval")


def _check_reach(server: McpServer, before: dict[str, Any], principal: Principal) -> None:
    """Only superusers decide what is reached inside the house, and where its own secrets are sent."""
    if server.key_variable and not KEY_VARIABLE.fullmatch(server.key_variable):
        raise ApiError("The variable's name ends in _API_KEY; those of SOVEREIGN_ are sent to nobody.",
                       param="key_variable")  # fmt: skip
    is_elsewhere = any(getattr(server, field) != before[field] for field in DESTINATION)
    if is_elsewhere and server.key_variable and not settings.SOVEREIGN.key_goes_to(server.key_variable, server.url):
        host = urlsplit(server.url).hostname
        raise ApiError(
            f"This variable's key may not be sent to {host}. If that is meant, start every process with "
            f"SOVEREIGN_KEY_VARIABLES={server.key_variable}={host}.",
            param="key_variable",
        )
    if is_elsewhere and (server.inner_network or server.key_variable) and not _is_superuser(principal):
        told = "inner_network" if server.inner_network else "key_variable"
        raise ApiError("Only a superuser decides this: it reaches into the house.", param=told, status=403)


def _set_key(server: McpServer, key: str) -> None:
    key = key.strip()
    if key and server.key_variable:
        raise ApiError("Either a credential or the variable that holds it.", param="key")
    if len(key) > MAXIMUM_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise ApiError("A credential is printable ASCII without spaces.", param="key")
    server.sealed_key = seal(key)


def _save(server: McpServer) -> None:
    try:
        with transaction.atomic():
            server.save()
    except IntegrityError:
        raise ApiError(f"There is an MCP server '{server.label}' already.", param="label") from None


def _require_administrator(principal: Principal) -> None:
    """People only: a key that leaked must not be able to bring tools into assistants."""
    principal.require(TOOLS_MANAGE)
    if principal.user_id is None:
        raise forbidden(TOOLS_MANAGE)


def _is_superuser(principal: Principal) -> bool:
    return User.objects.filter(pk=principal.user_id or 0, is_superuser=True, is_active=True).exists()


def _locked(principal: Principal, server_id: str) -> McpServer:
    server = visible_row(McpServer, principal, server_id, lock=True)
    if server is None:
        raise not_found("MCP server", server_id)
    return server


def _told(server: McpServer) -> dict[str, Any]:
    """What audit rows say: everything but the credential."""
    return {field: getattr(server, field) for field in Described.__annotations__}
