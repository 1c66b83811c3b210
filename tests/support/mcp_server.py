"""A real MCP server, made with the official Python SDK: a program for the environments ``mcp-1`` and ``mcp-2``.

``python tests/support/mcp_server.py --port N [--calls FILE] [--json] [--stateless | --modern]`` answers at ``/mcp``.
Each call of a tool is first written to FILE, one line of JSON each, so that a test knows what was really carried out.
``--modern`` (of ``mcp-2``) is a server that speaks the revision of 2026-07-28 and no other: the SDK's own speaks all
of them, so handshakes are refused before they reach it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

try:
    from mcp.server.mcpserver import Context, Image, MCPServer
except ImportError:  # the SDK's first line
    from mcp.server.fastmcp import Context, Image
    from mcp.server.fastmcp import FastMCP as MCPServer
from mcp.types import ToolAnnotations
from pydantic import Field

PIXEL = bytes.fromhex("89504e470d0a1a0a") + b"not really a picture"
READ_ONLY = ToolAnnotations(readOnlyHint=True)
calls = Path("/dev/null")
looked_at: set[str] = set()
server = MCPServer("tests")


def note(tool: str, **arguments: Any) -> None:
    with calls.open("a") as file:
        file.write(json.dumps({"tool": tool, **arguments}) + "\n")


@server.tool(annotations=READ_ONLY)
def add(a: int, b: int) -> str:
    """Add two numbers."""
    note("add", a=a, b=b)
    return str(a + b)


@server.tool()
async def pay(to: str) -> str:
    """Pay somebody, which must not be done twice. Paying nobody never ends."""
    note("pay", to=to)
    if to == "nobody":
        await asyncio.Event().wait()
    return f"{to} has been paid."


@server.tool(annotations=READ_ONLY)
async def look(at: str) -> str:
    """Look at something. The first look at a ghost never ends."""
    first = at not in looked_at
    looked_at.add(at)
    note("look", at=at)
    if first and at.startswith("ghost"):
        await asyncio.Event().wait()
    return f"{at} looks well."


@server.tool(annotations=READ_ONLY)
async def count(to: int, ctx: Context) -> str:  # type: ignore[type-arg]
    """Count, and tell how far it is meanwhile."""
    note("count", to=to)
    for number in range(to):
        await ctx.report_progress(number, to)
        await ctx.info(f"at {number}")
    return f"counted to {to}"


@server.tool()
async def wait(seconds: float) -> str:
    """Wait, and say so."""
    note("wait", seconds=seconds)
    try:
        await asyncio.sleep(seconds)
    except BaseException:
        note("cancelled")
        raise
    return "waited"


@server.tool()
def fail(reason: str) -> str:
    """Fail."""
    note("fail", reason=reason)
    raise ValueError(reason)


@server.tool()
def picture() -> Any:
    """A picture with a caption."""
    note("picture")
    return ["a caption", Image(data=PIXEL, format="png")]


@server.tool()
def find(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    """Find something in a region, which stands in a header, too."""
    note("find", region=region)
    return f"found in {region}"


def without_handshakes(application: Any) -> Any:
    """The application, for which there is no ``initialize``."""
    error = {"code": -32022, "message": "Unsupported protocol version", "data": {"supported": ["2026-07-28"]}}
    refusal = json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or b"mcp-protocol-version" in dict(scope["headers"]):
            await application(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(refusal)).encode())]
        await send({"type": "http.response.start", "status": 400, "headers": headers})
        await send({"type": "http.response.body", "body": refusal})

    return answer


def main() -> None:
    global calls
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--calls", type=Path, default=calls)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--stateless", action="store_true")
    parser.add_argument("--modern", action="store_true")
    options = parser.parse_args()
    calls = options.calls
    settings = {"host": "127.0.0.1", "port": options.port}
    how = {"json_response": options.json, "stateless_http": options.stateless}
    if options.modern:
        import uvicorn

        uvicorn.run(without_handshakes(server.streamable_http_app()), log_level="warning", **settings)
    elif hasattr(server, "settings") and hasattr(server.settings, "stateless_http"):  # the SDK's first line
        for name, value in {**settings, **how}.items():
            setattr(server.settings, name, value)
        server.run(transport="streamable-http")
    else:
        server.run(transport="streamable-http", **settings, **how)


if __name__ == "__main__":
    main()
