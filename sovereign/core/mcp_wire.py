"""The Model Context Protocol as both of its ends need it here: revisions, names of headers and of ``_meta``, codes.

Sovereign asks MCP servers (``assistants.catalog.mcp``) and is one (``runs.mcp``).
"""

from __future__ import annotations

import base64
import binascii
import re

#: those that begin with a handshake and may have sessions, the oldest first
HANDSHAKE_REVISIONS = ("2025-03-26", "2025-06-18", "2025-11-25")
#: that has neither: each request says itself who asks, and in which revision
STATELESS_REVISION = "2026-07-28"
REVISIONS = (*HANDSHAKE_REVISIONS, STATELESS_REVISION)

SESSION_HEADER, VERSION_HEADER, METHOD_HEADER = "Mcp-Session-Id", "MCP-Protocol-Version", "Mcp-Method"
NAME_HEADER, ARGUMENT_HEADER = "Mcp-Name", "Mcp-Param-"  # the latter is the beginning of many

_META = "io.modelcontextprotocol/"
VERSION_KEY, CAPABILITIES_KEY = f"{_META}protocolVersion", f"{_META}clientCapabilities"
CLIENT_KEY, SERVER_KEY = f"{_META}clientInfo", f"{_META}serverInfo"

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = -32700, -32600, -32601, -32602, -32603
REFUSED = -32010  # a code of ours: it cannot be done now, or not by whom it is asked
HEADER_MISMATCH, UNSUPPORTED_VERSION = -32020, -32022
LONGEST_ID = 256  # characters of a request's id, or of a token

PACKED, PACKED_END = "=?base64?", "?="
PLAIN = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


def packed(value: str) -> str:
    """A value as a header may have it."""
    if PLAIN.fullmatch(value) and not _is_packed(value):
        return value
    return PACKED + base64.b64encode(value.encode(errors="replace")).decode() + PACKED_END


def unpacked(value: str | None) -> str | None:
    """What a header says; ``None`` where that cannot be read."""
    if value is None or not _is_packed(value):
        return value
    try:
        return base64.b64decode(value[len(PACKED) : -len(PACKED_END)], validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def _is_packed(value: str) -> bool:
    return value.startswith(PACKED) and value.endswith(PACKED_END)
