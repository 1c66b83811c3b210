"""``/mcp``: the Streamable HTTP transport, without sessions and without streams that nobody asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.http.response import HttpResponse, HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from runs.mcp import calls, offers, protocol
from runs.mcp.answering import Answering, json_response
from runs.mcp.answers import failed
from runs.mcp.calls import Following
from runs.mcp.protocol import Question, RpcError
from runs.streaming.rights import Rights
from sovereign.accounts import credentials
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.api.base import ApiView
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_READ
from sovereign.core.asgi import LaterResponse
from sovereign.core.errors import ApiError
from sovereign.core.mcp_wire import (
    HANDSHAKE_REVISIONS,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    REFUSED,
    REVISIONS,
)
from sovereign.core.origins import is_allowed_origin
from sovereign.core.sse import sse_response

EVENT_STREAM = "text/event-stream"
INSTRUCTIONS = (
    "Each tool is an assistant of this server. It answers a message in a conversation of its own; give the thread_id "
    "of an answer to go on with that conversation."
)
CAPABILITIES: dict[str, Any] = {"tools": {}}
UNCACHED = {"ttlMs": 0, "cacheScope": "private"}  # what another key finds is something else


@extend_schema(exclude=True)
class McpView(ApiView):
    """One message a request. ``GET`` and ``DELETE``, which are for sessions and streams from here, get a 405."""

    scopes: ClassVar = {"POST": ASSISTANTS_READ}
    is_recorded = False
    _spent: ApiError | None = None  # no request is left

    def initial(self, request: Request, *args: Any, **names: Any) -> None:
        if not is_allowed_origin(request.headers.get("Origin"), request.headers.get("Host", "")):
            raise ApiError("Pages of this origin may not connect.", status=403, code="origin_not_allowed")
        super().initial(request, *args, **names)

    def _count(self, principal: Principal) -> None:
        """As everywhere, but told in the protocol's words: a status of HTTP ends the whole session of some clients."""
        try:
            super()._count(principal)
        except ApiError as spent:
            self._spent = spent
            self.headers.update(spent.headers)

    def post(self, request: Request) -> HttpResponseBase:
        question = None
        try:
            question = protocol.read(_message_of(request), request.headers)
            if question is None:
                return HttpResponse(status=202)
            if self._spent is not None:
                return _refused(question, self._spent)
            return _answered(question, request)
        except RpcError as error:
            return json_response(protocol.refusal(error), protocol.status_of(error, question))


def _message_of(request: Request) -> Any:
    """:raises RpcError: the body is no JSON."""
    try:
        return request.data
    except ParseError:
        raise RpcError(PARSE_ERROR, "The body is no JSON.") from None


def _answered(question: Question, request: Request) -> HttpResponseBase:
    """:raises RpcError: there is no such method, or it was called wrongly."""
    if question.method == "tools/call":
        return _called(question, request)
    method = METHODS.get(question.method)
    if method is None:
        raise RpcError(METHOD_NOT_FOUND, f"There is no method '{question.method[:100]}'.", identifier=question.id)
    return json_response(protocol.answer(question, method(question, principal_of(request))))


def _initialized(question: Question, principal: Principal) -> dict[str, Any]:
    wanted = question.params.get("protocolVersion")
    return {
        "protocolVersion": wanted if wanted in HANDSHAKE_REVISIONS else HANDSHAKE_REVISIONS[-1],
        "capabilities": CAPABILITIES,
        "serverInfo": protocol.server_info(),
        "instructions": INSTRUCTIONS,
    }


def _discovered(question: Question, principal: Principal) -> dict[str, Any]:
    versions = list(reversed(REVISIONS))
    return {"supportedVersions": versions, "capabilities": CAPABILITIES, "instructions": INSTRUCTIONS, **UNCACHED}


def _listed(question: Question, principal: Principal) -> dict[str, Any]:
    try:
        page, cursor = offers.page_of(offers.offers(principal), question.params.get("cursor"))
    except (KeyError, TypeError):
        raise RpcError(INVALID_PARAMS, "No page ended at this cursor.", identifier=question.id) from None
    listed: dict[str, Any] = {"tools": [offer.rendered() for offer in page]}
    return {**listed, **({"nextCursor": cursor} if cursor else {}), **(UNCACHED if question.is_modern else {})}


METHODS: dict[str, Callable[[Question, Principal], dict[str, Any]]] = {
    "initialize": _initialized,
    "ping": lambda question, principal: {},
    "server/discover": _discovered,
    "tools/list": _listed,
}


def _refused(question: Question, error: ApiError) -> HttpResponse:
    """What cannot be done now, or not by this key. Of a call it is a result, which the model that calls can read.

    :raises RpcError: of everything else.
    """
    if question.method != "tools/call":
        raise RpcError(REFUSED, error.message, identifier=question.id)
    return json_response(protocol.answer(question, failed(error.message)))


def _called(question: Question, request: Request) -> HttpResponseBase:
    """Begin the run of a call.

    :raises RpcError: there is no such tool.
    """
    principal, token, name = principal_of(request), question.progress_token, question.params.get("name")
    offer = offers.offer_named(principal, name) if isinstance(name, str) else None
    if offer is None:
        raise RpcError(INVALID_PARAMS, f"Unknown tool: {str(name)[:100]}", identifier=question.id)
    try:
        run = calls.begin(principal, offer.assistant_id, question.params.get("arguments", {}))
    except ApiError as error:
        return _refused(question, error)
    rights = Rights(principal, credentials.login_of(principal, getattr(request._request, "session", {})))
    answering = Answering(question, Following(run, rights))
    if EVENT_STREAM in request.headers.get("Accept", ""):
        return sse_response(answering.frames(token), answering.close)
    return LaterResponse(answering.document, answering.close)
