"""Routes of ``/v1`` that belong to accounts."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from sovereign.accounts import services
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.api.base import ApiView
from sovereign.accounts.scopes import RUNS_READ
from sovereign.accounts.services.tickets import TICKET_LIFETIME
from sovereign.core.api.schema import UnixTime
from sovereign.core.api.validation import StrictSerializer


class NoParameters(StrictSerializer):
    """An empty object."""


TICKET = inline_serializer(
    "WebSocketTicket",
    {
        "object": serializers.ChoiceField(["ws_ticket"]),
        "ticket": serializers.CharField(),
        "expires_at": UnixTime(),
    },
)


class WebSocketTicketView(ApiView):
    """A one-use ticket for ``/ws/…?ticket=…``, good for 30 seconds, with the rights of whoever asks for it."""

    scopes = {"POST": RUNS_READ}
    serializer_class = NoParameters
    answers_kept = TICKET_LIFETIME  # the answer holds a secret: for as long as that is worth something

    @extend_schema(operation_id="createWebSocketTicket", request=NoParameters, responses=TICKET)
    def post(self, request: Request) -> Response:
        """Make a ticket for a WebSocket.

        It opens `/ws/threads/{thread_id}?ticket=…` once within 30 seconds, with the rights of whoever asked for it.
        """
        self.body()
        ticket, text = services.issue_ticket(principal=principal_of(request))
        return Response({"object": "ws_ticket", "ticket": text, "expires_at": int(ticket.expires_at.timestamp())})
